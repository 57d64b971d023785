"""The engines: what each is called, and what it cannot do. Each has a module here with a class `Engine`:

    Engine(lake)        connects to the table that `lake` tells of (see `Service.lake`)
    .rows()             all rows, each by column, in whatever types the engine hands out
    .count(conditions)  how many rows there are for which all conditions hold (see `Condition.told`)
    .close()            leaves

and those that write `.change(statement)`, which answers what the statement does.
"""

import importlib
from dataclasses import dataclass, field


@dataclass
class About:
    """An engine's name, and where its answers differ from what they should be: each with the reason. What is listed and
    does not differ any more is a finding, too."""

    label: str
    table: str = "shop.everything"
    # Columns that are left out of what is compared, and columns that it is not asked to filter by.
    cannot_read: dict = field(default_factory=dict)
    cannot_filter: dict = field(default_factory=dict)
    # Kinds of types whose nulls are empty values to it.
    no_nulls_of: tuple = ()
    # Patterns of findings.
    differs: dict = field(default_factory=dict)

    def told(self):
        """All of it, as pairs of where and why."""
        yield from ((f"values of `{column}`", why) for column, why in self.cannot_read.items())
        yield from ((f"filters by `{column}`", why) for column, why in self.cannot_filter.items())
        if self.no_nulls_of:
            yield f"values that are a {' or '.join(self.no_nulls_of)}", "null is read as empty: these have none"
        yield from ((f"`{pattern.replace('|', chr(92) + '|')}`", why) for pattern, why in self.differs.items())


NO_TIME = "the type `time` is not known; the table that it is asked about has no such column"
IN_A_PARTITION_WITH_NULL = r"^(name|region) in .*(INTERNAL_ERROR|internal error)"
OF_THE_LIBRARY = "an `in` by a text that is a partition is an error of Iceberg's library where one partition is null"
ENGINES = {
    "duckdb": About("DuckDB 1.5.5", differs={
        r"^at between 19.*: \d+ rows": "partitions by `month` from before 1970 are pruned although they hold rows",
        r"\buid (=|in) .*: \d+ rows": "buckets of UUIDs are computed otherwise than Iceberg has it, and pruned",
    }),
    "pyiceberg": About("PyIceberg 0.12.0", cannot_filter={
        "tags": "filters by lists and maps are refused", "scores": "as `tags`", "items": "as `tags`",
    }, differs={
        r"^column items: ": "a null list of structs is read as an empty list",
        r"^small in .*7777777777": "a number above an int's range in an `in`, in files of the column as an int",
        r"^(weight|ratio) .*\binf\b": "infinity in a filter is taken for a number beyond all floats",
        r"^price .*9999999999\.99": "decimals of more digits than the column had at first are refused in a filter",
    }),
    "polars": About("Polars 2.1.0"),
    "chdb": About("ClickHouse (chdb 4.4.0)", no_nulls_of=("struct", "list", "map"), cannot_read={
        "clock": "the type `time` is an integer of seconds; fractions are lost",
        "local": "a timestamp without a zone is one in the session's zone",
    }, cannot_filter={
        "clock": "as above",
        **dict.fromkeys(("place", "tags", "scores", "items"), "structs, lists and maps are never null"),
    }, differs={r"^weight in .*-0\.0.*: \d+ rows": "an `in` tells -0.0 from 0.0"}),
    "tabletopic": About("our shell", differs={
        r"^column (weight|ratio|amount): .*-0\.0": "-0.0 is read as 0.0, the one zero that SQL knows",
        r"^(weight|ratio|amount|place.spot.lat) (=|in) .*-0\.0": "-0.0 in a filter equals nothing",
    }),
    "spark": About("Spark 4.1.2 (Iceberg 1.11.0)", table="shop.without_time", cannot_read={"clock": NO_TIME}, differs={
        IN_A_PARTITION_WITH_NULL: OF_THE_LIBRARY,
        r"^(weight|ratio|amount) .*\b0\.0.*: \d+ rows": "0.0 and -0.0 differ for Iceberg's filters by dictionary",
    }),
    "trino": About("Trino 483", differs={
        IN_A_PARTITION_WITH_NULL: OF_THE_LIBRARY,
        r"^weight in .*-0\.0.*: \d+ rows": "an `in` tells -0.0 from 0.0",
        r"^ratio .*Corrupted statistics": "a float that was widened to double is refused when it is filtered by",
    }),
    "flink": About("Flink 2.1.1 (Iceberg 1.11.0)", cannot_read={
        "clock": "times are of milliseconds; digits below are lost",
    }, cannot_filter={
        "clock": "as above", "uid": "a filter by a UUID is refused (`Invalid value for conversion`)",
        **dict.fromkeys(("tags", "scores", "items"), "filters by lists and maps are an error (`ClassCastException`)"),
    }, differs={
        r"^weight .*\binf\b.*NumberFormatException": "infinity in a filter of a float is an error",
        r"^(weight|ratio|amount) .*\b0\.0.*: \d+ rows": "0.0 and -0.0 are different values",
        r"^(code|data) in .*: \d+ rows": "an `in` of bytes finds nothing",
    }),
}


def connect(name, lake):
    return importlib.import_module(f"engine.{name}").Engine(lake)
