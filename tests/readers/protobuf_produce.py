#!/usr/bin/env python3
"""Protobuf by Confluent's serializer and a real registry, or without frames.

  protobuf_produce.py TOPIC --bootstrap B [--registry URL | --descriptor-set FILE] --rows FILE BATCH...

Writes the batches of protobuf_records.py into partition 0, their records in turns. `strange` is a batch of values that
no serializer wrote, among the others. With --descriptor-set the records have no frames, and FILE gets what protoc makes
of their schema. --rows gets what a table should hold, by offset (see avro_rows.py). Prints how many records there are,
and their offsets.
"""

import argparse
import pathlib
import pickle
import sys

import lake
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from protobuf_records import FOLDER, batch, compile_set

# Not framed; an id that the registry does not have; a message that the schema does not have; cut off.
STRANGE = [
    b'{"id": 1}',
    b"\x00\x00\x0f\x42\x3f\x00\x08\x01",
    b"\x00\x00\x00\x00\x01\x02\x12",
    b"\x00\x00\x00\x00\x01\x00\x0a\x05x",
]


def queue(options, context, name):
    if name == "strange":
        return [(value, None) for value in STRANGE]
    cls, pairs = batch(name)
    if options.descriptor_set:
        schema = compile_set(FOLDER / name, cls.DESCRIPTOR.file.name)
        pathlib.Path(options.descriptor_set).write_bytes(schema)
        return [(record.SerializeToString(), row) for record, row in pairs]
    client = SchemaRegistryClient({"url": options.registry})
    serialize = ProtobufSerializer(cls, client)
    values = [(serialize(record, context), row) for record, row in pairs]
    if name == "first":
        text_id = register_text(client, FOLDER / name).to_bytes(4, "big")
        values = [(value[:1] + text_id + value[5:], row) for value, row in values]
    return values


def register_text(client, folder):
    """The id of the orders' schema as text, which is how Confluent's own registry hands out what its serializer
    registers compiled."""
    client.register_schema("item-text", Schema((folder / "shop/item.proto").read_text(), "PROTOBUF"))
    references = [SchemaReference("shop/item.proto", "item-text", 1)]
    text = (folder / "shop/order.proto").read_text()
    return client.register_schema("order-text", Schema(text, "PROTOBUF", references))


def produce(options):
    context = SerializationContext(options.topic, MessageField.VALUE)
    queues = [queue(options, context, name) for name in options.batch]
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
        for each in queues:
            if each:
                value, row = each.pop(0)
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
    parser.add_argument("--registry", metavar="URL")
    parser.add_argument("--descriptor-set", metavar="FILE")
    parser.add_argument("--rows", required=True, metavar="FILE")
    produce(parser.parse_args())


if __name__ == "__main__":
    main()
