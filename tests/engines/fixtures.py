"""Tables as real writers leave them, for maintained.py: each with what makes it hard to write its rows again.

Files that no writer makes easily, such as 10,000 of them in one commit, are written by pyarrow and appended by PyIceberg.
"""

import datetime
import decimal
import logging
import pathlib
import random
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import parquet_file_to_data_file, schema_to_pyarrow
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform, TruncateTransform
from pyiceberg.types import (
    BinaryType, DecimalType, DoubleType, FloatType, IntegerType, ListType, LongType, MapType, NestedField, StringType,
    StructType, TimestamptzType,
)

NAMESPACE = "shop"
TINY_FILES = 10_000
# Of incompressible rows, so that the row group is as large in the file.
ROW_GROUP_BYTES = 2 << 30
ROW_BYTES = 4 << 10
# What takes rows out of a file without writing it again.
MERGE_ON_READ = {"format-version": "2", "write.delete.mode": "merge-on-read", "write.update.mode": "merge-on-read"}
BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def orders(first, count, **more):
    """Columns of orders: three days of event time, a text that is null now and then, and what else is asked for."""
    ids = range(first, first + count)
    return {
        "id": list(ids), "at": [BEGAN + datetime.timedelta(minutes=7 * (number % 600)) for number in ids],
        "region": [[None, "eu", "us", "a/b=c&d ü%20"][number % 4] for number in ids],
        "amount": [number / 8 for number in ids],
    } | {name: [of(number) for number in ids] for name, of in more.items()}


ORDERS = Schema(
    NestedField(1, "id", LongType(), required=False), NestedField(2, "at", TimestamptzType(), required=False),
    NestedField(3, "region", StringType(), required=False), NestedField(4, "amount", DoubleType(), required=False),
)


def append(table, columns):
    table.append(pa.table(columns, schema=schema_to_pyarrow(table.schema(), include_field_ids=False)))


def append_files(table, paths):
    """Files that are written already, in one commit."""
    with table.transaction() as change, change.update_snapshot().fast_append() as appending:
        for path in paths:
            appending.append_data_file(parquet_file_to_data_file(table.io, table.metadata, f"file://{path}"))


def data_folder(table):
    folder = pathlib.Path(table.location().removeprefix("file://")) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def several_specs(catalog, name):
    spec = PartitionSpec(PartitionField(3, 1000, IdentityTransform(), "region"))
    table = catalog.create_table(name, ORDERS, partition_spec=spec, properties=MERGE_ON_READ)
    for number in range(4):
        append(table, orders(number * 500, 500))
    with table.update_spec() as change:
        change.add_field("at", DayTransform(), "day")
    for number in range(4, 8):
        append(table, orders(number * 500, 500))
    with table.update_spec() as change:
        change.remove_field("region")
        change.remove_field("day")
        change.add_field("id", BucketTransform(3), "of_id")
        change.add_field("region", TruncateTransform(1), "letter")
    for number in range(8, 12):
        append(table, orders(number * 500, 500))


def evolved(catalog, name):
    """Columns are added, renamed, moved, widened and dropped between the files; one has the name of one that is gone."""
    schema = Schema(
        *ORDERS.fields, NestedField(5, "units", IntegerType(), required=False),
        NestedField(6, "weight", FloatType(), required=False),
        NestedField(7, "price", DecimalType(9, 2), required=False), NestedField(8, "note", StringType(), required=False),
    )
    spec = PartitionSpec(PartitionField(2, 1000, DayTransform(), "day"))
    table = catalog.create_table(name, schema, partition_spec=spec, properties=MERGE_ON_READ)
    more = {
        "units": lambda number: number % 100 or None, "weight": lambda number: number / 8,
        "price": lambda number: decimal.Decimal(number).scaleb(-2), "note": lambda number: f"note {number % 7}",
    }
    for number in range(3):
        append(table, orders(number * 500, 500, **more))
    with table.update_schema() as change:
        change.rename_column("note", "remark")
        change.update_column("units", LongType())
        change.update_column("weight", DoubleType())
        change.update_column("price", DecimalType(18, 2))
        change.add_column("added", StringType())
        change.delete_column("amount")
    with table.update_schema() as change:
        change.add_column("amount", StringType())
        change.move_first("remark")
    wider = {
        "units": lambda number: number << 33, "weight": lambda number: number / 3,
        "price": lambda number: decimal.Decimal(number << 30).scaleb(-2), "remark": lambda number: None,
        "added": lambda number: f"added {number}", "amount": lambda number: f"{number} €",
    }
    for number in range(3, 6):
        append(table, orders(number * 500, 500, **wider))


def nested(catalog, name):
    """Structs, lists and maps in one another, null or empty at each level; a member is added and one is renamed."""
    place = StructType(
        NestedField(10, "city", StringType(), required=False), NestedField(11, "zip", IntegerType(), required=False),
    )
    item = StructType(
        NestedField(12, "sku", StringType(), required=False), NestedField(13, "count", IntegerType(), required=False),
    )
    schema = Schema(
        *ORDERS.fields, NestedField(5, "place", place, required=False),
        NestedField(6, "items", ListType(14, item, element_required=False), required=False),
        NestedField(7, "scores", MapType(15, StringType(), 16, ListType(17, LongType(), element_required=False),
                                         value_required=False), required=False),
        NestedField(8, "data", BinaryType(), required=False),
    )
    table = catalog.create_table(name, schema, properties=MERGE_ON_READ)
    more = {
        "place": lambda number: [None, {"city": None, "zip": number}, {"city": f"c{number}", "zip": None}][number % 3],
        "items": lambda number: [None, [], [None, {"sku": f"s{number}", "count": None}]][number % 3],
        "scores": lambda number: [None, {}, {"a": None}, {"b": [], "c": [number, None]}][number % 4],
        "data": lambda number: uuid.UUID(int=number).bytes[: number % 17],
    }
    for number in range(3):
        append(table, orders(number * 300, 300, **more))
    with table.update_schema() as change:
        change.rename_column("place.city", "town")
        change.update_column("place.zip", LongType())
        change.add_column(("place", "country"), StringType())
        change.add_column(("items", "price"), DoubleType())
    later = more | {
        "place": lambda number: [None, {"town": f"t{number}", "zip": number << 33, "country": "de"}][number % 2],
        "items": lambda number: [[], [{"sku": None, "count": number, "price": number / 3}]][number % 2],
    }
    for number in range(3, 6):
        append(table, orders(number * 300, 300, **later))


def empty_files(catalog, name):
    """Some files have no rows, and one of them not even a row group."""
    table = catalog.create_table(name, ORDERS, properties=MERGE_ON_READ)
    append(table, orders(0, 100))
    # PyIceberg warns of statistics that nobody can have.
    logging.getLogger("pyiceberg.io.pyarrow").setLevel(logging.ERROR)
    schema, folder = schema_to_pyarrow(table.schema()), data_folder(table)
    pq.write_table(schema.empty_table(), folder / "empty.parquet")
    with pq.ParquetWriter(folder / "no-row-group.parquet", schema):
        pass
    append_files(table, [folder / "empty.parquet", folder / "no-row-group.parquet"])
    append(table, orders(100, 100))


def tiny_files(catalog, name):
    table = catalog.create_table(name, ORDERS, properties=MERGE_ON_READ)
    schema, folder = schema_to_pyarrow(table.schema()), data_folder(table)
    paths = [folder / f"tiny-{number:05}.parquet" for number in range(TINY_FILES)]
    for number, path in enumerate(paths):
        pq.write_table(pa.table(orders(number * 5, 5), schema=schema), path)
    append_files(table, paths)


def one_row_group(catalog, name):
    """A file with all its rows in one row group, and a small one, so that there is something to merge."""
    fields = [NestedField(1, "id", LongType(), required=False), NestedField(2, "data", BinaryType(), required=False)]
    table = catalog.create_table(name, Schema(*fields), properties=MERGE_ON_READ)
    schema, path = schema_to_pyarrow(table.schema()), data_folder(table) / "large.parquet"
    chance, rows = random.Random(1), 8192
    count = ROW_GROUP_BYTES // ROW_BYTES
    batches = []
    for first in range(0, count, rows):
        data = pa.py_buffer(chance.randbytes(rows * ROW_BYTES))
        data = pa.Array.from_buffers(pa.binary(ROW_BYTES), rows, [None, data])
        batches.append(pa.record_batch([pa.array(range(first, first + rows)), data.cast(pa.large_binary())], schema=schema))
    pq.write_table(
        pa.Table.from_batches(batches), path, row_group_size=count, use_dictionary=False, compression="zstd",
    )
    assert pq.read_metadata(path).num_row_groups == 1
    append_files(table, [path])
    append(table, {"id": [count, count + 1], "data": [b"", None]})


BY_PYICEBERG = {
    f"{NAMESPACE}.{make.__name__}": make
    for make in (several_specs, evolved, nested, empty_files, tiny_files, one_row_group)
}

# Position deletes: of a table of Spark's own, and of those of PyIceberg's, whose files are of earlier specs and schemas.
BY_SPARK = {
    "shop.position_deletes": [
        """CREATE TABLE lake.shop.position_deletes (id BIGINT, at TIMESTAMP, region STRING, amount DOUBLE) USING iceberg
           PARTITIONED BY (bucket(4, id)) TBLPROPERTIES ('format-version' = '2', 'write.delete.mode' = 'merge-on-read',
           'write.update.mode' = 'merge-on-read', 'write.merge.mode' = 'merge-on-read')""",
        *[f"""INSERT INTO lake.shop.position_deletes
              SELECT id, timestamp_seconds(1767225600 + 13 * id), if(id % 3 = 0, NULL, concat('r', id % 5)), id / 8
              FROM range({first}, {first + 2000})""" for first in range(0, 8000, 2000)],
        "DELETE FROM lake.shop.position_deletes WHERE id % 7 = 0",
        "UPDATE lake.shop.position_deletes SET region = 'updated' WHERE id % 11 = 0",
        """MERGE INTO lake.shop.position_deletes t USING (SELECT id * 5 AS id FROM range(0, 2000)) s ON t.id = s.id
           WHEN MATCHED AND t.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET amount = -1
           WHEN NOT MATCHED THEN INSERT (id, region) VALUES (s.id, 'merged')""",
        # All rows of some files.
        "DELETE FROM lake.shop.position_deletes WHERE id >= 3000 AND id < 5000 AND amount > 0",
    ],
    **{f"shop.{name}": [f"DELETE FROM lake.shop.{name} WHERE id % 13 = 5", f"DELETE FROM lake.shop.{name} WHERE id % 17 = 6"]
       for name in ("several_specs", "evolved", "nested", "empty_files")},
    # Each delete file is of one data file, and Spark takes its time.
    "shop.tiny_files": ["DELETE FROM lake.shop.tiny_files WHERE id % 3 = 1 AND id < 1000"],
    # Also at the end of the row group.
    "shop.one_row_group": [f"DELETE FROM lake.shop.one_row_group WHERE id % 100003 = 7 OR id = {ROW_GROUP_BYTES // ROW_BYTES - 1}"],
}

# Equality deletes: an upsert deletes all that has its key.
BY_FLINK = {
    "shop.equality_deletes": [
        """CREATE TABLE lake.shop.equality_deletes (id BIGINT, region STRING, amount DOUBLE, PRIMARY KEY (id) NOT ENFORCED)
           WITH ('format-version' = '2', 'write.upsert.enabled' = 'true')""",
        *[f"""INSERT INTO lake.shop.equality_deletes VALUES
              {", ".join(f"({number}, 'region {number % step}', {number / step})" for number in range(0, 600, step))}"""
          for step in (1, 2, 3, 5)],
    ],
}
