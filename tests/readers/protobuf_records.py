"""Records that Confluent's Protobuf serializer writes, and the rows that a table should have for them.

Each batch is a message type, compiled by protoc, with pairs of a record and its row. A row names only the columns that
are not null.
"""

import datetime
import decimal
import importlib.resources
import pathlib
import subprocess
import sys
import tempfile

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory, struct_pb2
from google.protobuf import timestamp_pb2, wrappers_pb2

UTC = datetime.timezone.utc
FOLDER = pathlib.Path(__file__).parent / "protobuf"


def compile_set(folder, file):
    """The FileDescriptorSet of a file with all that it imports, as bytes."""
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    with tempfile.NamedTemporaryFile(suffix=".binpb") as out:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"-I{well_known}", "--include_imports"]
        subprocess.run([*command, f"--descriptor_set_out={out.name}", file], check=True)
        return pathlib.Path(out.name).read_bytes()


def message_class(batch, file, name, folder=FOLDER):
    # Each version in a pool of its own: they have the same names.
    pool = descriptor_pool.DescriptorPool()
    for each in descriptor_pb2.FileDescriptorSet.FromString(compile_set(folder / batch, file)).file:
        pool.Add(each)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


# Column, what is written and what is read; one value says that they are the same.
FULL = {
    "c_bool": True,
    "c_int32": -(2**31),
    "c_int64": -(2**63),
    "c_uint32": 2**32 - 1,
    "c_uint64": (2**64 - 1, decimal.Decimal(2**64 - 1)),
    "c_sint32": -(2**31),
    "c_sint64": -(2**63),
    "c_fixed32": 2**32 - 1,
    "c_fixed64": (2**64 - 1, decimal.Decimal(2**64 - 1)),
    "c_sfixed32": -(2**31),
    "c_sfixed64": 2**63 - 1,
    "c_float": -1.25,
    "c_double": 0.1,
    "c_string": "naïve 🦉",
    "c_bytes": b"\x00\xff",
    "c_enum": (2, "PAID"),
    "c_optional": 0,
    "c_oneof_text": "six",
    "c_packed": [1, -1, 2**31 - 1],
    "c_unpacked": [1, 2],
    "c_texts": ["a", ""],
    "c_enums": ([1, 7], ["NEW", "7"]),
    "c_map": {"a": 1, "b": -2},
    "c_map_of_messages": ({5: {"x": 1, "y": "z"}, -5: {}}, {5: {"x": 1, "y": "z"}, -5: {"x": 0, "y": None}}),
    "c_map_by_uint64": ({2**64 - 1: True}, {decimal.Decimal(2**64 - 1): True}),
    "c_message": {"x": 1, "y": "z"},
    "c_messages": ([{"x": 1}, {"y": ""}], [{"x": 1, "y": None}, {"x": 0, "y": ""}]),
    "c_timestamp": (timestamp_pb2.Timestamp(seconds=1769851616, nanos=123456000),
                    datetime.datetime(2026, 1, 31, 9, 26, 56, 123456, tzinfo=UTC)),
    "c_duration": (duration_pb2.Duration(seconds=-1, nanos=-500000001), {"seconds": -1, "nanos": -500000001}),
    "c_int64_value": (wrappers_pb2.Int64Value(value=0), 0),
    "c_uint64_value": (wrappers_pb2.UInt64Value(value=2**64 - 1), decimal.Decimal(2**64 - 1)),
    "c_string_value": (wrappers_pb2.StringValue(value="w"), "w"),
    "c_bool_value": (wrappers_pb2.BoolValue(value=False), False),
    "c_struct": (struct_pb2.Struct(fields={"a": struct_pb2.Value(string_value='é"')}), '{"a":"é\\""}'),
    "c_list_value": (struct_pb2.ListValue(values=[struct_pb2.Value(number_value=1), struct_pb2.Value(null_value=0),
                                                  struct_pb2.Value(number_value=0.5)]), "[1,null,0.5]"),
    "c_any": (any_pb2.Any(type_url="t", value=b"\x01"), {"type_url": "t", "value": b"\x01"}),
}

# Of a record in which nothing is written.
EMPTY = {
    "c_bool": False, "c_int32": 0, "c_int64": 0, "c_uint32": 0, "c_uint64": decimal.Decimal(0), "c_sint32": 0,
    "c_sint64": 0, "c_fixed32": 0, "c_fixed64": decimal.Decimal(0), "c_sfixed32": 0, "c_sfixed64": 0, "c_float": 0.0,
    "c_double": 0.0, "c_string": "", "c_bytes": b"", "c_enum": "UNKNOWN", "c_packed": [], "c_unpacked": [],
    "c_texts": [], "c_enums": [], "c_map": {}, "c_map_of_messages": {}, "c_map_by_uint64": {}, "c_messages": [],
}


def everything():
    cls = message_class("everything", "everything.proto", "types.Everything")
    record, row = cls(), {}
    for name, both in FULL.items():
        written, row[name] = both if isinstance(both, tuple) else (both, both)
        if hasattr(written, "SerializeToString"):
            getattr(record, name).ParseFromString(written.SerializeToString())
            getattr(record, name).SetInParent()
        elif name == "c_map_of_messages":
            for key, value in written.items():
                record.c_map_of_messages[key].MergeFrom(type(record.c_message)(**value))
        else:
            record.MergeFrom(cls(**{name: written}))
            if name == "c_optional":
                record.c_optional = written
    return cls, [(record, row), (cls(), EMPTY)]


def first():
    cls = message_class("first", "shop/order.proto", "shop.Order")
    rows = [
        {"id": n, "amount": n / 2, "note": f"n{n}", "items": [{"sku": f"s{n}"}], "tags": {"k": {"sku": "t"}}}
        for n in range(20)
    ]
    return cls, [(build(cls, row), row) for row in rows]


def second():
    cls = message_class("second", "shop/order.proto", "shop.Order")
    at = datetime.datetime(2026, 1, 31, 9, 26, 56, tzinfo=UTC)
    rows = [
        {"id": 2**40 + n, "amount": n + 0.1, "items": [{"sku": f"s{n}", "count": None}],
         "tags": {"k": {"sku": "t", "count": n}}, "address": {"city": "Ghent"} if n % 2 else None,
         "at": at, "status": "PAID"}
        for n in range(20)
    ]
    return cls, [(build(cls, row), row) for row in rows]


def build(cls, row):
    written = dict(row)
    tags = written.pop("tags")
    if "at" in written:
        written["at"] = {"seconds": int(written["at"].timestamp())}
    record = cls(**{name: value for name, value in written.items() if value is not None})
    for key, item in tags.items():
        for name, value in item.items():
            setattr(record.tags[key], name, value)
    return record


def incompatible():
    cls = message_class("incompatible", "shop/order.proto", "shop.Order")
    return cls, [(cls(id=f"x{n}"), None) for n in range(3)]


def recursive():
    cls = message_class("recursive", "shop/order.proto", "shop.Order")
    return cls, [(cls(id=n), None) for n in range(2)]


BATCHES = {
    "everything": everything,
    "first": first,
    "second": second,
    "incompatible": incompatible,
    "recursive": recursive,
}


def batch(name):
    """The message type, and the pairs; a record without a row has None."""
    return BATCHES[name]()
