#!/usr/bin/env python3
"""Produces to topics that exist already (admin.py makes them), and says at which offsets what was produced.

  produce.py orders TOPIC --count 10000 --seed 1 --poison 0.01 --tombstones 0.01 --produced FILE
  produce.py transactions TOPIC --count 50 --size 20 --seed 1 --produced FILE
  produce.py keyed TOPIC --count 10000 --keys 100 --seed 1 --produced FILE
  produce.py flights TOPIC --seed 1 --produced FILE
  produce.py lines TOPIC --from FILE --produced FILE        see lines.py
  produce.py bomb TOPIC --count 300 --produced FILE
  produce.py bids TOPIC --count 8000000 --seed 1 [--format avro --registry URL] [--late 0.05]
  produce.py lineitem TOPIC --count 8000000 --seed 1

--produced writes every record with its offset (see produced.py). bids and lineitem have none: their record at an offset
follows from the seed, so their topic must be new. Prints one JSON object with counts by kind and the offsets of each partition.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import random
import time

import bids
import flights
import lake
import lineitem
import lines
import orders
from confluent_kafka import Consumer, Producer, TopicPartition
from produced import Produced

QUEUE = 400_000  # records that librdkafka may hold


def producer(bootstrap, **properties):
    """Idempotent, so that neither a retry doubles a record nor a failure reorders a partition."""
    return Producer({
        "bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "lz4", "linger.ms": 20,
        "batch.size": 262_144, "queue.buffering.max.messages": QUEUE, "queue.buffering.max.kbytes": 524_288,
    } | properties)


def partitions_of(client, topic):
    found = client.list_topics(topic, timeout=30).topics[topic]
    if found.error:
        raise SystemExit(f"topic {topic}: {found.error}")
    return len(found.partitions)


def send(client, topic, **record):
    """Produces one record; where librdkafka's queue is full, waits for room."""
    while True:
        try:
            client.produce(topic, **record)
            break
        except BufferError:
            client.poll(0.1)
    client.poll(0)


def finish(client):
    if left := client.flush(120):
        raise SystemExit(f"{left} records were not acknowledged within 120 s")


def pace(items, options):
    """The items, no more than --rate a second (0: as fast as they are taken), while the file of --while is there."""
    start = time.monotonic()
    for i, item in enumerate(items):
        if options.rate:
            time.sleep(max(0, start + i / options.rate - time.monotonic()))
        if options.while_file and i % 50 == 0 and not os.path.exists(options.while_file):
            return
        yield item


def produce_orders(options, produced):
    client = producer(options.bootstrap)
    partitions = partitions_of(client, options.topic)
    poison = list(orders.POISON)
    for n in pace(range(options.count), options):
        partition, i = n % partitions, options.first + n // partitions
        chance = orders.chance(options.seed, options.topic, partition, i)
        fields = orders.order(chance, i, options.days, options.nested, options.first_day)
        kind, reason, value = "record", None, orders.encode(fields)
        draw = chance.random()
        # The first of a partition is good: it may be the one from which a column gets its type.
        if i and draw < options.poison:
            kind, reason = "poison", chance.choice(poison)
            value = orders.POISON[reason](fields)
        elif draw < options.poison + options.tombstones:
            kind, value = "tombstone", None
        headers = [("i", str(i)), ("i", b"\x00again")] if options.headers else None
        send(
            client, options.topic, partition=partition, key=fields["customer"], value=value, headers=headers,
            on_delivery=produced.callback(kind, reason, headers=headers),
        )
    finish(client)


def produce_transactions(options, produced):
    """Committed and aborted transactions, the last one aborted: the log ends in offsets that no reader ever sees."""
    client = producer(options.bootstrap, **{"transactional.id": f"{options.topic}-{options.seed}"})
    partitions = partitions_of(client, options.topic)
    client.init_transactions(60)
    chance = random.Random(options.seed)
    for n in pace(range(options.count), options):
        aborts = n == options.count - 1 or chance.random() < options.aborted
        client.begin_transaction()
        for m in range(options.size):
            i = n * options.size + m
            fields = orders.order(orders.chance(options.seed, options.topic, 0, i), i, options.days, options.nested)
            send(
                client, options.topic, partition=i % partitions, key=fields["customer"], value=orders.encode(fields),
                on_delivery=produced.callback("aborted" if aborts else "record"),
            )
        # Not left to the abort: it would drop what is still queued, and then there is nothing to skip in the log.
        finish(client)
        client.abort_transaction(60) if aborts else client.commit_transaction(60)


def produce_keyed(options, produced):
    """Few keys, many values and some tombstones, for a topic that the broker compacts."""
    client = producer(options.bootstrap)
    for i in pace(range(options.count), options):
        chance = orders.chance(options.seed, options.topic, "keyed", i)
        tombstone = chance.random() < options.tombstones
        fields = orders.order(chance, i, options.days, options.nested)
        send(
            client, options.topic, key=f"k{chance.randrange(options.keys)}",
            value=None if tombstone else orders.encode(fields),
            on_delivery=produced.callback("tombstone" if tombstone else "record"),
        )
    finish(client)


def produce_flights(options, produced):
    client = producer(options.bootstrap)
    for key, value in pace(flights.records(options.seed), options):
        send(client, options.topic, key=key, value=value, on_delivery=produced.callback("record"))
    finish(client)


def produce_lines(options, produced):
    client = producer(options.bootstrap)
    for record, kind, reason, stored in lines.records(options.from_file):
        send(client, options.topic, on_delivery=produced.callback(kind, reason, stored, record.get("headers")), **record)
    finish(client)


def produce_bomb(options, produced):
    """One record of --count MiB in partition 0, which the broker takes, since gzip makes next to nothing of it."""
    client = producer(options.bootstrap, **{
        "compression.type": "gzip", "message.max.bytes": 1_000_000_000, "queue.buffering.max.kbytes": 2_000_000,
    })
    send(
        client, options.topic, partition=0, value=bytes(options.count << 20),
        on_delivery=produced.callback("poison", "not_json"),
    )
    finish(client)


def produce_generated(options):
    """One process for each partition: the offsets of a new topic are then 0, 1, 2, and so on."""
    partitions = partitions_of(producer(options.bootstrap), options.topic)
    registered = options.command == "bids" and options.registry
    options.schema_id = bids.register(options.registry, options.topic, options.format) if registered else None
    counts = [len(range(partition, options.count, partitions)) for partition in range(partitions)]
    # Spawned, because neither librdkafka nor DuckDB lives through a fork.
    processes = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(min(partitions, os.cpu_count()), mp_context=processes) as pool:
        arguments = [(options, partition, partitions, count) for partition, count in enumerate(counts)]
        ends = list(pool.map(produce_generated_of_partition, *zip(*arguments)))
    if ends != counts:
        raise SystemExit(f"{options.topic}: the partitions end at {ends}, not {counts}: was the topic new?")
    return {
        "kinds": {"record": options.count},
        "partitions": {f"{options.topic}/{p}": {"start": 0, "end": end} for p, end in enumerate(ends)},
    }


def produce_generated_of_partition(options, partition, partitions, count, chunk=50_000):
    connection = lake.open_duckdb()
    connection.execute("SET threads = 1")
    made, how = (bids, {"late": options.late}) if options.command == "bids" else (lineitem, {})
    made.prepare(connection, options.seed)
    encode = bids.encoder(options.format, options.schema_id) if options.schema_id else str.encode
    client = producer(options.bootstrap, **{"linger.ms": 50})
    failed = []
    for start in range(0, count, chunk):
        query = made.values(options.seed, partition, partitions, start, min(start + chunk, count), **how)
        # Sorted, because an offset stands for i.
        values = connection.execute(f"SELECT value FROM ({query}) ORDER BY i").fetchall()
        while len(client) > QUEUE - chunk:
            client.poll(0.05)
        records = [{"value": encode(value)} for (value,) in values]
        queued = client.produce_batch(
            options.topic, records, partition=partition,
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
        if queued != len(records):
            raise SystemExit(f"{options.topic}/{partition}: librdkafka took {queued} of {len(records)} records")
        client.poll(0)
    finish(client)
    if failed:
        raise SystemExit(f"{options.topic}/{partition}: {len(failed)} not produced: {failed[0]}")
    reader = Consumer({"bootstrap.servers": options.bootstrap, "group.id": "produce.py"})
    low, high = reader.get_watermark_offsets(TopicPartition(options.topic, partition), timeout=30)
    reader.close()
    return high - low


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("orders", "transactions", "keyed", "flights", "lines", "bids", "lineitem", "bomb"):
        command = commands.add_parser(name)
        command.add_argument("topic")
        command.add_argument("--bootstrap", default=os.environ.get("TABLETOPIC_TEST_BOOTSTRAP"))
        command.add_argument("--seed", type=int, default=1)
        if name == "lines":
            command.add_argument("--from", dest="from_file", metavar="FILE", required=True)
        if name not in ("flights", "lines"):
            command.add_argument("--count", type=int, default=1000, help="records; of transactions: transactions")
        if name == "bids":
            command.add_argument("--registry", metavar="URL", help="in --format, with the schema there")
            command.add_argument("--format", choices=tuple(bids.KINDS))
            command.add_argument("--late", type=float, default=0, help="fraction that is late, by up to 48 hours")
        elif name != "lineitem":
            command.add_argument("--produced", metavar="FILE", required=True)
            command.add_argument("--rate", type=float, default=0, help="a second; by default as fast as it goes")
            command.add_argument("--while", dest="while_file", metavar="FILE", help="ends once there is no such file")
        if name in ("orders", "transactions", "keyed"):
            command.add_argument("--days", type=int, default=3, help="that event time is spread over")
            command.add_argument("--nested", action="store_true", help="with an object and a list of objects")
        if name == "orders":
            command.add_argument("--poison", type=float, default=0, help="fraction of bad records")
            command.add_argument("--headers", action="store_true", help="with headers, one of them repeated")
            command.add_argument("--first-day", type=int, default=0, help="of event time, counted from 2026-01-01")
            command.add_argument("--first", type=int, default=0, help="i of each partition's first record")
        if name in ("orders", "keyed"):
            command.add_argument("--tombstones", type=float, default=0, help="fraction without a value")
        if name == "transactions":
            command.add_argument("--size", type=int, default=20, help="records of a transaction")
            command.add_argument("--aborted", type=float, default=0.4, help="fraction; the last one always is")
        if name == "keyed":
            command.add_argument("--keys", type=int, default=100)
    options = parser.parse_args()
    if not options.bootstrap:
        parser.error("--bootstrap, or TABLETOPIC_TEST_BOOTSTRAP")

    if options.command in ("bids", "lineitem"):
        print(json.dumps(produce_generated(options)))
        return
    produced = Produced()
    kinds = {
        "orders": produce_orders, "transactions": produce_transactions, "keyed": produce_keyed,
        "flights": produce_flights, "lines": produce_lines, "bomb": produce_bomb,
    }
    kinds[options.command](options, produced)
    produced.write(options.produced)
    print(json.dumps(produced.summary()))


if __name__ == "__main__":
    lake.run(main)
