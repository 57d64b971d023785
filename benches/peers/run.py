#!/usr/bin/env python3
"""`tabletopic` beside Kafka Connect's Iceberg sink and Flink's: the same broker, the same records, the same kind of catalog.

  run.py RESULTS                                           rows 2 and 5 of the targets
  run.py RESULTS --count 400000 --rounds 1 --minutes 0     a look at whether it works
  run.py RESULTS --only tabletopic --only connect

Catch-up: a topic of bids is read from its start into an empty table, by each system in turn, round by round. Freshness:
records come at an even rate, and all write them at the same time. Appends the figures to RESULTS, one JSON object a line,
of which `page.py` makes RESULTS.md. Leaves with 1 if a system does not write every record once, or another row than the
others.
Needs a broker (TABLETOPIC_TEST_BOOTSTRAP; `tests/parts/kafka.py with`) and what `tests/parts/provision peers` installs.
Only Python's standard library; `tables.py` and `pace.py` run in TABLETOPIC_PYTHON.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
# What others have as well: the topic of bids, and where the parts of the tests are.
sys.path += [str(HERE.parent), str(HERE.parent.parent / "tests/parts")]

import backlog  # noqa: E402
import by_connect  # noqa: E402
import by_flink  # noqa: E402
import by_tabletopic  # noqa: E402
import catch_up  # noqa: E402
import fresh  # noqa: E402
import place  # noqa: E402
from process import Failed  # noqa: E402

MODULES = {module.NAME: module for module in (by_tabletopic, by_connect, by_flink)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--binary", type=pathlib.Path, default=place.ROOT / "target/release/tabletopic")
    parser.add_argument("--bootstrap", default=os.environ.get("TABLETOPIC_TEST_BOOTSTRAP"))
    parser.add_argument("--only", action="append", choices=MODULES, help="this system, and others that are named so")
    catching_up = parser.add_argument_group("catch-up")
    catching_up.add_argument("--topic", default="bids", help="is made if it is not there")
    catching_up.add_argument("--count", type=int, default=8_000_000, help="records of the topic, if it has to be made")
    catching_up.add_argument("--partitions", type=int, default=4)
    catching_up.add_argument("--rounds", type=int, default=5, help="0 for none")
    catching_up.add_argument("--interval", type=int, default=5, help="seconds from commit to commit")
    freshness = parser.add_argument_group("freshness")
    freshness.add_argument("--minutes", type=int, default=10, help="that are measured; 0 for none")
    freshness.add_argument("--warm-up", type=int, default=2, help="minutes before that")
    freshness.add_argument("--rate", type=int, default=2000, help="records a second")
    freshness.add_argument("--fresh-partitions", type=int, default=16)
    freshness.add_argument("--idle", type=int, default=2, help="partitions that get nothing, other ones each minute")
    freshness.add_argument("--fresh-interval", type=int, default=10, help="seconds from commit to commit")
    options = parser.parse_args()
    if not options.bootstrap:
        parser.error("--bootstrap, or TABLETOPIC_TEST_BOOTSTRAP")
    options.binary = options.binary.resolve()
    modules = [MODULES[name] for name in MODULES if not options.only or name in options.only]
    options.results.parent.mkdir(parents=True, exist_ok=True)

    # So that what was started ends as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with options.results.open("a") as results:
        def write(line):
            print(json.dumps({"bench": "peers"} | line), file=results, flush=True)
            print(json.dumps(line), flush=True)

        write({"session": session(options, modules)})
        if options.rounds:
            measure_catch_up(modules, options, write)
        if options.minutes:
            for line in fresh.measure(modules, options, f"peers-{time.time_ns()}"):
                write(line)


def session(options, modules):
    """What the figures were taken on, and by what."""
    # Of the machine, as the other benchmarks say it.
    options.workers, options.job, options.work, options.format, options.registry = 1, "", "bids", "json", None
    java = subprocess.run(["java", "-version"], stderr=subprocess.PIPE, text=True, check=True).stderr
    versions, settings = {"Java": re.search(r"\(build ([^,)]+)", java)[1]}, {}
    shown = dataclasses.replace(place.SHOWN, interval_s=options.interval)
    for module in modules:
        versions |= module.versions(options)
        settings[module.NAME] = module.settings(shown)
    chosen = ("rounds", "interval", "minutes", "warm_up", "rate", "fresh_partitions", "idle", "fresh_interval", "partitions")
    return catch_up.session(options) | {
        "versions": versions, "settings": settings, "titles": {module.NAME: module.TITLE for module in modules},
    } | {name: getattr(options, name) for name in chosen}


def measure_catch_up(modules, options, write):
    records = catch_up.prepare_topic(options, options.topic, "bids")
    contents = None
    for round in range(options.rounds):
        # Each is the first one in turn, so that none always follows the same.
        first = round % len(modules)
        for module in modules[first:] + modules[:first]:
            line = backlog.measure(module, options, records, f"peers-{module.NAME}-{time.time_ns()}")
            write(line | {"round": round})
            contents = contents or line["contents"]
            if line["contents"] != contents:
                raise Failed(f"{module.TITLE} wrote other rows: {line['contents']}, not {contents}")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"run.py: {failed}")
    except KeyboardInterrupt:
        sys.exit(130)
