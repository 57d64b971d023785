"""Records that Confluent's JSON Schema serializer writes, and the rows that a table should have for them.

Each batch is a schema with pairs of a record and its row. A row names only the columns that are not null.
"""

import datetime
import json
import uuid

UTC = datetime.timezone.utc
AT = datetime.datetime(2026, 1, 31, 9, 26, 56, 123456, tzinfo=UTC)
ID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")


def nullable(schema):
    return {"oneOf": [{"type": "null"}, schema]}


ITEM = {"type": "object", "properties": {"sku": {"type": "string"}, "count": nullable({"type": "integer"})}}

# Column, schema, and pairs of what is written and what is read; one value says that they are the same.
TYPES = [
    ("c_boolean", {"type": "boolean"}, [True, False]),
    ("c_integer", {"type": "integer"}, [2**63 - 1, -(2**63)]),
    ("c_number", {"type": "number"}, [0.1, -1e308]),
    ("c_whole_number", {"type": "number"}, [(5, 5.0), -1.5]),
    ("c_string", {"type": "string", "maxLength": 100}, ["naïve 🦉 \"\\", ""]),
    ("c_date", {"type": "string", "format": "date"},
     [("2026-01-31", AT.date()), ("1969-12-31", datetime.date(1969, 12, 31))]),
    ("c_date_time", {"type": "string", "format": "date-time"},
     [("2026-01-31T10:26:56.123456+01:00", AT), ("2026-01-31T09:26:56Z", AT.replace(microsecond=0))]),
    ("c_uuid", {"type": "string", "format": "uuid"}, [(str(ID), ID), (str(uuid.UUID(int=0)), uuid.UUID(int=0))]),
    ("c_base64", {"type": "string", "contentEncoding": "base64"}, [("AP8=", b"\x00\xff"), ("", b"")]),
    ("c_enum", {"enum": ["NEW", "PAID", None]}, ["NEW", None]),
    ("c_nullable", {"type": ["string", "null"]}, ["x", None]),
    ("c_one_of", nullable({"type": "string", "format": "date"}), [("2026-01-31", AT.date()), None]),
    ("c_same_choices", {"anyOf": [{"const": "a"}, {"type": "string", "pattern": "^b"}]}, ["a", "bc"]),
    ("c_array", {"type": "array", "items": {"type": ["integer", "null"]}}, [[1, None, 3], []]),
    ("c_map", {"type": "object", "additionalProperties": {"type": "number"}},
     [({"a": 1, "b": 2.5}, {"a": 1.0, "b": 2.5}), {}]),
    ("c_map_by_pattern", {"type": "object", "patternProperties": {"^x": {"$ref": "#/$defs/item"}}},
     [{"x1": {"sku": "s", "count": 2}}, {}]),
    ("c_object", {"$ref": "#/$defs/item"}, [{"sku": "s", "count": None}, {"sku": "t", "count": 1}]),
    ("c_all_of", {"allOf": [{"$ref": "#/$defs/item"}, {"properties": {"more": {"type": "boolean"}}}]},
     [{"sku": "s", "count": 1, "more": True}, {"sku": "t"}]),
    ("c_several", {"type": ["string", "integer"]}, [("5", '"5"'), (5, "5")]),
    ("c_any", {}, [({"a": [1, None]}, '{"a":[1,null]}'), None]),
    ("c_tuple", {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
     [([1, "a"], '[1,"a"]'), ([], "[]")]),
    ("c_absent", {"type": "string"}, [None, None]),
]


def everything():
    properties = {name: schema for name, schema, _ in TYPES}
    pairs = []
    for index in range(2):
        values = {name: both[index] for name, _, both in TYPES if name != "c_absent"}
        written = {name: value[0] if isinstance(value, tuple) else value for name, value in values.items()}
        read = {name: value[1] if isinstance(value, tuple) else value for name, value in values.items()}
        pairs.append((written, read))
    return order(properties, {"item": ITEM}), pairs


def order(properties, definitions=None):
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Order", "type": "object",
        "properties": properties, "required": [], "$defs": definitions or {},
    }


# Of a batch, the schemas that it refers to.
REFERENCES = {
    "first": {"item.json": {"type": "object", "properties": {"sku": {"type": "string"}}}},
    "second": {"item.json": ITEM},
}


def first():
    schema = order({
        "id": {"type": "integer"}, "note": {"type": "string"},
        "items": {"type": "array", "items": {"$ref": "item.json"}},
        "tags": {"type": "object", "additionalProperties": {"$ref": "item.json"}},
    })
    same = [{"id": n, "note": f"n{n}", "items": [{"sku": f"s{n}"}], "tags": {"k": {"sku": "t"}}} for n in range(20)]
    return schema, [(record, record) for record in same]


def second():
    """New columns also in lists and maps, without `note`, and in another order."""
    schema = order({
        "status": {"enum": ["NEW"]},
        "tags": {"type": "object", "additionalProperties": {"$ref": "item.json"}},
        "items": {"type": "array", "items": {"$ref": "item.json"}},
        "id": {"type": ["integer", "null"]},
        "address": nullable({"type": "object", "properties": {"city": {"type": "string"}}}),
    })
    same = [
        {"status": "NEW", "tags": {"k": {"sku": "t", "count": n}}, "items": [{"sku": f"s{n}", "count": None}],
         "id": 2**40 + n, "address": {"city": "Ghent"} if n % 2 else None}
        for n in range(20)
    ]
    return schema, [(record, record) for record in same]


def incompatible():
    return order({"id": {"type": "string"}}), [({"id": f"x{n}"}, None) for n in range(3)]


NODE = {"type": "object", "properties": {
    "name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
}}


def tree(row):
    """Nodes in nodes; `row` says whether they become rows."""
    leaf = {"name": "leaf", "children": []}
    record = {"id": 1, "top": {"name": "root", "children": [leaf]}}
    text = json.dumps(leaf)
    read = {"id": 1, "top": {"name": "root", "children": [text]}}
    schema = order({"id": {"type": "integer"}, "top": {"$ref": "#/$defs/node"}}, {"node": NODE})
    return schema, [(record, read if row else None)]


BATCHES = {
    "everything": everything, "first": first, "second": second, "incompatible": incompatible,
    "recursive": lambda: tree(row=False), "recursive-as-text": lambda: tree(row=True),
}


def batch(name):
    """The schema, and the pairs; a record without a row has None."""
    return BATCHES[name]()
