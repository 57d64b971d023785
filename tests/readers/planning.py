#!/usr/bin/env python3
"""How much does a query have to look at before it reads rows, and how long does that take beside a new table?

  planning.py --catalog FILE --table shop.orders
  planning.py ... --beside FOLDER --column created_at

Prints one JSON object with the sizes of the newest snapshot's metadata, and of the table's folder. With --beside, PyIceberg
writes the same rows into a new table in this folder, partitioned alike, and plans a query of each day on both, in turns:
`days` has, for each day and table, the files of the plan, and the median seconds of planning alone, and of loading the
table and planning; `times`, the median of how many times as long the table's planning takes as that of the new one right
before or after it.
"""

import collections
import datetime
import pathlib
import statistics
import time
from urllib.parse import urlparse

import lake
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan
from pyiceberg.manifest import clear_manifest_cache
from pyiceberg.partitioning import PartitionField, PartitionSpec

TURNS = 200
DAY = datetime.timedelta(days=1)
COPY = "new.copy"


def main():
    parser = lake.arguments(__doc__)
    parser.add_argument("--beside", type=pathlib.Path, metavar="FOLDER", help="where the new table goes")
    parser.add_argument("--column", help="the time that both are partitioned by, and the queries are of a day of")
    options = parser.parse_args()

    catalog = lake.open_catalog(options)
    table = catalog.load_table(options.table)
    answer = {"table": sizes(table)}
    if options.beside:
        rows = table.scan().to_arrow()
        new = written_anew(options.beside, table, rows)
        tables = {"table": (catalog, options.table), "new": (new, COPY)}
        # Rows without a time are of no day.
        days = sorted(set(rows[options.column].drop_null().cast("date32").to_pylist()))
        answer |= {
            "new": sizes(new.load_table(COPY)), "rows": rows.num_rows,
            "days": {str(day): medians(tables, of_day(options.column, day)) for day in days},
        }
    lake.answer(answer)


def sizes(table):
    manifests = table.current_snapshot().manifests(table.io)
    entries = [entry for manifest in manifests for entry in manifest.fetch_manifest_entry(table.io)]
    there = collections.Counter()
    folder = local(table.metadata.location)
    for name in ("data", "metadata"):
        for file in folder.joinpath(name).rglob("*"):
            # Some leave while they are counted.
            try:
                there[name] += file.stat().st_size
                there[f"{name} files"] += file.is_file()
            except FileNotFoundError:
                pass
    return {
        "snapshots": len(table.metadata.snapshots), "manifests": len(manifests), "files": len(entries),
        "metadata_bytes": local(table.metadata_location).stat().st_size, "folder": there,
    }


def local(location):
    return pathlib.Path(urlparse(location).path)


def written_anew(folder, table, rows):
    """A catalog with nothing but a copy of the table, which one append has written."""
    folder.mkdir()
    catalog = SqlCatalog("new", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
    catalog.create_namespace("new")
    # Field ids are given anew.
    ids = catalog.create_table(COPY, schema=table.schema()).schema()
    catalog.drop_table(COPY)
    fields = [
        PartitionField(
            source_id=ids.find_field(table.schema().find_column_name(field.source_id)).field_id,
            field_id=field.field_id, transform=field.transform, name=field.name,
        )
        for field in table.spec().fields
    ]
    catalog.create_table(COPY, schema=table.schema(), partition_spec=PartitionSpec(*fields)).append(rows)
    return catalog


def of_day(column, day):
    midnight = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    return And(GreaterThanOrEqual(column, midnight.isoformat()), LessThan(column, (midnight + DAY).isoformat()))


def medians(tables, asked):
    """Of each table, with nothing remembered from before."""
    planned, loaded, files = collections.defaultdict(list), collections.defaultdict(list), {}
    for _ in range(TURNS):
        for name, (catalog, table) in tables.items():
            clear_manifest_cache()
            began = time.perf_counter()
            found = catalog.load_table(table)
            between = time.perf_counter()
            files[name] = len(list(found.scan(row_filter=asked).plan_files()))
            ended = time.perf_counter()
            planned[name].append(ended - between)
            loaded[name].append(ended - began)
    times = statistics.median(ours / new for ours, new in zip(planned["table"], planned["new"], strict=True))
    return {"times": times} | {
        name: {
            "files": files[name], "planned": statistics.median(planned[name]),
            "loaded_and_planned": statistics.median(loaded[name]),
        }
        for name in tables
    }


if __name__ == "__main__":
    lake.run(main)
