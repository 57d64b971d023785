#!/usr/bin/env python3
"""Pairs of tables by PyIceberg, and what DuckDB finds where they differ: the judge of `tabletopic compare`.

  compared.py --catalog FILE --table ci.orders make --folder DIR --layout LAYOUT [--sql STATEMENT ...]
  compared.py --catalog FILE --table shop.returns copy --folder DIR --to shop.copied   its rows as DuckDB reads them
  compared.py --catalog FILE --table ci.orders judge --other ci.altered [--other ...]
  compared.py --catalog FILE --table ci.large many --folder DIR --rows N [--shuffled] [--without N]
  compared.py --catalog FILE --table ci.large run COMMAND ...          a command's exit code, answer and peak memory

`make` writes the same rows of all types each time; with statements of SQL a table for each, ci.orders_0 and so on, as the
statement leaves the rows of the table `b`, in which THIS_ROW is one without nulls. Layouts: `plain` by day in three files
in order; `other` other ids and order of columns, by another partition spec, rows in no order; `wide` like it, with the
types that others are widened to. `judge` counts as `compare` does, by EXCEPT ALL of what DuckDB's own reader finds.
"""

import datetime
import json
import os
import random
import resource
import subprocess
import uuid

import duckdb
import lake
import pyarrow as pa
from lake import quoted
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform, IdentityTransform
from pyiceberg.types import (
    BinaryType, BooleanType, DateType, DecimalType, DoubleType, FixedType, FloatType, IntegerType, ListType, LongType,
    MapType, NestedField, StringType, StructType, TimestampType, TimestamptzType, TimeType, UUIDType,
)

KEY = ["_kafka_topic", "_kafka_partition", "_kafka_offset"]
ROWS = 300
THIS_ROW = "_kafka_partition = 1 AND _kafka_offset = 7"
BEGIN = datetime.datetime(2026, 1, 1)
TYPES = {
    "_kafka_topic": StringType(), "_kafka_partition": IntegerType(), "_kafka_offset": LongType(),
    "flag": BooleanType(), "number": IntegerType(), "total": LongType(), "ratio": FloatType(), "price": DoubleType(),
    "amount": DecimalType(9, 2), "day": DateType(), "clock": TimeType(), "sent": TimestampType(),
    "seen": TimestamptzType(), "name": StringType(), "token": UUIDType(), "code": FixedType(4), "blob": BinaryType(),
}
WIDE = {
    "_kafka_partition": LongType(), "number": LongType(), "ratio": DoubleType(), "amount": DecimalType(12, 3),
    "token": StringType(), "code": BinaryType(), "sent": TimestamptzType(),
}
NESTED = ["place", "tags", "more"]


def nested(name, first):
    """The type of a nested column, its inner fields with ids from `first` on."""
    if name == "place":
        return StructType(NestedField(first, "x", IntegerType()), NestedField(first + 1, "y", StringType()))
    if name == "tags":
        return ListType(first, StringType(), element_required=False)
    return MapType(first, StringType(), first + 1, DoubleType(), value_required=False)


def schema_of(layout):
    names = [*TYPES, *NESTED]
    types = TYPES
    if layout != "plain":
        names = sorted(names, reverse=True)
    if layout == "wide":
        types = TYPES | WIDE
    ids = {name: at for at, name in enumerate(names, start=1 if layout == "plain" else 101)}
    top = max(ids.values())
    fields = [
        NestedField(ids[name], name, types.get(name) or nested(name, top + 1 + 10 * NESTED.index(name)))
        for name in names
    ]
    return Schema(*fields)


def spec_of(layout, schema):
    name, transform = {"plain": ("seen", DayTransform()), "wide": ("flag", IdentityTransform())}.get(
        layout, ("_kafka_partition", IdentityTransform())
    )
    field = name if isinstance(transform, IdentityTransform) else f"{name}_day"
    return PartitionSpec(PartitionField(schema.find_field(name).field_id, 1000, transform, field))


# Row 7 of topic partition 1.
WITHOUT_NULLS = {
    "flag": True, "number": 7, "total": 7, "ratio": 0.0, "price": 1.5, "amount": "12.34", "clock": datetime.time(7),
    "sent": BEGIN, "name": "", "token": "00000000-0000-0000-0000-000000000007", "code": b"abcd", "blob": b"ab",
    "place": {"x": 7, "y": "a"}, "tags": ["a", "b"], "more": {"k": 1.0},
}


def row(number, rng):
    def maybe(value):
        return rng.choice([None, value, value, value])

    at = BEGIN + datetime.timedelta(microseconds=rng.randrange(3 * 86_400_000_000))
    text = rng.choice(["", "a", "ä", "null", "long " * 20]) + str(rng.randrange(9))
    made = {
        "_kafka_topic": "orders", "_kafka_partition": number % 3, "_kafka_offset": number // 3,
        "flag": maybe(number % 2 == 0), "number": maybe(rng.randrange(-2**31, 2**31)),
        "total": maybe(rng.randrange(-2**63, 2**63)),
        "ratio": maybe(rng.choice([float("nan"), -0.0, 0.0, 0.5, -1.5, float("inf")])),
        "price": maybe(rng.choice([float("nan"), -0.0, 0.0, rng.uniform(-1e9, 1e9)])),
        "amount": maybe(f"{rng.randrange(-10**6, 10**6)}.{rng.randrange(100):02}"),
        "day": at.date(), "clock": maybe(at.time()), "sent": maybe(at), "seen": at, "name": maybe(text),
        "token": maybe(str(uuid.UUID(int=rng.getrandbits(128)))), "code": maybe(rng.randbytes(4)),
        "blob": maybe(rng.randbytes(rng.randrange(9))),
        "place": rng.choice([None, {"x": number, "y": None}, {"x": None, "y": text}]),
        "tags": rng.choice([None, [], ["a", None], [text, "b"]]),
        "more": rng.choice([None, {}, {"k": 1.0, "l": None}, {"z": float("nan"), "a": -0.0, "m": float(number)}]),
    }
    return made | WITHOUT_NULLS if number == 22 else made


COLUMNS = """_kafka_topic VARCHAR, _kafka_partition INT, _kafka_offset BIGINT, flag BOOLEAN, number INT, total BIGINT,
    ratio FLOAT, price DOUBLE, amount DECIMAL(9, 2), day DATE, clock TIME, sent TIMESTAMP, seen TIMESTAMP, name VARCHAR,
    token VARCHAR, code BLOB, blob BLOB, place STRUCT(x INT, y VARCHAR), tags VARCHAR[], more MAP(VARCHAR, DOUBLE)"""


def altered(options):
    """A name and its rows, for each statement."""
    db = duckdb.connect()

    def texts(name):
        return sorted(db.execute(f"SELECT t::VARCHAR FROM {name} t").fetchall())

    db.execute(f"CREATE TABLE original ({COLUMNS})")
    rng = random.Random(11)
    rows = [list(row(number, rng).values()) for number in range(ROWS)]
    db.executemany(f"INSERT INTO original VALUES ({', '.join('?' * len(rows[0]))})", rows)
    if not options.sql:
        yield options.table, db.execute("FROM original").to_arrow_table().to_pylist()
    for at, statement in enumerate(options.sql):
        db.execute("CREATE OR REPLACE TABLE b AS FROM original")
        db.execute(statement.replace("THIS_ROW", THIS_ROW))
        if texts("b") == texts("original"):
            raise SystemExit(f"it changes nothing: {statement}")
        yield f"{options.table}_{at}", db.execute("FROM b").to_arrow_table().to_pylist()


def as_arrow(rows, schema):
    columns = []
    for field in schema_to_pyarrow(schema):
        values = [each[field.name] for each in rows]
        if field.name == "token" and not pa.types.is_string(field.type) and not pa.types.is_large_string(field.type):
            values = [value and uuid.UUID(value).bytes for value in values]
            storage = pa.array(values, pa.binary(16))
            columns.append(storage.cast(field.type) if storage.type != field.type else storage)
        elif pa.types.is_timestamp(field.type) and field.type.tz:
            columns.append(pa.array(values, pa.timestamp("us")).cast(field.type))
        elif pa.types.is_decimal(field.type):
            columns.append(pa.array(values, pa.decimal128(9, 2)).cast(field.type))
        else:
            columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema_to_pyarrow(schema))


def create(options, schema, spec=PartitionSpec(), table=None):
    catalog = lake.open_catalog(options)
    catalog.create_namespace_if_not_exists(options.table.split(".")[0])
    table = table or options.table
    location = f"file://{os.path.abspath(options.folder)}/{table}"
    return catalog.create_table(table, schema, location, partition_spec=spec)


def make(options):
    for name, rows in altered(options):
        schema = schema_of(options.layout)
        table = create(options, schema, spec_of(options.layout, schema), name)
        # PyIceberg gives its own ids to a new table's columns.
        schema = table.schema()
        files = 3
        if options.layout != "plain":
            random.Random(5).shuffle(rows)
            for each in rows:
                each["more"] = each["more"] and each["more"][::-1]
            files = 2
        size = -(-len(rows) // files)
        for first in range(0, len(rows), size):
            table.append(as_arrow(rows[first:first + size], schema))
    lake.answer({})


def copy(options):
    source = lake.open_table(options)
    found = lake.open_duckdb().execute(f"SELECT * FROM {lake.scan(source.metadata_location)}").to_arrow_table()
    table = create(options, source.schema(), table=options.to)
    table.append(found.cast(schema_to_pyarrow(table.schema())))
    lake.answer({"rows": found.num_rows})


def many(options):
    """Numbers, and texts of some length, in a few files."""
    schema = Schema(
        NestedField(1, "_kafka_partition", IntegerType()), NestedField(2, "_kafka_offset", LongType()),
        NestedField(3, "customer", LongType()), NestedField(4, "price", DoubleType()),
        NestedField(5, "sent", TimestamptzType()), NestedField(6, "name", StringType()),
    )
    table = create(options, schema)
    target = schema_to_pyarrow(table.schema())
    db = duckdb.connect()
    db.execute(f"""
        CREATE TABLE numbers AS SELECT range AS n, range * 2654435761 % 1000003 AS mixed
        FROM range({options.without}, {options.rows}) ORDER BY {"hash(range)" if options.shuffled else "range"}""")
    rows = db.execute("""
        SELECT (n % 4)::INT AS _kafka_partition, n // 4 AS _kafka_offset, mixed AS customer, mixed / 7 AS price,
               make_timestamp(n * 1000) AS sent, 'customer ' || mixed || ' of the shop' AS name
        FROM numbers""").to_arrow_table()
    size = -(-rows.num_rows // 4)
    for first in range(0, rows.num_rows, size):
        part = rows.slice(first, size)
        columns = [part.column(field.name).cast(field.type) for field in target]
        table.append(pa.Table.from_arrays(columns, schema=target))
    lake.answer({"rows": rows.num_rows})


def compared_as(name, kind):
    """SQL for a column so that equal values, and no others, are equal: DuckDB's -0.0 equals 0.0."""
    if kind in ("FLOAT", "DOUBLE"):
        return f"{quoted(name)}::DOUBLE::VARCHAR"
    if kind.startswith("MAP"):
        return f"list_sort(map_entries({quoted(name)}))::VARCHAR"
    return quoted(name)


def judge(options):
    db = lake.open_duckdb()

    def show(view, name):
        table = lake.open_catalog(options).load_table(name)
        columns = db.execute(f"DESCRIBE SELECT * FROM {lake.scan(table.metadata_location)}").fetchall()
        selected = ", ".join(f"{compared_as(name, kind)} AS {quoted(name)}" for name, kind, *_ in sorted(columns))
        db.execute(f"CREATE OR REPLACE TABLE {view} AS SELECT {selected} FROM {lake.scan(table.metadata_location)}")

    show("a", options.table)
    key = ", ".join(KEY)
    counts = []
    for other in options.other:
        show("b", other)
        # A null equals a null.
        counts += lake.rows(db.execute(f"""
            WITH beyond AS (
                SELECT 1 AS ua, 0 AS ub, 0 AS ra, 0 AS rb, {key} FROM (SELECT * FROM a EXCEPT ALL SELECT * FROM b)
                UNION ALL SELECT 0, 1, 0, 0, {key} FROM (SELECT * FROM b EXCEPT ALL SELECT * FROM a)
                UNION ALL SELECT 0, 0, 1, 0, {key} FROM a UNION ALL SELECT 0, 0, 0, 1, {key} FROM b
            ), keys AS (SELECT sum(ua) AS ua, sum(ub) AS ub, sum(ra) AS ra, sum(rb) AS rb FROM beyond GROUP BY {key})
            SELECT coalesce(sum(ua) FILTER (rb = 0), 0)::BIGINT AS only_in_a,
                   coalesce(sum(ub) FILTER (ra = 0), 0)::BIGINT AS only_in_b,
                   count(*) FILTER (ua > 0 AND ub > 0) AS different,
                   coalesce(sum(ua) FILTER (rb > 0 AND ub = 0), 0)::BIGINT AS more_in_a,
                   coalesce(sum(ub) FILTER (ra > 0 AND ua = 0), 0)::BIGINT AS more_in_b,
                   count(*) FILTER (ra > 1) AS repeated_in_a, count(*) FILTER (rb > 1) AS repeated_in_b
            FROM keys"""))
    lake.answer({"counts": counts})


def run(options):
    ended = subprocess.run(options.command, capture_output=True, text=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        answer = json.loads(ended.stdout)
    except ValueError:
        answer = ended.stdout
    lake.answer({
        "code": ended.returncode, "answer": answer, "said": ended.stderr, "peak_mib": peak.ru_maxrss // 1024,
        "cpu_seconds": peak.ru_utime + peak.ru_stime,
    })


def main():
    parser = lake.arguments(__doc__)
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make")
    making.add_argument("--folder", required=True)
    making.add_argument("--layout", choices=["plain", "other", "wide"], required=True)
    making.add_argument("--sql", action="append", default=[])
    making.set_defaults(run=make)
    copying = commands.add_parser("copy")
    copying.add_argument("--folder", required=True)
    copying.add_argument("--to", required=True)
    copying.set_defaults(run=copy)
    judging = commands.add_parser("judge")
    judging.add_argument("--other", action="append", required=True)
    judging.set_defaults(run=judge)
    making_many = commands.add_parser("many")
    making_many.add_argument("--folder", required=True)
    making_many.add_argument("--rows", type=int, required=True)
    making_many.add_argument("--without", type=int, default=0, metavar="N", help="the first N rows")
    making_many.add_argument("--shuffled", action="store_true")
    making_many.set_defaults(run=many)
    running = commands.add_parser("run")
    running.add_argument("command", nargs="+")
    running.set_defaults(run=run)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    lake.run(main)
