#!/usr/bin/env python3
"""Many topics at once: makes and fills them, and says whether the tables that they feed are right.

  many.py fill --bootstrap HOST:PORT --count 1000 TOPIC [TOPIC ...]
  many.py judge --catalog FILE --table lake.orders=TOPIC:1000,TOPIC:50 [--table ...]

A record follows from its topic and offset: {"i": OFFSET, "topic": TOPIC, "text": MD5 OF "TOPIC/OFFSET"}. `fill` goes on
where a topic ends, and makes topics of one partition that are not there yet. `judge` has DuckDB compare each table with
what the topics that feed it should have brought, every offset once and no other; it leaves with 0, or with 3 and what
differs. A topic's table has a row only if `i` is the offset at which Kafka has it.
"""

import argparse
import hashlib
import json
import time

import lake
from admin import NOT_YET, TIMEOUT
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from produce import finish, producer, send


# What a record is, in a table that has a column of this name.
COLUMNS = {
    "i": "topic, text, i",
    "value": """decode("value") AS record, record ->> '$.topic' AS topic, record ->> '$.text' AS text,
        CAST(record ->> '$.i' AS BIGINT) AS i""",
}


def value(topic, i):
    text = hashlib.md5(f"{topic}/{i}".encode()).hexdigest()
    return json.dumps({"i": i, "topic": topic, "text": text}).encode()


def end_of(reader, topic):
    """Where a topic ends; one that was just made may have no leader yet."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=TIMEOUT)[1]
        except KafkaException as error:
            if error.args[0].code() not in NOT_YET or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def fill(options):
    admin = AdminClient({"bootstrap.servers": options.bootstrap})
    there = admin.list_topics(timeout=TIMEOUT).topics
    missing = [topic for topic in options.topics if topic not in there]
    if missing:
        for made in admin.create_topics([NewTopic(topic, 1, 1) for topic in missing]).values():
            made.result(TIMEOUT)
    reader = Consumer({"bootstrap.servers": options.bootstrap, "group.id": "nobody"})
    client = producer(options.bootstrap)
    ends = {}
    for topic in options.topics if options.count else []:
        end = end_of(reader, topic)
        for i in range(end, end + options.count):
            send(client, topic, partition=0, value=value(topic, i))
        ends[topic] = end + options.count
    finish(client)
    reader.close()
    return {"ends": ends}


def judge(options):
    catalog, db, wrong = lake.open_catalog(options), lake.open_duckdb(), {}
    for text in options.table:
        name, _, topics = text.partition("=")
        counts = [topic.rsplit(":", 1) for topic in topics.split(",")]
        expected = " UNION ALL ".join(
            f"SELECT '{topic}' AS topic, i, md5('{topic}/' || i) AS text FROM range({int(count)}) AS t(i)"
            for topic, count in counts
        )
        table = catalog.load_table(name)
        scan = lake.scan(table.metadata_location)
        # A table that has had no record yet lacks their columns.
        columns = next((columns for column, columns in COLUMNS.items() if column in table.schema().column_names), None)
        found = f"SELECT NULL, _kafka_offset, NULL FROM {scan}"
        if columns:
            found = f"SELECT topic, i, text FROM (SELECT _kafka_partition, _kafka_offset, {columns} FROM {scan})"
            found += " WHERE i = _kafka_offset AND _kafka_partition = 0"
        difference = db.execute(f"""
            WITH found AS ({found}), expected AS ({expected}),
            missing AS (SELECT * FROM expected EXCEPT ALL SELECT * FROM found),
            surplus AS (SELECT * FROM found EXCEPT ALL SELECT * FROM expected)
            SELECT (SELECT count(*) FROM {scan}) - (SELECT count(*) FROM expected) AS rows_too_many,
                   (SELECT count(*) FROM missing) AS missing, (SELECT count(*) FROM surplus) AS surplus""").fetchone()
        if any(difference):
            wrong[name] = dict(zip(("rows_too_many", "missing", "surplus"), difference))
    return {"tables": len(options.table), "wrong": wrong}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("fill")
    command.add_argument("--bootstrap", required=True)
    command.add_argument("--count", type=int, required=True, help="records of each topic; 0 only makes the topics")
    command.add_argument("topics", nargs="+", metavar="TOPIC")
    command = commands.add_parser("judge")
    command.add_argument("--catalog", required=True, metavar="FILE")
    command.add_argument("--catalog-name", default="tabletopic")
    command.add_argument("--table", action="append", required=True, metavar="TABLE=TOPIC:COUNT,...")
    options = parser.parse_args()
    answer = fill(options) if options.command == "fill" else judge(options)
    lake.answer(answer)
    return lake.DIFFERS if answer.get("wrong") else 0


if __name__ == "__main__":
    lake.run(main)
