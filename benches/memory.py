#!/usr/bin/env python3
"""Row 9 of the targets: peak memory beside the configured budget, for tables of many partitions and topics of many.

  memory.py RESULTS

Each case is a catch-up as in `catch_up.py`, from the first record to the last. What differs is the budget, how many
files the table's partitions keep open at once, how many partitions the topic has, and how many workers read it.
"""

import argparse
import json
import os
import pathlib
import sys

import catch_up

# A file is open for each partition value: of `bucket` in every batch, of hours as far as the topic partitions drift apart.
DAYS = ""
HOURS = 'partition_by = ["hour(dateTime)"]'
BUCKETS = 'partition_by = ["bucket(1000, bidder)"]'

# The topic's partitions, workers, budget in MiB, partition spec.
CASES = [
    (4, 1, 1024, DAYS), (4, 1, 256, DAYS), (4, 1, 256, HOURS), (4, 1, 256, BUCKETS), (4, 2, 512, BUCKETS),
    (256, 1, 256, DAYS), (256, 1, 256, BUCKETS), (256, 2, 512, HOURS),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--binary", default=str(catch_up.ROOT / "target/release/tabletopic"))
    parser.add_argument("--count", type=int, default=4_000_000, help="records of each topic")
    options = parser.parse_args()
    options.bootstrap = os.environ.get("TABLETOPIC_TEST_BOOTSTRAP") or parser.error("TABLETOPIC_TEST_BOOTSTRAP is not set")
    options.interval, options.format, options.registry = "10s", "json", None
    with options.results.open("a") as results:
        for partitions, workers, budget, spec in CASES:
            options.topic, options.partitions = f"bids-{options.count}-{partitions}", partitions
            options.workers, options.job, options.memory = workers, spec, f"{budget}MiB"
            records = catch_up.prepare_topic(options, options.topic, "bids")
            measured = catch_up.catch_up(options, [options.binary], options.topic, "bids", records)
            line = {
                "memory": options.topic, "partitions": partitions, "workers": workers, "budget_mib": budget,
                "spec": spec.partition("=")[2].strip() or "by day",
            } | measured
            print(json.dumps(line), file=results, flush=True)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
