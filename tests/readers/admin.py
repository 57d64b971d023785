#!/usr/bin/env python3
"""What an operator does to topics and groups, with the broker's answers as JSON.

  admin.py create TOPIC --partitions 4 --config retention.ms=-1
  admin.py delete TOPIC
  admin.py add-partitions TOPIC --to 6
  admin.py delete-records TOPIC --before 0=100 --before 1=50
  admin.py describe TOPIC         topic id, and of each partition log start, high watermark, last stable offset
  admin.py group GROUP            state, members with their partitions, committed offsets
  admin.py password USER --is PASSWORD    for both kinds of SCRAM
  admin.py read TOPIC --produced FILE     what a read_committed reader gets now, in the form of produced.py
"""

import argparse
import json
import os
import time

from confluent_kafka import (
    OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException,
    TopicCollection, TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient, NewPartitions, NewTopic, OffsetSpec, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion,
)
from produced import Produced

TIMEOUT = 30  # seconds
# What a leader answers that has not heard yet of the partitions that metadata names, or of their epoch; and what the
# client says by itself as long as its metadata has no leader.
NOT_YET = (
    KafkaError._UNKNOWN_PARTITION, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.FENCED_LEADER_EPOCH,
)


def results(futures):
    """What the broker answered to each key of a request; an error ends the program with the broker's words."""
    return {key: future.result(TIMEOUT) for key, future in futures.items()}


def pairs(texts, separator="="):
    return dict(text.split(separator, 1) for text in texts)


def wait_until(what, condition):
    """Waits until metadata shows what was asked for: a broker answers before all of it knows."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not seen within {TIMEOUT} s")
        time.sleep(0.05)


def partitions(client, topic):
    """The partitions of the topic that have a leader, none if there is no such topic."""
    found = client.list_topics(timeout=TIMEOUT).topics.get(topic)
    return [each for each in found.partitions.values() if each.leader != -1] if found else []


def served(client, options):
    """What `describe` says, once the leaders serve the partitions, which is a moment after metadata names them."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return describe(client, options)
        except KafkaException as error:
            if error.args[0].code() not in NOT_YET or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def create(client, options):
    new = NewTopic(options.topic, options.partitions, 1, config=pairs(options.config))
    results(client.create_topics([new]))
    wait_until(options.topic, lambda: len(partitions(client, options.topic)) == options.partitions)
    return served(client, options)


def delete(client, options):
    results(client.delete_topics([options.topic]))
    wait_until(f"{options.topic} gone", lambda: not partitions(client, options.topic))
    return {"deleted": options.topic}


def add_partitions(client, options):
    results(client.create_partitions([NewPartitions(options.topic, options.to)]))
    wait_until(options.topic, lambda: len(partitions(client, options.topic)) == options.to)
    return served(client, options)


def delete_records(client, options):
    before = [TopicPartition(options.topic, int(p), int(o)) for p, o in pairs(options.before).items()]
    results(client.delete_records(before))
    return describe(client, options)


def describe(client, options):
    [topic] = results(client.describe_topics(TopicCollection([options.topic]))).values()

    def offsets(spec, level):
        asked = {TopicPartition(options.topic, each.id): spec for each in topic.partitions}
        found = results(client.list_offsets(asked, isolation_level=level))
        return {tp.partition: each.offset for tp, each in found.items()}

    starts = offsets(OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)
    ends = offsets(OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
    stable = offsets(OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
    return {
        "topic": options.topic,
        "topic_id": str(topic.topic_id),
        "partitions": {p: {"start": starts[p], "end": ends[p], "last_stable": stable[p]} for p in sorted(starts)},
    }


def group(client, options):
    [found] = results(client.describe_consumer_groups([options.group])).values()
    asked = [ConsumerGroupTopicPartitions(options.group)]
    [committed] = results(client.list_consumer_group_offsets(asked)).values()

    def name(tp):
        return f"{tp.topic}/{tp.partition}"

    return {
        "group": options.group,
        "state": found.state.name,
        "members": [
            {
                "member": member.member_id, "instance": member.group_instance_id, "client": member.client_id,
                "partitions": sorted(name(tp) for tp in member.assignment.topic_partitions),
            }
            for member in found.members
        ],
        "committed": {name(tp): tp.offset for tp in committed.topic_partitions},
    }


def password(client, options):
    mechanisms = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
    for mechanism in mechanisms:
        new = UserScramCredentialUpsertion(
            options.user, ScramCredentialInfo(mechanism, 4096), getattr(options, "is").encode()
        )
        results(client.alter_user_scram_credentials([new]))
    return {"user": options.user}


def read(client, options):
    """Reads each partition to its last stable offset as it is now."""
    reader = Consumer({
        "bootstrap.servers": options.bootstrap, "group.id": "admin.py", "enable.auto.commit": False,
        "isolation.level": "read_committed", "auto.offset.reset": "error",
    })
    ends = {p: each["last_stable"] for p, each in describe(client, options)["partitions"].items()}
    reader.assign([TopicPartition(options.topic, p, OFFSET_BEGINNING) for p in ends])
    produced, deadline = Produced(), time.monotonic() + 120

    def done():
        # The position, not the last record: control records, aborted and compacted ones end partitions too.
        positions = reader.position([TopicPartition(options.topic, p) for p in ends])
        return all(each.offset >= ends[each.partition] or ends[each.partition] == 0 for each in positions)

    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"{options.topic}: not read to {ends} within 120 s")
        for message in reader.consume(1000, timeout=0.2):
            if message.error():
                raise KafkaException(message.error())
            kind = "record" if message.value() is not None else "tombstone"
            produced.callback(kind)(None, message)
    reader.close()
    produced.write(options.produced)
    return produced.summary()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default=os.environ.get("TABLETOPIC_TEST_BOOTSTRAP"))
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, run, subject="topic"):
        added = commands.add_parser(name)
        added.add_argument(subject)
        added.set_defaults(run=run)
        return added

    added = command("create", create)
    added.add_argument("--partitions", type=int, default=1)
    added.add_argument("--config", action="append", default=[], metavar="KEY=VALUE")
    command("delete", delete)
    command("add-partitions", add_partitions).add_argument("--to", type=int, required=True, metavar="TOTAL")
    added = command("delete-records", delete_records)
    added.add_argument("--before", action="append", required=True, metavar="PARTITION=OFFSET")
    command("describe", describe)
    command("group", group, "group")
    command("password", password, "user").add_argument("--is", required=True, metavar="PASSWORD")
    command("read", read).add_argument("--produced", metavar="FILE", required=True)
    options = parser.parse_args()
    if not options.bootstrap:
        parser.error("--bootstrap, or TABLETOPIC_TEST_BOOTSTRAP")

    client = AdminClient({"bootstrap.servers": options.bootstrap})
    try:
        print(json.dumps(options.run(client, options)))
    except KafkaException as error:
        raise SystemExit(f"{options.command}: {error}")


if __name__ == "__main__":
    main()
