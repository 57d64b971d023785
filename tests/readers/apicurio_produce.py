#!/usr/bin/env python3
"""Avro and Protobuf by Apicurio's own serializers and a real registry.

  apicurio_produce.py TOPIC --bootstrap B --registry URL --rows FILE FRAME:BATCH...

Writes batches of avro_records.py, and `people` in Protobuf, into partition 0, their records in turns. FRAME says where
the serializer puts which id: see FRAMES. `strange` alone is a batch of values and headers that no serializer wrote.
--registry is Apicurio's own API. --rows gets what a table should hold, by offset (see avro_rows.py). Prints how many
records there are, and their offsets.
"""

import argparse
import base64
import io
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import fastavro
import in_turns
from avro_records import batch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ID_HANDLER = "apicurio.registry.id-handler"
FOUR_BYTES = "io.apicurio.registry.serde.Legacy4ByteIdHandler"
# What is left out is the serializers' default: headers, and global ids in eight bytes.
FRAMES = {
    "header-global": {},
    "header-content": {"apicurio.registry.use-id": "contentId"},
    "global-8": {"apicurio.registry.headers.enabled": "false"},
    "global-4": {"apicurio.registry.headers.enabled": "false", ID_HANDLER: FOUR_BYTES},
    "content-8": {"apicurio.registry.headers.enabled": "false", "apicurio.registry.use-id": "contentId"},
    "content-4": {
        "apicurio.registry.headers.enabled": "false", "apicurio.registry.use-id": "contentId", ID_HANDLER: FOUR_BYTES,
    },
    "json": {"apicurio.registry.avro.encoding": "JSON"},
}
# Too short for an id; a header that is none; ids that the registry does not have.
STRANGE = [
    (b"\x00\x00\x00\x00\x00\x01", []),
    (b"\x02", [("apicurio.value.globalId", b"\x01")]),
    (b"\x02", [("apicurio.value.globalId", (999_999).to_bytes(8, "big"))]),
    (b"\x00" + (999_999).to_bytes(4, "big") + b"\x02", []),
]


def people():
    """A Protobuf file of two messages, of which the records are the second."""
    file = descriptor_pb2.FileDescriptorProto(name="people.proto", package="people", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for message, fields in (("Pet", [("kind", field.TYPE_STRING)]), ("Person", [
        ("id", field.TYPE_INT64), ("name", field.TYPE_STRING),
    ])):
        declared = file.message_type.add(name=message)
        for number, (name, ty) in enumerate(fields, 1):
            declared.field.add(name=name, number=number, type=ty, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    cls = message_factory.GetMessageClass(pool.FindMessageTypeByName("people.Person"))
    rows = [{"id": n, "name": f"n{n}"} for n in range(1, 6)]
    asked = {"file": base64.b64encode(file.SerializeToString()).decode(), "message": "Person"}
    return asked, [(cls(**row).SerializeToString(), row) for row in rows]


def avro(name):
    text, pairs = batch(name)
    schema = fastavro.parse_schema(json.loads(text))
    for record, row in pairs:
        plain = io.BytesIO()
        fastavro.schemaless_writer(plain, schema, record)
        yield plain.getvalue(), row


class Serializers:
    """Apicurio's, in a process of their own."""

    def __init__(self, options):
        self.options = options
        jars = pathlib.Path(os.environ["TABLETOPIC_CACHE"]) / "apicurio" / "*"
        program = pathlib.Path(__file__).parent / "apicurio" / "Serialize.java"
        self.process = subprocess.Popen(
            ["java", "-XX:TieredStopAtLevel=1", "-Dslf4j.internal.verbosity=ERROR", "-cp", jars, program],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def serialize(self, frame, asked, plain):
        properties = {"apicurio.registry.url": self.options.registry, "apicurio.registry.auto-register": "true"}
        asked = asked | {
            "topic": self.options.topic,
            "properties": properties | FRAMES[frame],
            "bytes": base64.b64encode(plain).decode(),
        }
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the serializer failed; it says why above")
        answer = json.loads(line)
        headers = [(name, base64.b64decode(value)) for name, value in answer.get("headers", [])]
        return base64.b64decode(answer["value"]), headers


def tell_ids_apart(registry, text):
    """The same schema under another name first, as the serializer will write it, and a second one: what the serializer
    registers then has a global id that is not its content id."""
    schema = json.loads(text)
    for name, body in (("same", schema), ("other", schema | {"name": "Other"})):
        headers = {
            "Content-Type": "application/json", "X-Registry-ArtifactType": "AVRO", "X-Registry-ArtifactId": name,
        }
        body = json.dumps(body, separators=(",", ":")).encode()
        url = f"{registry}/groups/default/artifacts?ifExists=RETURN"
        urllib.request.urlopen(urllib.request.Request(url, body, headers)).close()


def queue(serializers, wanted):
    if wanted == "strange":
        return [(None, value, headers, None) for value, headers in STRANGE]
    frame, name = wanted.split(":")
    if name == "people":
        asked, pairs = people()
    else:
        asked, pairs = {"schema": batch(name)[0]}, avro(name)
        tell_ids_apart(serializers.options.registry, asked["schema"])
    keep = frame != "json"
    return [(None, *serializers.serialize(frame, asked, plain), row if keep else None) for plain, row in pairs]


def produce(options):
    serializers = Serializers(options)
    in_turns.produce(options, [queue(serializers, wanted) for wanted in options.batch])


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
