#!/usr/bin/env python3
"""A table by PyIceberg whose files want to be arranged anew, and what an outside reader finds of it.

  arranged.py --catalog FILE --table shop.visits make --folder DIR        of three partition specs, with a sort order
  arranged.py --catalog FILE --table shop.visits make --folder DIR --large   three files that hardly compress
  arranged.py --catalog FILE --table shop.visits append                 ten more rows, in a file of their own
  arranged.py --catalog FILE --table shop.visits unpartition
  arranged.py --catalog FILE --table shop.visits look --order day,id

`look` answers with what DuckDB counts, and for each file its spec, sort order, rows and row groups, and whether PyArrow
finds its rows in the order asked for: ascending, nulls first.
"""

import datetime
import os
import random

import lake
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import DayTransform, IdentityTransform
from pyiceberg.types import (
    BinaryType, DoubleType, IntegerType, ListType, LongType, MapType, NestedField, StringType, StructType,
    TimestamptzType,
)

SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "region", StringType()),
    NestedField(3, "at", TimestamptzType(), required=True),
    NestedField(4, "customer", LongType()),
    NestedField(5, "amount", DoubleType()),
    NestedField(6, "place", StructType(NestedField(7, "x", IntegerType()), NestedField(8, "y", IntegerType()))),
    NestedField(9, "tags", ListType(10, StringType(), element_required=False)),
    NestedField(11, "more", MapType(12, StringType(), 13, LongType(), value_required=False)),
    NestedField(14, "blob", BinaryType()),
)
ORDER = SortOrder(SortField(source_id=4, transform=IdentityTransform()))
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def row(number, rng):
    return {
        "id": number,
        "region": rng.choice(["north", "south", None]),
        "at": BEGIN + datetime.timedelta(minutes=rng.randrange(3 * 24 * 60)),
        "customer": rng.choice([None, rng.randrange(-50, 50)]),
        "amount": rng.choice([None, float("nan"), -0.0, 0.0, rng.uniform(-1e9, 1e9)]),
        "place": rng.choice([None, {"x": rng.randrange(100), "y": None}, {"x": None, "y": rng.randrange(100)}]),
        "tags": rng.choice([None, [], ["a", None], ["b"] * rng.randrange(5)]),
        "more": rng.choice([None, [], [("k", number), ("null", None)]]),
        "blob": rng.randbytes(8),
    }


def make(options):
    rng = random.Random(7)
    location = f"file://{os.path.abspath(options.folder)}"
    table = lake.open_catalog(options).create_table(options.table, SCHEMA, location, sort_order=ORDER)

    def append(count, first):
        rows = [row(first + at, rng) for at in range(count)]
        if options.large:
            rows = [each | {"blob": rng.randbytes(4000)} for each in rows]
        table.append(pa.Table.from_pylist(rows, schema=schema_to_pyarrow(table.schema())))

    if options.large:
        for first in (0, 5000, 10000):
            append(5000, first)
        return lake.answer({})
    for first in range(0, 500, 100):
        append(100, first)
    with table.update_spec() as spec:
        spec.add_field("region", IdentityTransform(), "region")
    for first in range(500, 800, 100):
        append(100, first)
    with table.update_spec() as spec:
        spec.remove_field("region")
        spec.add_field("at", DayTransform(), "day")
    for first in range(800, 1100, 100):
        append(100, first)
    lake.answer({})


def append_ten(options):
    table, rng = lake.open_table(options), random.Random(8)
    rows = [row(100_000 + at, rng) for at in range(10)]
    table.append(pa.Table.from_pylist(rows, schema=schema_to_pyarrow(table.schema())))
    lake.answer({})


def unpartition(options):
    with lake.open_table(options).update_spec() as spec:
        spec.remove_field("day")
    lake.answer({})


def look(options):
    table = lake.open_table(options)
    counted = lake.open_duckdb().execute(
        f"SELECT count(*) AS rows, sum(hash(t)::HUGEINT) AS hash, sum(id) AS ids FROM {lake.scan(table.metadata_location)} t"
    )
    files = []
    for task in table.scan().plan_files():
        file = task.file
        path = file.file_path.removeprefix("file://")
        read = pyarrow.parquet.ParquetFile(path)
        groups = [read.metadata.row_group(at) for at in range(read.metadata.num_row_groups)]
        keys = read.read(columns=options.order).select(options.order) if options.order else None
        files.append({
            "spec": file.spec_id, "sort_order": file.sort_order_id, "rows": file.record_count,
            "partition": [str(value) for value in file.partition],
            "in_order": keys is not None and in_order(keys),
            "row_groups": [sum(g.column(c).total_compressed_size for c in range(g.num_columns)) for g in groups],
            "indexed": all(g.column(0).has_offset_index and g.column(0).has_column_index for g in groups),
            "codecs": sorted({g.column(c).compression for g in groups for c in range(g.num_columns)}),
        })
    lake.answer({"counted": lake.rows(counted)[0], "files": sorted(files, key=lambda file: file["rows"])})


def in_order(keys):
    rows = zip(*(column.to_pylist() for column in keys.columns), strict=True)
    rows = [[(value is not None, value) for value in row] for row in rows]
    return all(ranked(a) <= ranked(b) for a, b in zip(rows, rows[1:]))


def ranked(row):
    return [(there, value if there else 0) for there, value in row]


def main():
    parser = lake.arguments(__doc__)
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make")
    making.add_argument("--folder", required=True)
    making.add_argument("--large", action="store_true")
    making.set_defaults(run=make)
    commands.add_parser("append").set_defaults(run=append_ten)
    commands.add_parser("unpartition").set_defaults(run=unpartition)
    looking = commands.add_parser("look")
    looking.add_argument("--order", type=lambda text: text.split(","), default=[])
    looking.set_defaults(run=look)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    lake.run(main)
