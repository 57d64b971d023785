#!/usr/bin/env python3
"""Does `compare` tell whether another writer's table of the same topic holds the same rows?

  second_writer.py

While orders come in, `tabletopic run` writes one table of them, and Kafka Connect's Iceberg sink another, through the
same catalog. Both have to hold the same, as `compare` says and as DuckDB says; of the offsets that both have already, also while
one of them is ahead. Then rows of Connect's table are deleted and put back with other values by PyIceberg, and `compare` has to
name just these. Leaves with 0, or with 1 and what is wrong. Needs what `run.py` needs.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import duckdb
import pyarrow as pa
import service
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pyiceberg.expressions import And, EqualTo, In
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform
from pyiceberg.types import BooleanType, DoubleType, IntegerType, LongType, NestedField, StringType, TimestamptzType

sys.path.insert(0, str(service.ROOT / "tests/readers"))
import orders  # noqa: E402

OURS, THEIRS = "shop.orders", "legacy.orders"
PARTITIONS = 2
FIRST, MORE = 20_000, 5_000
COLUMNS = [
    ("id", LongType()), ("customer", StringType()), ("amount", DoubleType()), ("quantity", LongType()),
    ("paid", BooleanType()), ("created_at", TimestamptzType()), ("note", StringType()),
    ("_kafka_partition", IntegerType()), ("_kafka_offset", LongType()),
]
# What Connect's table does not have.
ONLY_OURS = "_kafka_timestamp"
CONFIGURATION = """
[[topic]]
name = "{topic}"
table = "shop.orders"
format = "json"
event_time = "created_at"
commit.interval = "1s"
"""


class Orders:
    """A topic with orders."""

    def __init__(self, bootstrap):
        self.bootstrap, self.topic = bootstrap, f"orders.second-writer.{os.getpid()}"
        self.control = f"{self.topic}.control"
        topics = [NewTopic(self.topic, PARTITIONS, 1, config={"retention.ms": "-1"}), NewTopic(self.control, 1, 1)]
        admin = AdminClient({"bootstrap.servers": bootstrap})
        for future in admin.create_topics(topics).values():
            future.result(service.TIMEOUT)
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
        self.produced = 0

    def produce(self, count):
        for i in range(self.produced, self.produced + count):
            fields = orders.order(orders.chance(0, self.topic, i % PARTITIONS, i), i, 3, False)
            self.producer.produce(self.topic, orders.encode(fields), partition=i % PARTITIONS)
            self.producer.poll(0)
        if left := self.producer.flush(service.TIMEOUT):
            sys.exit(f"{left} records were not produced")
        self.produced += count


class Lake(service.Folder):
    """A catalog that `run` serves, our table, and theirs beside it."""

    def __init__(self, folder, binary, topic):
        super().__init__(folder, binary, topic.bootstrap)
        catalog = self.with_warehouse(service.SQLITE) + service.SERVE
        self.config.write_text(self.common(catalog) + CONFIGURATION.format(topic=topic.topic))

    def make_theirs(self, uri):
        self.catalog = service.rest_catalog(None, uri)
        self.catalog.create_namespace("legacy")
        fields = [NestedField(at, name, kind, required=False) for at, (name, kind) in enumerate(COLUMNS, 1)]
        by_day = PartitionSpec(PartitionField(6, 1000, DayTransform(), "created_at_day"))
        self.catalog.create_table(THEIRS, Schema(*fields), partition_spec=by_day)

    def rows(self, name):
        snapshot = self.catalog.load_table(name).current_snapshot()
        return int(snapshot.summary.additional_properties["total-records"]) if snapshot else 0

    def wait_for(self, name, rows):
        deadline = time.monotonic() + service.TIMEOUT
        while (there := self.rows(name)) < rows:
            if time.monotonic() > deadline:
                sys.exit(f"{name} has {there} of {rows} rows")
            time.sleep(0.2)

    def compare(self, *more):
        """Whether both are the same, and what `compare` says."""
        done = subprocess.run(
            [self.tabletopic, "compare", OURS, THEIRS, "--ignore", ONLY_OURS, "--output", "json", "--config", self.config, *more],
            capture_output=True, text=True, timeout=service.TIMEOUT,
        )
        if done.returncode not in (0, 3):
            sys.exit(f"compare left with {done.returncode}:\n{done.stderr[-4000:]}")
        return done.returncode == 0, json.loads(done.stdout)

    def arrow(self, name):
        columns = tuple(column for column, _ in COLUMNS)
        return self.catalog.load_table(name).scan(selected_fields=columns).to_arrow().select(columns)


def ask(url, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    # Not by a proxy that the environment names.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return json.load(answer)


def sink(topic, uri):
    """The configuration of the sink: a field for the place of each record, as our table has it."""
    return {
        "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector",
        "tasks.max": "1",
        "topics": topic.topic,
        "consumer.override.auto.offset.reset": "earliest",
        "iceberg.tables": THEIRS,
        "iceberg.control.topic": topic.control,
        "iceberg.control.commit.interval-ms": "2000",
        "iceberg.catalog.type": "rest",
        "iceberg.catalog.uri": uri,
        "iceberg.catalog.warehouse": "tabletopic",
        "iceberg.catalog.io-impl": "org.apache.iceberg.hadoop.HadoopFileIO",
        "transforms": "place",
        "transforms.place.type": "org.apache.kafka.connect.transforms.InsertField$Value",
        "transforms.place.partition.field": "_kafka_partition",
        "transforms.place.offset.field": "_kafka_offset",
    }


@contextlib.contextmanager
def connecting(topic, uri):
    """Kafka Connect writes the table."""
    with service.running("connect.py", topic.bootstrap) as (_, url):
        ask(f"{url}/connectors", {"name": "orders", "config": sink(topic, uri)})
        yield url


def must(what, is_so, told):
    if not is_so:
        sys.exit(f"{what}:\n{json.dumps(told, indent=2)[:6000]}")
    print(f"  {what}")


def differences(told):
    return {kind: number for kind, number in told["differences"].items() if number}


def spoil(lake):
    """Three rows leave, and one of them comes back with another amount."""
    theirs = lake.catalog.load_table(THEIRS)
    gone = And(EqualTo("_kafka_partition", 1), In("_kafka_offset", [7, 70, 700]))
    rows = theirs.scan(gone).to_arrow().to_pylist()
    theirs.delete(gone)
    changed = [row | {"amount": row["amount"] + 1} for row in rows if row["_kafka_offset"] == 70]
    theirs.append(pa.Table.from_pylist(changed, schema=schema_to_pyarrow(theirs.schema())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=service.ROOT / "target/debug/tabletopic")
    options = parser.parse_args()
    bootstrap = os.environ.get("TABLETOPIC_TEST_BOOTSTRAP") or sys.exit("TABLETOPIC_TEST_BOOTSTRAP names no broker")
    began = datetime.datetime.now()
    topic = Orders(bootstrap)
    topic.produce(FIRST)
    with tempfile.TemporaryDirectory(prefix="second-writer-") as folder:
        lake = Lake(folder, options.binary, topic)
        with lake.process("run", lake.config, "run", "--serve-catalog") as uri:
            lake.make_theirs(uri)
            with connecting(topic, uri):
                lake.wait_for(OURS, FIRST)
                lake.wait_for(THEIRS, FIRST)
                same, told = lake.compare()
                must(f"both hold the same {FIRST} rows, by Kafka's place", same, told)
                same, told = lake.compare("--key", "id")
                must("and by a key of their own", same, told)
                topic.produce(MORE)
                lake.wait_for(OURS, FIRST + MORE)
                half = FIRST // PARTITIONS
                same, told = lake.compare(*(word for at in range(PARTITIONS) for word in ("--offsets", f"{at}:0..{half}")))
                must("and of these offsets while one is ahead", same and told["a"]["rows"] == FIRST, told)
                lake.wait_for(THEIRS, FIRST + MORE)
            same, told = lake.compare()
            must(f"both hold the same {FIRST + MORE} rows", same, told)
            ours, theirs = lake.arrow(OURS), lake.arrow(THEIRS)
            [(apart,)] = duckdb.sql(
                "SELECT count(*) FROM ((FROM ours EXCEPT FROM theirs) UNION ALL (FROM theirs EXCEPT FROM ours))"
            ).fetchall()
            must("so says DuckDB", apart == 0 and len(ours) == len(theirs) == FIRST + MORE, apart)
            spoil(lake)
            same, told = lake.compare()
            must("what was deleted and changed is found, and nothing else",
                 not same and differences(told) == {"only_in_a": 2, "different": 1}, told)
            named = sorted(sample["key"]["_kafka_offset"] for sample in told["samples"])
            must("and named", named == [7, 70, 700], told["samples"])
    print(f"second_writer.py: all as it should be, in {(datetime.datetime.now() - began).seconds} s")


if __name__ == "__main__":
    main()
