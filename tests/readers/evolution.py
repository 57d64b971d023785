#!/usr/bin/env python3
"""Schemas that change while they are read: the stories of evolution_stories.py.

  evolution.py begin --prefix P --bootstrap B                   makes the topics P-STORY; prints stories and settings
  evolution.py produce WAVE --prefix P --bootstrap B --registry URL   by Confluent's serializer
  evolution.py require COLUMN --catalog FILE --table T          somebody else makes a column required
  evolution.py judge --catalog FILE                             whether the tables shop.STORY hold what they should

`judge` reads each table through PyIceberg and through DuckDB, its ledger, its dead letters, and runs the audits of sql/.
It prints what is wrong, and leaves with 3 if something is.
"""

import argparse
import collections
import json
import sys

import lake
from audit import findings
from avro_rows import differences
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from evolution_stories import STORIES


def begin(options):
    admin = AdminClient({"bootstrap.servers": options.bootstrap})
    topics = [NewTopic(f"{options.prefix}-{story.name}", num_partitions=1) for story in STORIES]
    for made in admin.create_topics(topics).values():
        made.result()
    lake.answer([{"name": story.name, "settings": story.settings} for story in STORIES])


def produce(options):
    producer = Producer({"bootstrap.servers": options.bootstrap, "enable.idempotence": True})
    registry = SchemaRegistryClient({"url": options.registry})
    failures = []
    acknowledged = lambda error, _: failures.append(str(error)) if error is not None else None
    for story in STORIES:
        topic, serializers = f"{options.prefix}-{story.name}", {}
        context = SerializationContext(topic, MessageField.VALUE)
        for schema, record, _ in story.records(options.wave).values():
            text = json.dumps(schema)
            if text not in serializers:
                serializers[text] = AvroSerializer(registry, text)
            producer.produce(topic, serializers[text](record, context), partition=0, on_delivery=acknowledged)
    producer.flush()
    if failures:
        sys.exit(f"not produced: {failures[0]}")
    lake.answer({"produced": options.wave})


def require(options):
    table = lake.open_table(options)
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.update_column(options.column, required=True)
    lake.answer({"required": options.column})


def judge_story(story, catalog):
    name = f"shop.{story.name}"
    table = catalog.load_table(name)
    expected = {}
    for wave in range(len(story.waves)):
        expected |= {offset: row for offset, (_, _, row) in story.records(wave).items() if row is not None}
    readers = {
        "PyIceberg": table.scan().to_arrow(),
        "DuckDB": lake.open_duckdb().execute(f"SELECT * FROM {lake.scan(table.metadata_location)}").to_arrow_table(),
    }
    for reader, rows in readers.items():
        columns = [column for column in rows.column_names if not column.startswith("_kafka_")]
        found = {row["_kafka_offset"]: row for row in rows.to_pylist()}
        if len(found) != rows.num_rows:
            yield f"{reader}: {rows.num_rows - len(found)} offsets twice"
        yield from (f"{reader}: {problem}" for problem in differences(expected, found, columns))
    fields = [field for field in table.schema().fields if not field.name.startswith("_kafka_")]
    columns = {field.name: str(field.field_type) for field in fields}
    if story.columns is not None and columns != story.columns:
        yield f"it has the columns {columns}, and not {story.columns}"
    if required := [field.name for field in fields if field.required]:
        yield f"{required} are required"
    ledger = catalog.load_table(name + "__ledger").scan(row_filter="change is not null").to_arrow().to_pylist()
    changes = [(row["change"], row["record_offset"]) for row in ledger]
    if sorted(changes) != sorted(story.changes):
        yield f"the ledger tells of {changes}, and not of {story.changes}"
    letters = catalog.load_table(name + "__dead_letters").scan().to_arrow()["reason"].to_pylist()
    if collections.Counter(letters) != story.letters:
        yield f"dead letters {collections.Counter(letters)}, and not {story.letters}"
    audits = findings(catalog, name, ["duplicates", "gaps", "counts"])
    yield from (f"audit {audit}: {rows}" for audit, rows in audits.items() if rows)


def judge(options):
    catalog = lake.open_catalog(options)
    problems = {story.name: list(judge_story(story, catalog))[:10] for story in STORIES}
    wrong = {name: found for name, found in problems.items() if found}
    lake.answer({"stories": len(STORIES), "problems": wrong})
    return lake.DIFFERS if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    wave = commands.add_parser("produce")
    wave.add_argument("wave", type=int)
    wave.add_argument("--registry", required=True, metavar="URL")
    for command in wave, commands.add_parser("begin"):
        command.add_argument("--prefix", required=True)
        command.add_argument("--bootstrap", required=True)
    column = commands.add_parser("require")
    column.add_argument("column")
    column.add_argument("--table", required=True)
    for command in column, commands.add_parser("judge"):
        command.add_argument("--catalog", required=True, metavar="FILE")
        command.add_argument("--catalog-name", default="tabletopic")
    options = parser.parse_args()
    return {"begin": begin, "produce": produce, "require": require, "judge": judge}[options.command](options)


if __name__ == "__main__":
    lake.run(main)
