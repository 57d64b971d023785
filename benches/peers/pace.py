#!/usr/bin/env python3
"""Produces bids at an even rate, each with the time at which it is produced as its dateTime, in milliseconds.

  pace.py TOPIC --rate 2000 --seconds 600

Each minute --idle other partitions get nothing. A bid's auction is its number, from 0. Prints one JSON object at the end:
how many were produced, and the most by which one was late. Runs in TABLETOPIC_PYTHON.
"""

import argparse
import json
import os
import pathlib
import random
import string
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests/readers"))

import lake  # noqa: E402
import produce  # noqa: E402

# How much is produced at once.
TICK = 0.01  # seconds
IDLE_FOR = 60  # seconds
CHANNELS = 10_000
LENGTH = 283


class Bids:
    """Like those of tests/readers/bids.py, but one at a time."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.text = "".join(self.chance.choices(string.ascii_lowercase, k=1 << 16))

    def bid(self, number):
        chance = self.chance
        channel = chance.randrange(CHANNELS)
        at = chance.randrange(len(self.text) - LENGTH)
        head = (
            f'{{"auction":{number},"bidder":{1000 + chance.randrange(100_000)},"price":{int(10 ** (chance.random() * 6) * 100)},'
            f'"channel":"channel-{channel}","url":"https://www.nexmark.com/item.htm?query=1&channel_id={channel << 20}",'
            f'"dateTime":{time.time_ns() // 1_000_000},"extra":"'
        )
        return f'{head}{self.text[at:at + LENGTH - 2 - len(head)]}"}}'


def turns(partitions, idle, elapsed):
    """The partitions that get records now."""
    first = int(elapsed // IDLE_FOR) * idle
    resting = {(first + each) % partitions for each in range(idle)}
    return [partition for partition in range(partitions) if partition not in resting]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topic")
    parser.add_argument("--bootstrap", default=os.environ.get("TABLETOPIC_TEST_BOOTSTRAP"))
    parser.add_argument("--rate", type=int, default=2000, help="a second, over all partitions")
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--idle", type=int, default=2, help="partitions that get nothing, other ones each minute")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    client = produce.producer(options.bootstrap, **{"linger.ms": 5})
    partitions = produce.partitions_of(client, options.topic)
    bids, number, behind, failed = Bids(options.seed), 0, 0.0, []

    def delivered(error, _):
        if error:
            failed.append(error)

    total, began = options.rate * options.seconds, time.monotonic()
    while number < total:
        elapsed = time.monotonic() - began
        behind = max(behind, elapsed - number / options.rate)
        used = turns(partitions, options.idle, elapsed)
        while number < min(total, elapsed * options.rate):
            partition = used[number % len(used)]
            produce.send(client, options.topic, partition=partition, value=bids.bid(number), on_delivery=delivered)
            number += 1
        time.sleep(TICK)
    produce.finish(client)
    if failed:
        raise SystemExit(f"{options.topic}: {len(failed)} not produced: {failed[0]}")
    print(json.dumps({"records": number, "behind_s": round(behind, 3)}))


if __name__ == "__main__":
    lake.run(main)
