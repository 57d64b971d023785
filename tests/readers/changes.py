#!/usr/bin/env python3
"""Change events as Debezium's connector for PostgreSQL writes them.

  changes.py TOPIC --bootstrap B --as json|wrapped|avro|avro-titled|protobuf [--registry URL]

Writes the changes of two customers into partition 0, with the tombstones behind deletes. As `json` without a schema, as
`wrapped` by the JSON converter with its schema, as `avro` and `protobuf` by Confluent's serializers. In `avro-titled`,
the names are called `title`, with `name` as an alias. Prints how many records it wrote.
"""

import argparse
import copy
import json
import sys

import lake
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import json_format
from protobuf_records import message_class

NULL = {"default": None}
VALUE = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "id", "type": "int"},
        {"name": "name", "type": ["null", "string"], **NULL},
        {"name": "secret", "type": ["null", "string"], **NULL},
    ],
}
SOURCE = {
    "type": "record",
    "name": "Source",
    "namespace": "io.debezium.connector.postgresql",
    "fields": [
        {"name": "version", "type": "string"},
        {"name": "connector", "type": "string"},
        {"name": "ts_ms", "type": "long"},
        {"name": "snapshot", "type": ["null", "string"], **NULL},
        {"name": "txId", "type": ["null", "long"], **NULL},
        {"name": "lsn", "type": ["null", "long"], **NULL},
    ],
}
ENVELOPE = {
    "type": "record",
    "name": "Envelope",
    "namespace": "shop.public.customers",
    "fields": [
        {"name": "before", "type": ["null", VALUE], **NULL},
        {"name": "after", "type": ["null", "Value"], **NULL},
        {"name": "source", "type": SOURCE},
        {"name": "transaction", "type": ["null", "string"], **NULL},
        {"name": "op", "type": "string"},
        {"name": "ts_ms", "type": ["null", "long"], **NULL},
        {"name": "ts_us", "type": ["null", "long"], **NULL},
    ],
}

ADA, EVE = {"id": 1, "name": "Ada", "secret": "geheim"}, {"id": 1, "name": "Eve", "secret": "geheim"}
BOB = {"id": 2, "name": "Bob", "secret": None}
#          op, before, after; None is a tombstone
CHANGES = [("r", None, BOB), ("c", None, ADA), ("u", ADA, EVE), ("d", EVE, None), None, ("t", None, None)]


def event(number, change):
    op, before, after = change
    source = {"version": "3.0", "connector": "postgresql", "ts_ms": 1769851616000 + number, "snapshot": "false",
              "txId": 5, "lsn": 2**53 + 1 + number}
    return {"before": before, "after": after, "source": source, "transaction": None, "op": op,
            "ts_ms": 1769851616123 + number, "ts_us": 1}


def plain(event):
    return json.dumps(event).encode()


def wrapped(event):
    schema = {"type": "struct", "fields": [], "optional": False, "name": "shop.public.customers.Envelope"}
    return plain({"schema": schema, "payload": event})


def avro(options, envelope=ENVELOPE):
    serializer = AvroSerializer(SchemaRegistryClient({"url": options.registry}), json.dumps(envelope))
    return lambda event: serializer(event, SerializationContext(options.topic, MessageField.VALUE))


def avro_titled(options):
    envelope = copy.deepcopy(ENVELOPE)
    name = envelope["fields"][0]["type"][1]["fields"][1]
    name.update(name="title", aliases=["name"])
    serialize = avro(options, envelope)
    titled = lambda row: row and row | {"title": row["name"]}
    return lambda event: serialize(event | {image: titled(event[image]) for image in ("before", "after")})


def protobuf(options):
    cls = message_class("changes", "customers.proto", "shop.public.customers.Envelope")
    serializer = ProtobufSerializer(cls, SchemaRegistryClient({"url": options.registry}))
    context = SerializationContext(options.topic, MessageField.VALUE)
    # What is None is absent.
    return lambda event: serializer(json_format.ParseDict(event, cls()), context)


FORMATS = {
    "json": lambda _: plain,
    "wrapped": lambda _: wrapped,
    "avro": avro,
    "avro-titled": avro_titled,
    "protobuf": protobuf,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topic")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry", metavar="URL")
    parser.add_argument("--as", dest="format", choices=FORMATS, required=True)
    options = parser.parse_args()
    serialize = FORMATS[options.format](options)
    producer = Producer({"bootstrap.servers": options.bootstrap, "enable.idempotence": True})
    failures = []
    acknowledged = lambda error, _: failures.append(str(error)) if error is not None else None
    for number, change in enumerate(CHANGES):
        value = None if change is None else serialize(event(number, change))
        producer.produce(options.topic, value, key=b'{"id": 1}', partition=0, on_delivery=acknowledged)
    producer.flush()
    if failures:
        sys.exit(f"not produced: {failures[0]}")
    lake.answer({"records": len(CHANGES)})


if __name__ == "__main__":
    lake.run(main)
