#!/usr/bin/env python3
"""Avro by Confluent's serializer and a real registry.

  avro_produce.py TOPIC --bootstrap B --registry URL --rows FILE [--keys] BATCH...

Writes the batches of avro_records.py into partition 0, their records in turns. `strange` is a batch of three values that
no serializer wrote, among the others. With --keys the records of a batch have keys of the batch's own key schema: a
string for `first`, a record for others. Every fifth has none, and the last one's key is none of the schema's. --rows gets what a table should hold, by offset (see avro_rows.py). Prints how
many records there are, and their offsets.
"""

import argparse
import json
import pickle
import sys

import lake
from avro_records import batch
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

# Not framed; an id that the registry does not have; cut off (under an id that it has).
STRANGE = [b'{"id": 1}', b"\x00\x00\x0f\x42\x3f\x02", b"\x00\x00\x00\x00\x01\x02"]


def keyed(registry, topic, name, pairs):
    """The keys of a batch, and its rows with them."""
    schema = {"first": "string"}.get(name, {"type": "record", "name": "Key", "namespace": "shop", "fields": [
        {"name": "region", "type": "string"}, {"name": "number", "type": "long"},
    ]})
    serialize = AvroSerializer(registry, json.dumps(schema))
    context = SerializationContext(topic, MessageField.KEY)
    for number, (value, row) in enumerate(pairs):
        if number % 5 == 0:
            yield None, value, row
        elif number == len(pairs) - 1:
            yield serialize("x" * 9 if schema == "string" else {"region": "x", "number": 1}, context)[:6], value, None
        elif schema == "string":
            yield serialize(f"k{number}", context), value, row | {"key": {"value": f"k{number}"}}
        else:
            key = {"region": "eu", "number": number}
            yield serialize(key, context), value, row | {"key": key}


def produce(options):
    registry = SchemaRegistryClient({"url": options.registry})
    context = SerializationContext(options.topic, MessageField.VALUE)
    queues = []
    for name in options.batch:
        if name == "strange":
            queues.append([(None, value, None) for value in STRANGE])
            continue
        schema, pairs = batch(name)
        serialize = AvroSerializer(registry, schema)
        pairs = [(serialize(record, context), row) for record, row in pairs]
        if options.keys:
            queues.append(list(keyed(registry, options.topic, name, pairs)))
        else:
            queues.append([(None, value, row) for value, row in pairs])
    rows, failures = {}, []

    def delivered(row):
        def acknowledged(error, message):
            if error is not None:
                failures.append(str(error))
            else:
                rows[message.offset()] = row

        return acknowledged

    producer = Producer({"bootstrap.servers": options.bootstrap, "enable.idempotence": True})
    while any(queues):
        for queue in queues:
            if queue:
                key, value, row = queue.pop(0)
                producer.produce(options.topic, value, key, partition=0, on_delivery=delivered(row))
    producer.flush()
    if failures:
        sys.exit(f"not produced: {failures[0]}")
    with open(options.rows, "wb") as file:
        pickle.dump(rows, file)
    lake.answer({"records": len(rows), "first": min(rows), "end": max(rows) + 1})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topic")
    parser.add_argument("batch", nargs="+")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry", required=True, metavar="URL")
    parser.add_argument("--rows", required=True, metavar="FILE")
    parser.add_argument("--keys", action="store_true")
    produce(parser.parse_args())


if __name__ == "__main__":
    main()
