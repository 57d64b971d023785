"""The table that all engines are asked about: what is sent for it, in three phases, and what it holds then.

Its columns have every type that is written, its values the edges of these types. Each phase is partitioned otherwise
and has records for the partitions of the earlier ones; the second adds columns, the third renames one and widens three.
Records are Avro's, because JSON has no NaN.
"""

import datetime
import decimal
import json
import random
import struct
import uuid
from dataclasses import dataclass

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)
BATCHES, BATCH = 2, 150  # of each phase: commits, and records of a commit

PLACE = {"city": "string", "spot": ("struct", {"lat": "double", "lon": "double"}), "zip": "string"}
# The columns in the end, as `canonical.py` writes types.
COLUMNS = {
    "id": "long",
    "at": "timestamptz",
    "flag": "boolean",
    "units": "int",
    "small": "long",  # an int at first
    "weight": "float",
    "ratio": "double",  # a float at first
    "amount": "double",
    "price": ("decimal", 12, 2),  # of 9 digits at first
    "wide": ("decimal", 38, 10),
    "name": "string",
    "title": "string",  # called `label` at first
    "region": "string",
    "code": ("fixed", 3),
    "data": "binary",
    "uid": "uuid",
    "day": "date",
    "clock": "time",
    "local": "timestamp",
    "place": ("struct", PLACE),  # without `zip` at first
    "tags": ("list", "string"),
    "scores": ("map", "string", "long"),
    "items": ("list", ("struct", {"sku": "string", "count": "int"})),
    "note": "string",  # not there at first
    "_kafka_partition": "int",
    "_kafka_offset": "long",
    "_kafka_timestamp": "timestamptz",
}


@dataclass
class Phase:
    """What is sent under one configuration."""

    number: int
    partition_by: list

    def schema(self, without=()):
        """The Avro schema of its records, all but the columns `without`."""
        second, third = self.number >= 2, self.number >= 3
        spot = record("Spot", [field("lat", "double"), field("lon", "double")])
        place = [field("city", "string"), field("spot", spot)]
        fields = [
            {"name": "id", "type": "long"},
            {"name": "at", "type": logical("long", "timestamp-micros")},
            field("flag", "boolean"),
            field("units", "int"),
            field("small", "long" if third else "int"),
            field("weight", "float"),
            field("ratio", "double" if third else "float"),
            field("amount", "double"),
            field("price", logical("bytes", "decimal", precision=12 if third else 9, scale=2)),
            field("wide", logical("bytes", "decimal", precision=38, scale=10)),
            field("name", "string"),
            field("title", "string", aliases=["label"]) if third else field("label", "string"),
            field("region", "string"),
            field("code", {"type": "fixed", "name": "Code", "size": 3}),
            field("data", "bytes"),
            field("uid", logical("string", "uuid")),
            field("day", logical("int", "date")),
            field("clock", logical("long", "time-micros")),
            field("local", logical("long", "local-timestamp-micros")),
            field("place", record("Place", place + ([field("zip", "string")] if second else []))),
            field("tags", {"type": "array", "items": ["null", "string"]}),
            field("scores", {"type": "map", "values": ["null", "long"]}),
            field("items", {"type": "array", "items": record("Item", [field("sku", "string"), field("count", "int")])}),
        ]
        if second:
            fields.append(field("note", "string"))
        return record("Everything", [each for each in fields if each["name"] not in without])

    def batches(self):
        """Rows, in the columns that the table has in the end, without those of Kafka."""
        dice = random.Random(self.number)
        first = self.number * 1_000_000
        rows = [
            EDGES[n % len(EDGES)](dice) | {"id": first + n, "at": dice.choice(TIMES)(dice)}
            for n in range(BATCH * BATCHES)
        ]
        for each in rows:
            for name in ("weight", "ratio") if self.number < 3 else ("weight",):
                each[name] = single(each[name])
            if self.number < 2:
                each["note"] = None
                if each["place"] is not None:
                    each["place"] = each["place"] | {"zip": None}
            if self.number < 3:
                each["small"] = within(each["small"], -(2**31), 2**31 - 1)
                each["price"] = within(each["price"], -NINE_DIGITS, NINE_DIGITS)
        return [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]

    def record(self, row, without=()):
        """The record that becomes this row."""
        names = {"title": "label"} if self.number < 3 else {}
        return {names.get(name, name): value for name, value in row.items() if name not in without}


PHASES = [
    Phase(1, ["day(at)"]),
    Phase(2, ["month(at)", "bucket(3, uid)"]),
    Phase(3, ["region", "truncate(3, name)"]),
]


def field(name, ty, **more):
    return {"name": name, "type": ["null", ty]} | more


def record(name, fields):
    return {"type": "record", "name": name, "fields": fields}


def logical(ty, name, **more):
    return {"type": ty, "logicalType": name} | more


def within(value, low, high):
    return value if value is None else max(low, min(value, high))


def single(value):
    """What is left of a double in a float."""
    return value if value is None else struct.unpack("f", struct.pack("f", value))[0]


def moment(*parts):
    return datetime.datetime(*parts, tzinfo=UTC)


# Most are of four days; in every phase some are late, some from before 1970, and some right at the edge of a partition.
TIMES = [
    *[lambda dice, day=day: moment(2026, 1, day) + datetime.timedelta(microseconds=dice.randrange(86_400_000_000))
      for day in (1, 2, 3, 4)] * 3,
    lambda dice: moment(2026, 1, 2),
    lambda dice: moment(2026, 1, 31, 23, 59, 59, 999999),
    lambda dice: moment(2025, 12, 31, 23, dice.randrange(60)),
    lambda dice: moment(2020, 2, 29, 12, 0, 0, dice.randrange(1_000_000)),
    lambda dice: moment(1970, 1, 1),
    lambda dice: moment(1969, 12, 31, 23, 59, 59, 999999),
    lambda dice: moment(1905, 6, 15, dice.randrange(24)),
]

# Longer than the sixteen characters that bounds are cut to, the last of them without a character above theirs.
NAMES = ["Zürich", "Zürich, Überlandstraße 1", "Zürich, Überlandstraße 2", "Kafka → 🧊🧊🧊🧊🧊🧊🧊🧊🧊🧊", "",
         "\U0010ffff" * 17, "o'Hare \"quoted\" \\ 50%_", "ゆき"]
REGIONS = ["eu", "us", None, "", "a/b=c&d ü%20"]
FLOATS = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 0.1, -1.5, 5e-324, 1.5e30]
NINE_DIGITS = decimal.Decimal("9999999.99")
# Without what a float cannot hold: the smallest doubles.
SINGLES = [each for each in FLOATS if each != 5e-324]


def nothing(dice):
    """Null wherever it may be."""
    return {name: None for name in COLUMNS if not name.startswith("_kafka")}


def largest(dice):
    """The upper edge of each type."""
    return {
        "flag": True, "units": 2**31 - 1, "small": 2**63 - 1, "weight": float("inf"), "ratio": 1.5e30,
        "amount": 1.7976931348623157e308, "price": decimal.Decimal("9999999999.99"),
        "wide": decimal.Decimal("9999999999999999999999999999.9999999999"), "name": "\U0010ffff" * 17,
        "title": "\U0010ffff", "region": "us", "code": b"\xff\xff\xff", "data": b"\xff" * 20,
        "uid": uuid.UUID(int=2**128 - 1), "day": datetime.date(2199, 12, 31),
        "clock": datetime.time(23, 59, 59, 999999), "local": datetime.datetime(2199, 12, 31, 23, 59, 59, 999999),
        "place": {"city": "Zürich", "spot": {"lat": 90.0, "lon": 180.0}, "zip": "8000"}, "tags": ["z", None, ""],
        "scores": {"ü": 2**63 - 1, "": None}, "items": [{"sku": "s", "count": 2**31 - 1}], "note": "added",
    }


def smallest(dice):
    """The lower edge of each type, and what is empty."""
    return {
        "flag": False, "units": -(2**31), "small": -(2**63), "weight": float("-inf"), "ratio": -1.5e30,
        "amount": -1.7976931348623157e308, "price": decimal.Decimal("-9999999999.99"),
        "wide": decimal.Decimal("-9999999999999999999999999999.9999999999"), "name": "", "title": "", "region": "",
        "code": b"\0\0\0", "data": b"", "uid": uuid.UUID(int=0), "day": datetime.date(1901, 1, 1),
        "clock": datetime.time(0), "local": datetime.datetime(1901, 1, 1, 0, 0, 0, 1),
        "place": {"city": None, "spot": None, "zip": None}, "tags": [], "scores": {}, "items": [], "note": "",
    }


def ordinary(dice):
    """Anything in between, now and then a null."""
    row = {
        "flag": dice.random() < 0.5, "units": dice.randrange(-100, 100), "small": dice.randrange(-1000, 1000),
        "weight": dice.choice(SINGLES), "ratio": dice.choice(SINGLES), "amount": dice.choice(FLOATS),
        "price": decimal.Decimal(dice.randrange(-99999, 99999)).scaleb(-2),
        "wide": decimal.Decimal(dice.randrange(-(10**20), 10**20)).scaleb(-10), "name": dice.choice(NAMES),
        "title": f"title {dice.randrange(20)}", "region": dice.choice(REGIONS), "code": dice.randbytes(3),
        "data": dice.randbytes(dice.randrange(1, 30)), "uid": uuid.UUID(bytes=dice.randbytes(16)),
        "day": datetime.date(2026, 1, 1) + datetime.timedelta(days=dice.randrange(-25_000, 300)),
        "clock": datetime.time(dice.randrange(24), dice.randrange(60), dice.randrange(60), dice.randrange(1_000_000)),
        "local": datetime.datetime(1960 + dice.randrange(80), 3, 29, 2, 30, 0, dice.randrange(1_000_000)),
        "place": {"city": dice.choice(["Bonn", "Zürich", None]),
                  "spot": {"lat": dice.uniform(-90, 90), "lon": dice.uniform(-180, 180)},
                  "zip": str(dice.randrange(1000, 9999))},
        "tags": [dice.choice(["a", "b", None]) for _ in range(dice.randrange(4))],
        "scores": {key: dice.choice([None, dice.randrange(100)]) for key in dice.sample("abcdef", dice.randrange(4))},
        "items": [{"sku": f"s{n}", "count": dice.choice([None, n])} for n in range(dice.randrange(3))],
        "note": f"note {dice.randrange(5)}",
    }
    return {name: None if dice.random() < 0.1 else value for name, value in row.items()}


EDGES = [nothing, largest, smallest, *[ordinary] * 12]


def schema_text(phase, without=()):
    return json.dumps(phase.schema(without), indent=1)
