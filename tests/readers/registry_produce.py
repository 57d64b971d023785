#!/usr/bin/env python3
"""Records by Confluent's serializers and a real registry, or without frames.

  registry_produce.py FORMAT TOPIC --bootstrap B [--registry URL | --schema FILE] --rows FILE [--keys] BATCH...

FORMAT is avro, protobuf or json-schema. Writes the batches of its module (such as avro_records.py) into partition 0,
their records in turns. `strange` is a batch of values that no serializer wrote, among the others. With --schema the
records have no frames, and FILE gets their schema: of Protobuf what protoc makes of it, of JSON Schema with what it
refers to beside it. With --keys the records of a batch of Avro have keys of the batch's own key schema: a string for
`first`, a record for others; every fifth has none, and the last one's key is none of the schema's. --rows gets what a
table should hold, by offset (see avro_rows.py). Prints how many records there are, and their offsets.
"""

import argparse
import io
import json
import pathlib

import fastavro
import in_turns
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.serialization import MessageField, SerializationContext


def avro(options, name):
    from avro_records import batch
    from confluent_kafka.schema_registry.avro import AvroSerializer

    schema, pairs = batch(name)
    if options.schema:
        pathlib.Path(options.schema).write_text(schema)
        return lambda record, _: unframed(json.loads(schema), record), pairs
    return AvroSerializer(registry(options), schema), pairs


def unframed(schema, record):
    value = io.BytesIO()
    fastavro.schemaless_writer(value, schema, record)
    return value.getvalue()


def protobuf(options, name):
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
    from protobuf_records import FOLDER, batch, compile_set

    cls, pairs = batch(name)
    if options.schema:
        pathlib.Path(options.schema).write_bytes(compile_set(FOLDER / name, cls.DESCRIPTOR.file.name))
        return lambda record, _: record.SerializeToString(), pairs
    client = registry(options)
    serialize = ProtobufSerializer(cls, client)
    if name != "first":
        return serialize, pairs
    text_id = register_text(client, FOLDER / name).to_bytes(4, "big")

    def serialize_text(record, context):
        value = serialize(record, context)
        return value[:1] + text_id + value[5:]

    return serialize_text, pairs


def register_text(client, folder):
    """The id of the orders' schema as text, which is how Confluent's own registry hands out what its serializer
    registers compiled."""
    client.register_schema("item-text", Schema((folder / "shop/item.proto").read_text(), "PROTOBUF"))
    references = [SchemaReference("shop/item.proto", "item-text", 1)]
    text = (folder / "shop/order.proto").read_text()
    return client.register_schema("order-text", Schema(text, "PROTOBUF", references))


def json_schema(options, name):
    from confluent_kafka.schema_registry.json_schema import JSONSerializer
    from json_schema_records import REFERENCES, batch

    schema, pairs = batch(name)
    if options.schema:
        file = pathlib.Path(options.schema)
        file.write_text(json.dumps(schema))
        for reference, text in REFERENCES.get(name, {}).items():
            (file.parent / reference).write_text(json.dumps(text))
        return lambda record, _: json.dumps(record).encode(), pairs
    client, references = registry(options), []
    for reference, text in REFERENCES.get(name, {}).items():
        client.register_schema(reference, Schema(json.dumps(text), "JSON"))
        references.append(SchemaReference(reference, reference, client.get_latest_version(reference).version))
    return JSONSerializer(Schema(json.dumps(schema), "JSON", references), client), pairs


FORMATS = {"avro": avro, "protobuf": protobuf, "json-schema": json_schema}

NOT_FRAMED, UNKNOWN_ID = b'{"id": 1}', b"\x00\x00\x0f\x42\x3f"
STRANGE = {
    # The last ones: cut off; a message that the schema does not have, and one that is cut off; no JSON.
    "avro": [NOT_FRAMED, UNKNOWN_ID + b"\x02", b"\x00\x00\x00\x00\x01\x02"],
    "protobuf": [
        NOT_FRAMED, UNKNOWN_ID + b"\x00\x08\x01", b"\x00\x00\x00\x00\x01\x02\x12", b"\x00\x00\x00\x00\x01\x00\x0a\x05x",
    ],
    "json-schema": [NOT_FRAMED, UNKNOWN_ID + b"{}", b"\x00\x00\x00\x00\x01{", b"\x00\x00\x00\x00\x01[1]"],
}


def registry(options):
    return SchemaRegistryClient({"url": options.registry})


def keyed(options, name, pairs):
    """The keys of a batch, and its rows with them."""
    from confluent_kafka.schema_registry.avro import AvroSerializer

    schema = {"first": "string"}.get(name, {"type": "record", "name": "Key", "namespace": "shop", "fields": [
        {"name": "region", "type": "string"}, {"name": "number", "type": "long"},
    ]})
    serialize = AvroSerializer(registry(options), json.dumps(schema))
    context = SerializationContext(options.topic, MessageField.KEY)
    for number, (value, row) in enumerate(pairs):
        if number % 5 == 0:
            yield None, value, None, row
        elif number == len(pairs) - 1:
            yield serialize("x" * 9 if schema == "string" else {"region": "x", "number": 1}, context)[:6], value, None, None
        elif schema == "string":
            yield serialize(f"k{number}", context), value, None, row | {"key": {"value": f"k{number}"}}
        else:
            key = {"region": "eu", "number": number}
            yield serialize(key, context), value, None, row | {"key": key}


def queue(options, context, name):
    if name == "strange":
        return [(None, value, None, None) for value in STRANGE[options.format]]
    serialize, pairs = FORMATS[options.format](options, name)
    pairs = [(serialize(record, context), row) for record, row in pairs]
    if options.keys:
        return list(keyed(options, name, pairs))
    return [(None, value, None, row) for value, row in pairs]


def produce(options):
    context = SerializationContext(options.topic, MessageField.VALUE)
    in_turns.produce(options, [queue(options, context, name) for name in options.batch])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("topic")
    parser.add_argument("batch", nargs="+")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry", metavar="URL")
    parser.add_argument("--schema", metavar="FILE")
    parser.add_argument("--rows", required=True, metavar="FILE")
    parser.add_argument("--keys", action="store_true")
    produce(parser.parse_args())


if __name__ == "__main__":
    main()
