#!/usr/bin/env python3
"""Rows 2 to 4 and 8 of the targets: a topic is read from its start into an empty table, `tabletopic run --until-end`.

  catch_up.py RESULTS --rounds 5
  catch_up.py RESULTS --format avro    the same bids in Avro, framed for a schema registry, which it starts; protobuf and
                                       json-schema likewise
  catch_up.py RESULTS --work lineitem  16 columns, by the month of shipping
  catch_up.py RESULTS --work late      bids by the hour, of which 5 % are late by up to 48 hours; each round also runs the
                                       bids that come in time, by the day

Each round measures the stages alone, then one catch-up of the release binary, and appends the figures to RESULTS, one
JSON object a line. With several --binary NAME=PATH a round runs each of them: so two versions are compared.
Needs a broker (TABLETOPIC_TEST_BOOTSTRAP; `tests/parts/kafka.py with`); the topic is made if it is not there, one
with a registry always, since that forgets.
Only Python's standard library; `admin.py` and `produce.py` run in TABLETOPIC_PYTHON.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
READERS = ROOT / "tests" / "readers"
SCHEMAS = {"avro": "bids.avsc", "protobuf": "bids.proto", "json-schema": "bids.schema.json"}

CONFIG = """\
[kafka]
bootstrap = "{bootstrap}"
group = "catch-up-{unique}"

[catalog]
type = "sqlite"
uri = "catalog.db"
warehouse = "warehouse"

[workers]
count = {workers}

[memory]
budget = "{memory}"

[[topic]]
name = "{topic}"
table = "bench.bids"
format = "{format}"
{job}

[topic.commit]
interval = "{interval}"

[log]
format = "json"
{registry}
"""


BY_DAY = 'event_time = "dateTime"'
# Of each kind of work: how its records are produced, its lines of the topic's configuration, and what the stages are told.
WORKS = {
    "bids": (["bids"], BY_DAY, ["--event-time", "dateTime", "--partition-by", "day(dateTime)"]),
    "late": (
        ["bids", "--late", "0.05"],
        BY_DAY + '\npartition_by = ["hour(dateTime)"]',
        ["--event-time", "dateTime", "--partition-by", "hour(dateTime)"],
    ),
    "lineitem": (
        ["lineitem"],
        f'partition_by = ["month(l_shipdate)"]\nddl = "{READERS / "lineitem.sql"}"',
        ["--partition-by", "month(l_shipdate)", "--ddl", READERS / "lineitem.sql"],
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--binary", action="append", metavar="[NAME=]PATH", help="several are run in turn")
    parser.add_argument("--stages", metavar="COMMAND", default="cargo bench --quiet --bench stages --",
                        help="that measures the stages; empty for none")
    parser.add_argument("--bootstrap", default=os.environ.get("TABLETOPIC_TEST_BOOTSTRAP"))
    parser.add_argument("--topic", help="by default the name of the work, or a new one beside a new registry")
    parser.add_argument("--work", choices=tuple(WORKS), default="bids")
    parser.add_argument("--format", choices=("json", *SCHEMAS), default="json", help="of bids")
    parser.add_argument("--count", type=int, default=8_000_000, help="records of the topic, if it has to be made")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--interval", default="10s", help="of commits")
    parser.add_argument("--memory", default="1GiB", help="the budget")
    parser.add_argument("--job", default="", help="further lines of the topic's configuration")
    options = parser.parse_args()
    if not options.bootstrap:
        parser.error("--bootstrap, or TABLETOPIC_TEST_BOOTSTRAP")

    with registry(options) as options.registry:
        measure(options)


@contextlib.contextmanager
def registry(options):
    """The URL of a registry of our own, if the records need one."""
    if options.format == "json":
        options.topic = options.topic or options.work
        yield None
        return
    options.topic = options.topic or f"bids-{options.format}-{time.time_ns()}"
    process = subprocess.Popen(
        [sys.executable, ROOT / "tests/parts/registry.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().strip()
        yield url or sys.exit("there is no registry; registry.py says why above")
    finally:
        process.terminate()
        process.wait()


def measure(options):
    records = prepare_topic(options, options.topic, options.work)
    if options.work == "late":
        in_time = prepare_topic(options, "bids", "bids")
    binaries = dict(named(binary) for binary in options.binary or [str(ROOT / "target/release/tabletopic")])
    options.results.parent.mkdir(parents=True, exist_ok=True)
    with options.results.open("a") as results:
        def write(line):
            print(json.dumps(line), file=results, flush=True)
            print(json.dumps(line), flush=True)

        write({"session": session(options)})
        for round in range(options.rounds):
            if options.stages:
                for line in stages(options):
                    write(line | {"round": round})
            for name, binary in binaries.items():
                write({"catch_up": name, "round": round} | catch_up(options, [binary], options.topic, options.work, records))
                if options.work == "late":
                    write({"catch_up": f"{name}, in time and by the day", "round": round}
                          | catch_up(options, [binary], "bids", "bids", in_time))


def named(binary):
    name, found, path = binary.partition("=")
    return (name, path) if found else ("tabletopic", binary)


def session(options):
    """What the figures were taken on."""
    with open("/proc/cpuinfo") as cpuinfo:
        model = next((line.split(": ")[1].strip() for line in cpuinfo if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"), "commit": commit.stdout.strip(),
        "cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "workers": options.workers,
        "interval": options.interval, "job": options.job, "format": options.format, "work": options.work,
    }


def prepare_topic(options, topic, work):
    """Makes and fills the topic, unless it is there. The number of its records."""
    partitions = reader("admin", options, "describe", topic, check=False)
    if partitions is None:
        reader("admin", options, "create", topic, "--partitions", str(options.partitions))
        framed = ["--registry", options.registry, "--format", options.format] if options.registry else []
        (records, *how), _, _ = WORKS[work]
        reader("produce", options, records, topic, "--count", str(options.count), "--seed", "1", *how, *framed)
        partitions = reader("admin", options, "describe", topic)
    return sum(partition["end"] - partition["start"] for partition in partitions["partitions"].values())


def reader(program, options, *arguments, check=True):
    python = os.environ.get("TABLETOPIC_PYTHON") or ROOT / ".cache/python/bin/python"
    command = [python, READERS / f"{program}.py", *arguments]
    environment = os.environ | {"TABLETOPIC_TEST_BOOTSTRAP": options.bootstrap}
    stderr = None if check else subprocess.DEVNULL
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)
    if done.returncode:
        if check:
            sys.exit(f"{program}.py {' '.join(arguments)} failed")
        return None
    return json.loads(done.stdout)


def stages(options):
    command = [*shlex.split(options.stages), "--bootstrap", options.bootstrap, "--topic", options.topic, "--rounds", "1"]
    command += WORKS[options.work][2]
    if options.format in SCHEMAS:
        command += ["--format", options.format, "--schema", READERS / SCHEMAS[options.format]]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def catch_up(options, command, topic, work, records):
    """Runs the service once, in a folder of its own, and measures the process as a whole. `command` is the binary, or
    begins with a program that runs it."""
    with tempfile.TemporaryDirectory(prefix="catch-up-") as folder:
        config = pathlib.Path(folder) / "tabletopic.toml"
        config.write_text(CONFIG.format(
            bootstrap=options.bootstrap, topic=topic, workers=options.workers, interval=options.interval,
            memory=options.memory, job=f"{WORKS[work][1]}\n{options.job}", unique=time.time_ns(), format=options.format,
            registry=f'[registry]\nurls = ["{options.registry}"]' if options.registry else "",
        ))
        before = time.monotonic()
        process = subprocess.Popen(
            [*command, "run", "--config", config, "--until-end"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )
        log = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - before
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)} left with {process.returncode}:\n{log}")
        totals = table_totals(pathlib.Path(folder) / "catalog.db")
    if totals["records"] != records:
        sys.exit(f"the table holds {totals['records']} records, the topic {records}")
    cpu = used.ru_utime + used.ru_stime
    by_stage = {stage: round(seconds / records * 1e9) for stage, seconds in cpu_by_stage(log).items()}
    return {
        "records": records, "cpu_s": round(cpu, 2), "system_s": round(used.ru_stime, 2), "wall_s": round(wall, 2),
        "cpu_ns": round(cpu / records * 1e9), "records_per_cpu_s": round(records / cpu),
        "peak_rss_mib": round(used.ru_maxrss / 1024), "files": totals["files"],
        "bytes": round(totals["bytes"] / records, 2), "snapshots": totals["snapshots"], "load": os.getloadavg()[0],
        "stage_ns": by_stage,
    }


def cpu_by_stage(log):
    """What the program says of itself when it leaves, in seconds; nothing by versions that did not."""
    for line in log.splitlines():
        fields = json.loads(line).get("fields", {}) if line.startswith("{") else {}
        if fields.pop("message", None) == "CPU seconds by stage":
            return fields
    return {}


def table_totals(catalog):
    """What the table's own metadata says of it."""
    with sqlite3.connect(catalog) as connection:
        (location,) = connection.execute(
            "SELECT metadata_location FROM iceberg_tables WHERE table_namespace = 'bench' AND table_name = 'bids'"
        ).fetchone()
    metadata = json.loads(pathlib.Path(location.removeprefix("file://")).read_text())
    current = metadata["current-snapshot-id"]
    (summary,) = [each["summary"] for each in metadata["snapshots"] if each["snapshot-id"] == current]
    return {
        "records": int(summary["total-records"]), "files": int(summary["total-data-files"]),
        "bytes": int(summary["total-files-size"]), "snapshots": len(metadata["snapshots"]),
    }


if __name__ == "__main__":
    main()
