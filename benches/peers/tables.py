#!/usr/bin/env python3
"""The tables, by readers that are none of the three systems. Runs in TABLETOPIC_PYTHON; prints one JSON object.

  tables.py make CATALOG --for SYSTEM   makes the catalog in SQLite, and the empty table bench.bids, partitioned by day
  tables.py contents CATALOG            its rows, counted and added up by DuckDB
  tables.py delays CATALOG --seen FILE --from MS --windows 10 --seconds 60
                                        from a row's dateTime to when its snapshot was seen. FILE has these times, by
                                        snapshot id, in milliseconds since the Unix epoch
"""

import argparse
import json
import os
import pathlib
import sys

from watch import path_of

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests/readers"))

import lake  # noqa: E402
import pyarrow as pa  # noqa: E402
from place import CATALOG, TABLE  # noqa: E402
from pyiceberg.catalog.sql import SqlCatalog  # noqa: E402
from pyiceberg.partitioning import PartitionField, PartitionSpec  # noqa: E402
from pyiceberg.schema import Schema  # noqa: E402
from pyiceberg.transforms import DayTransform  # noqa: E402
from pyiceberg.types import IntegerType, LongType, NestedField, StringType, TimestamptzType  # noqa: E402

COLUMNS = [
    ("auction", LongType()), ("bidder", LongType()), ("price", LongType()), ("channel", StringType()),
    ("url", StringType()), ("dateTime", TimestamptzType()), ("extra", StringType()),
]
# Without these it writes no table.
MORE = {"tabletopic": [("_kafka_partition", IntegerType()), ("_kafka_offset", LongType())]}
PROPERTIES = {
    "format-version": "2", "write.parquet.compression-codec": "zstd", "write.parquet.compression-level": "3",
}


def schema(system):
    columns = COLUMNS + MORE.get(system, [])
    return Schema(*(NestedField(at, name, kind, required=False) for at, (name, kind) in enumerate(columns, 1)))


def make(options):
    folder = os.path.dirname(os.path.abspath(options.catalog))
    catalog = SqlCatalog(CATALOG, uri=f"sqlite:///{options.catalog}", warehouse=f"file://{folder}/warehouse")
    catalog.create_namespace("bench")
    columns = schema(options.system)
    by_day = PartitionSpec(PartitionField(columns.find_field("dateTime").field_id, 1000, DayTransform(), "dateTime_day"))
    table = catalog.create_table(TABLE, columns, partition_spec=by_day, properties=PROPERTIES)
    return {"location": table.location()}


def open_table(options):
    catalog = SqlCatalog(CATALOG, uri=f"sqlite:///{os.path.abspath(options.catalog)}", init_catalog_tables="false")
    return catalog.load_table(TABLE)


def contents(options):
    """An event time is that of one bid only, so that rows that are there twice show."""
    location = open_table(options).metadata_location
    connection = lake.open_duckdb()
    [found] = lake.rows(connection.execute(f"""
        SELECT count(*) AS rows, count(DISTINCT "dateTime") AS different, sum(auction)::VARCHAR AS auction,
               sum(bidder)::VARCHAR AS bidder, sum(price)::VARCHAR AS price,
               epoch_ms(min("dateTime")) AS first, epoch_ms(max("dateTime")) AS last,
               sum(hash(channel, url, extra)::HUGEINT)::VARCHAR AS texts
        FROM {lake.scan(f"file://{path_of(location)}")}
    """))
    return found


def added_files(table):
    """Path and snapshot of each data file. Nothing but appends was committed, so each is where it was added."""
    snapshot = table.current_snapshot()
    return [
        (str(path_of(entry.data_file.file_path)), entry.snapshot_id)
        for manifest in snapshot.manifests(table.io) for entry in manifest.fetch_manifest_entry(table.io)
    ]


def delays(options):
    seen = {int(snapshot): at for snapshot, at in json.loads(options.seen.read_text()).items()}
    files = added_files(open_table(options))
    names = [path for path, _ in files]
    connection = lake.open_duckdb()
    connection.register("files", pa.table({"filename": names, "seen": [seen[snapshot] for _, snapshot in files]}))
    connection.execute("""
        CREATE TEMP TABLE read AS
        SELECT auction, epoch_ms("dateTime") AS produced, (seen - epoch_ms("dateTime")) / 1000 AS delay
        FROM read_parquet($names, filename = true, hive_partitioning = false) JOIN files USING (filename)
    """, {"names": names})
    connection.execute(f"""
        CREATE TEMP TABLE windows AS
        SELECT *, ((produced - {options.since}) // {options.seconds * 1000})::INT AS number
        FROM read WHERE produced >= {options.since}
    """)
    [whole] = lake.rows(connection.execute("""
        SELECT count(*) AS rows, count(DISTINCT auction) AS different, max(auction) + 1 AS numbered FROM read
    """))
    figures = """count(*) AS rows, quantile_cont(delay, 0.5) AS p50_s, quantile_cont(delay, 0.99) AS p99_s,
                 max(delay) AS max_s"""
    [measured] = lake.rows(connection.execute(f"SELECT {figures} FROM windows WHERE number < {options.windows}"))
    each = lake.rows(connection.execute(f"""
        SELECT number, {figures} FROM windows WHERE number < {options.windows} GROUP BY number ORDER BY number
    """))
    return {"whole": whole, "measured": measured, "windows": each}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for run in (make, contents, delays):
        command = commands.add_parser(run.__name__)
        command.add_argument("catalog")
        command.set_defaults(run=run)
        if run is make:
            command.add_argument("--for", dest="system", required=True)
        if run is delays:
            command.add_argument("--seen", type=pathlib.Path, required=True)
            command.add_argument("--from", dest="since", type=int, required=True, metavar="MS")
            command.add_argument("--windows", type=int, required=True)
            command.add_argument("--seconds", type=int, required=True, help="that a window has")
    options = parser.parse_args()
    lake.answer(options.run(options))


if __name__ == "__main__":
    lake.run(main)
