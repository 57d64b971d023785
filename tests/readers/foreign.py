#!/usr/bin/env python3
"""Somebody else with the same table: PyIceberg, which knows nothing of our tag, our state or our ledger.

  foreign.py --catalog FILE --table shop.orders show
  foreign.py ... append --count 3              rows that are null where they may be
  foreign.py ... append --count 1 --at 0:999   a row that claims this partition and offset, of noon on the first of January
  foreign.py ... delete --where "quantity < 3"
  foreign.py ... rollback --to SNAPSHOT        main goes back; or --steps 1, that many snapshots
  foreign.py ... expire --id SNAPSHOT          or --keep 1, all but the newest and those that a ref holds
  foreign.py ... tag NAME                      on the snapshot that `main` is on
  foreign.py ... drop                          the table leaves the catalog; its files stay
  foreign.py ... add-column NAME TYPE          also drop-column NAME, widen NAME TYPE, set KEY VALUE
"""

import datetime
import decimal
import uuid

import lake
import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.types import (
    BooleanType, DateType, DecimalType, DoubleType, FloatType, IntegerType, LongType, StringType, TimestampType,
    TimestamptzType, TimeType, UUIDType,
)

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
TYPES = {
    "boolean": BooleanType(), "int": IntegerType(), "long": LongType(), "float": FloatType(), "double": DoubleType(),
    "string": StringType(), "date": DateType(), "timestamp": TimestampType(), "timestamptz": TimestamptzType(),
}
# A value for a column that may not be null.
VALUES = {
    BooleanType: True, IntegerType: -1, LongType: -1, FloatType: 0.5, DoubleType: 0.5, StringType: "foreign",
    DateType: NOON.date(), TimestampType: NOON.replace(tzinfo=None), TimestamptzType: NOON, TimeType: NOON.time(),
    DecimalType: decimal.Decimal(1), UUIDType: uuid.UUID(int=1).bytes,
}


def show(table, _):
    pass


def append(table, options):
    row = {f.name: VALUES.get(type(f.field_type), b"foreign") if f.required else None for f in table.schema().fields}
    if options.at:
        partition, offset = map(int, options.at.split(":"))
        row |= {f.name: NOON for f in table.schema().fields if isinstance(f.field_type, TimestamptzType)}
        row |= {"_kafka_partition": partition, "_kafka_offset": offset}
    table.append(pa.Table.from_pylist([row] * options.count, schema=schema_to_pyarrow(table.schema())))


def delete(table, options):
    table.delete(options.where)


def rollback(table, options):
    to = options.to
    if to is None:
        history = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots()}
        to = table.current_snapshot().snapshot_id
        for _ in range(options.steps):
            to = history[to].parent_snapshot_id
    # Also to a snapshot that is no ancestor: an operator's cherry-pick is nothing else.
    table.manage_snapshots().set_current_snapshot(snapshot_id=to).commit()


def expire(table, options):
    held = {ref.snapshot_id for ref in table.metadata.refs.values()}
    newest = sorted(table.snapshots(), key=lambda snapshot: snapshot.sequence_number)
    ids = options.id or [s.snapshot_id for s in newest[: len(newest) - options.keep] if s.snapshot_id not in held]
    table.maintenance.expire_snapshots().by_ids(ids).commit()


def tag(table, options):
    table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, options.name).commit()


def remove_tag(table, options):
    table.manage_snapshots().remove_tag(options.name).commit()


def drop(table, _):
    table.catalog.drop_table(table.name())


def add_column(table, options):
    with table.update_schema() as update:
        update.add_column(options.name, TYPES[options.type])


def drop_column(table, options):
    with table.update_schema() as update:
        update.delete_column(options.name)


def widen(table, options):
    with table.update_schema() as update:
        update.update_column(options.name, TYPES[options.type])


def set_property(table, options):
    with table.transaction() as transaction:
        transaction.set_properties({options.key: options.value})


def describe(table):
    """The table as it is now: refs, and snapshots by sequence number with what their summaries say."""
    return {
        "metadata": table.metadata_location,
        "uuid": table.metadata.table_uuid,
        "refs": {
            name: {"snapshot": ref.snapshot_id, "type": ref.snapshot_ref_type.value}
            for name, ref in table.metadata.refs.items()
        },
        "snapshots": [
            {
                "id": s.snapshot_id, "parent": s.parent_snapshot_id, "sequence_number": s.sequence_number,
                "timestamp_ms": s.timestamp_ms, "operation": s.summary.operation.value,
                "summary": s.summary.additional_properties,
            }
            for s in sorted(table.snapshots(), key=lambda s: s.sequence_number)
        ],
        "columns": {f.name: str(f.field_type) + (" required" if f.required else "") for f in table.schema().fields},
        "partition_spec": [
            f"{f.name}: {f.transform} of {table.schema().find_column_name(f.source_id)}" for f in table.spec().fields
        ],
        "properties": dict(table.properties),
    }


def main():
    parser = lake.arguments(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, run):
        added = commands.add_parser(name)
        added.set_defaults(run=run)
        return added

    command("show", show)
    command("drop", drop)
    added = command("append", append)
    added.add_argument("--count", type=int, default=1)
    added.add_argument("--at", metavar="PARTITION:OFFSET")
    command("delete", delete).add_argument("--where", required=True)
    command("tag", tag).add_argument("name")
    command("remove-tag", remove_tag).add_argument("name")
    where = command("rollback", rollback).add_mutually_exclusive_group(required=True)
    where.add_argument("--to", type=int, metavar="SNAPSHOT")
    where.add_argument("--steps", type=int)
    which = command("expire", expire).add_mutually_exclusive_group(required=True)
    which.add_argument("--id", type=int, action="append")
    which.add_argument("--keep", type=int)
    for name, run in (("add-column", add_column), ("widen", widen)):
        added = command(name, run)
        added.add_argument("name")
        added.add_argument("type", choices=TYPES)
    command("drop-column", drop_column).add_argument("name")
    added = command("set", set_property)
    added.add_argument("key")
    added.add_argument("value")
    options = parser.parse_args()

    options.run(lake.open_table(options), options)
    lake.answer({"dropped": options.table} if options.command == "drop" else describe(lake.open_table(options)))


if __name__ == "__main__":
    lake.run(main)
