"""Orders as JSON: each record follows from (seed, topic, partition, i) alone, so that anyone can compute it again."""

import datetime
import json
import random

# 2026-01-01, far enough from today that event time and Kafka's timestamp can't be taken for each other.
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
WORDS = ["naïve", "汉字", "emoji 🦉", "quote \" and \\", "line\nbreak", "plain", ""]


def chance(seed, topic, partition, i):
    return random.Random(f"{seed}/{topic}/{partition}/{i}")


def order(chance, i, days, nested, first_day=0):
    """One order. Optional fields are there, null or absent; ids need all 63 bits; event time is spread over `days` from
    `first_day` on."""
    at = START + datetime.timedelta(days=first_day, milliseconds=chance.randrange(days * 86_400_000))
    fields = {
        "id": (chance.getrandbits(40) << 22) + i,
        "customer": f"c{chance.randrange(1000)}",
        "amount": round(chance.uniform(-5, 5000), 2),
        "quantity": chance.randrange(1, 100),
        "paid": chance.random() < 0.5,
        "created_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    match chance.randrange(3):
        case 0:
            fields["note"] = chance.choice(WORDS) * chance.randrange(1, 4)
        case 1:
            fields["note"] = None
    if nested:
        fields["address"] = {"city": chance.choice(WORDS), "zip": chance.randrange(100_000)}
        fields["items"] = [
            {"sku": f"s{chance.randrange(50)}", "count": chance.randrange(9)} for _ in range(chance.randrange(4))
        ]
    return fields


def encode(fields):
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


# What can be wrong with a record: name -> the bytes that an order becomes.
POISON = {
    "not-json": lambda fields: encode(fields)[:-7],
    "not-utf8": lambda fields: encode(fields | {"customer": "#"}).replace(b"#", b"\xff\xfe"),
    "not-an-object": lambda fields: encode(list(fields)),
    "wrong-type": lambda fields: encode(fields | {"id": {"not": "a number"}}),
    "too-deep": lambda fields: encode(fields)[:-1] + b',"deep":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "no-event-time": lambda fields: encode({key: fields[key] for key in fields if key != "created_at"}),
    "absurd-event-time": lambda fields: encode(fields | {"created_at": "9999999-01-01T00:00:00Z"}),
}

# What a dead letter says of each: reason and column. None: no column is to blame, or it depends.
VERDICTS = {
    "not-json": ("not_json", None),
    "not-utf8": ("invalid_utf8", "customer"),
    "not-an-object": ("not_an_object", None),
    "wrong-type": ("wrong_type", "id"),
    "too-deep": ("too_deep", None),
    "no-event-time": ("missing_event_time", "created_at"),
    "absurd-event-time": ("invalid_value", "created_at"),
}
