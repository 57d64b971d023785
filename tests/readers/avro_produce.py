#!/usr/bin/env python3
"""Avro by Confluent's serializer and a real registry.

  avro_produce.py TOPIC --bootstrap B --registry URL --rows FILE BATCH...

Writes the batches of avro_records.py into partition 0, their records in turns. `strange` is a batch of three values that
no serializer wrote, among the others. --rows gets what a table should hold, by offset (see avro_rows.py). Prints how
many records there are, and their offsets.
"""

import argparse
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


def produce(options):
    registry = SchemaRegistryClient({"url": options.registry})
    context = SerializationContext(options.topic, MessageField.VALUE)
    queues = []
    for name in options.batch:
        if name == "strange":
            queues.append([(value, None) for value in STRANGE])
            continue
        schema, pairs = batch(name)
        serialize = AvroSerializer(registry, schema)
        queues.append([(serialize(record, context), row) for record, row in pairs])
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
                value, row = queue.pop(0)
                producer.produce(options.topic, value, partition=0, on_delivery=delivered(row))
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
    produce(parser.parse_args())


if __name__ == "__main__":
    main()
