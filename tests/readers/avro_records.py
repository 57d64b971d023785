"""Records that Confluent's Avro serializer writes, and the rows that a table should have for them.

Each batch is a schema with pairs of a record and its row. A row names only the columns that are not null.
"""

import datetime
import decimal
import json
import uuid

UTC = datetime.timezone.utc
AT = datetime.datetime(2026, 1, 31, 9, 26, 56, 123456)
BEFORE = datetime.datetime(1969, 12, 31, 23, 59, 59, 999000)
ID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")


def logical(ty, name, **more):
    return {"type": ty, "logicalType": name} | more


def fixed(name, size, **more):
    return {"type": "fixed", "name": name, "size": size} | more


# Column, type, and pairs of what is written and what is read; one pair says that they are the same.
TYPES = [
    ("c_boolean", "boolean", [True, False]),
    ("c_int", "int", [2**31 - 1, -(2**31)]),
    ("c_long", "long", [2**63 - 1, -(2**63)]),
    ("c_float", "float", [0.5, -1.25]),
    ("c_double", "double", [0.1, -1e308]),
    ("c_bytes", "bytes", [b"\x00\xff", b""]),
    ("c_string", "string", ["naïve 🦉", ""]),
    ("c_fixed", fixed("F", 3), [b"abc", b"\x00\x01\x02"]),
    ("c_enum", {"type": "enum", "name": "E", "symbols": ["NEW", "PAID"]}, ["NEW", "PAID"]),
    ("c_array", {"type": "array", "items": ["null", "int"]}, [[1, None, 3], []]),
    ("c_map", {"type": "map", "values": "long"}, [{"a": 1, "b": 2}, {}]),
    ("c_record", {"type": "record", "name": "R", "fields": [
        {"name": "x", "type": "int"}, {"name": "y", "type": ["null", "string"]},
    ]}, [{"x": 1, "y": "z"}, {"x": 2, "y": None}]),
    ("c_nullable", ["null", "string"], ["x", None]),
    ("c_union", ["null", "int", "string"], [(5, {"int": 5, "string": None}), ("six", {"int": None, "string": "six"})]),
    ("c_decimal", logical("bytes", "decimal", precision=9, scale=2),
     [decimal.Decimal("1234567.89"), decimal.Decimal("-0.01")]),
    ("c_decimal_fixed", fixed("D", 16, logicalType="decimal", precision=38, scale=0),
     [decimal.Decimal(10**38 - 1), decimal.Decimal(-(10**38) + 1)]),
    ("c_date", logical("int", "date"), [AT.date(), datetime.date(1969, 12, 31)]),
    ("c_time_millis", logical("int", "time-millis"), [datetime.time(9, 26, 56, 123000), datetime.time(0)]),
    ("c_time_micros", logical("long", "time-micros"), [AT.time(), datetime.time(23, 59, 59, 999999)]),
    ("c_timestamp_millis", logical("long", "timestamp-millis"),
     [AT.replace(microsecond=123000, tzinfo=UTC), BEFORE.replace(tzinfo=UTC)]),
    ("c_timestamp_micros", logical("long", "timestamp-micros"), [AT.replace(tzinfo=UTC), BEFORE.replace(tzinfo=UTC)]),
    # Python has no nanoseconds, so that the number is written as it is.
    ("c_timestamp_nanos", logical("long", "timestamp-nanos"),
     [(1769851616123456000, AT.replace(tzinfo=UTC)), (-1000000, BEFORE.replace(tzinfo=UTC))]),
    ("c_local_millis", logical("long", "local-timestamp-millis"), [AT.replace(microsecond=123000), BEFORE]),
    ("c_local_micros", logical("long", "local-timestamp-micros"), [AT, BEFORE]),
    ("c_local_nanos", logical("long", "local-timestamp-nanos"), [(1769851616123456000, AT), (-1000000, BEFORE)]),
    ("c_uuid", logical("string", "uuid"), [ID, uuid.UUID(int=0)]),
    ("c_uuid_fixed", fixed("U", 16, logicalType="uuid"), [(ID.bytes, ID), (bytes(16), uuid.UUID(int=0))]),
    ("c_duration", fixed("P", 12, logicalType="duration"), [
        (b"\x01\0\0\0\x02\0\0\0\xff\xff\xff\xff", {"months": 1, "days": 2, "millis": 2**32 - 1}),
        (bytes(12), {"months": 0, "days": 0, "millis": 0}),
    ]),
    ("c_default", {"type": "string"}, ["given", "none"]),
]


def everything():
    fields = [{"name": name, "type": ty} for name, ty, _ in TYPES]
    fields[-1]["default"] = "none"
    pairs = []
    for index in range(2):
        values = {name: both[index] for name, _, both in TYPES}
        written = {name: value[0] if isinstance(value, tuple) else value for name, value in values.items()}
        read = {name: value[1] if isinstance(value, tuple) else value for name, value in values.items()}
        if index == 1:
            # The writer fills the default in, so that it is a value like any other.
            del written["c_default"]
        pairs.append((written, read))
    return order(fields, "Everything"), pairs


def order(fields, name="Order"):
    return {"type": "record", "name": name, "namespace": "shop", "fields": fields}


def item(*fields):
    return {"type": "record", "name": "Item", "fields": [{"name": name, "type": ty} for name, ty in fields]}


def first():
    schema = order([
        {"name": "id", "type": "int"}, {"name": "amount", "type": "float"}, {"name": "note", "type": "string"},
        {"name": "items", "type": {"type": "array", "items": item(("sku", "string"))}},
        {"name": "tags", "type": {"type": "map", "values": "Item"}},
    ])
    same = [
        {"id": n, "amount": n / 2, "note": f"n{n}", "items": [{"sku": f"s{n}"}], "tags": {"k": {"sku": "t"}}}
        for n in range(20)
    ]
    return schema, [(record, record) for record in same]


def second():
    """Wider, with new columns also in lists and maps, without `note`, and in another order."""
    schema = order([
        {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["NEW"]}, "default": "NEW"},
        {"name": "tags", "type": {"type": "map", "values": item(("sku", "string"), ("count", ["null", "long"]))}},
        {"name": "items", "type": {"type": "array", "items": "Item"}},
        {"name": "amount", "type": "double"}, {"name": "id", "type": ["null", "long"]},
        {"name": "address", "type": ["null", {"type": "record", "name": "Address", "fields": [
            {"name": "city", "type": "string"},
        ]}]},
    ])
    same = [
        {"status": "NEW", "tags": {"k": {"sku": "t", "count": n}}, "items": [{"sku": f"s{n}", "count": None}],
         "amount": n + 0.1, "id": 2**40 + n, "address": {"city": "Ghent"} if n % 2 else None}
        for n in range(20)
    ]
    return schema, [(record, record) for record in same]


def incompatible():
    schema = order([{"name": "id", "type": "string"}])
    return schema, [({"id": f"x{n}"}, None) for n in range(3)]


def recursive():
    """Nodes in nodes: what is in the first ones is text."""
    at = AT.replace(tzinfo=UTC)
    fields = [
        {"name": "name", "type": "string"}, {"name": "at", "type": logical("long", "timestamp-micros")},
        {"name": "price", "type": logical("bytes", "decimal", precision=9, scale=2)},
        {"name": "children", "type": {"type": "array", "items": "Node"}},
    ]
    schema = order([{"name": "id", "type": "int"}, {"name": "top", "type": {
        "type": "record", "name": "Node", "fields": fields,
    }}])
    node = lambda name, children: {"name": name, "at": at, "price": decimal.Decimal("-0.50"), "children": children}
    text = '{"name":"leaf","at":"2026-01-31T09:26:56.123456Z","price":-0.50,"children":[]}'
    record = {"id": 1, "top": node("root", [node("leaf", [])])}
    return schema, [(record, {"id": 1, "top": node("root", [text])})]


BATCHES = {
    "everything": everything, "first": first, "second": second, "incompatible": incompatible, "recursive": recursive,
}


def batch(name):
    """The schema as text, and the pairs; a record without a row has None."""
    schema, pairs = BATCHES[name]()
    return json.dumps(schema), pairs
