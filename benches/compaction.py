#!/usr/bin/env python3
"""Row 7 of the targets: a table of 400 files of 5 MB becomes one of few files, by `tabletopic compact` and by Spark's
`rewrite_data_files`, in turns.

  compaction.py RESULTS --rounds 5
  compaction.py RESULTS --files 20 --megabytes 40         row groups that are large enough to be copied as they are
  compaction.py RESULTS --files 100 --binary target/release/tabletopic

Appends the figures to RESULTS, one JSON object a line. Between rounds the table is rolled back to what it was, whose files
are all still there, and those of the round are removed. Spark has its JVM warmed up by another table first, and only the procedure itself is counted; ours is
counted whole, with the start of the process. Needs what `tests/parts/provision engines` installs; no broker.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("TABLETOPIC_CACHE") or ROOT / ".cache").resolve()
sys.path += [str(ROOT / "tests" / "engines"), str(CACHE / "pyspark"), str(CACHE / "engines")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from engine import spark as spark_engine  # noqa: E402
from pyiceberg.catalog.sql import SqlCatalog  # noqa: E402

MIB = 1 << 20
TARGET = 512 * MIB
# Rows of a file of about 1 MB, and how many different files there are: they repeat.
ROWS, DIFFERENT = 28_000, 20
TABLE, WARM = "bench.bids", "bench.warm"

CONFIG = """\
[kafka]
bootstrap = "127.0.0.1:1"

[catalog]
type = "sqlite"
uri = "catalog.db"
warehouse = "warehouse"

[catalog.serve]
listen = "127.0.0.1:0"

[[topic]]
name = "nothing"
table = "bench.nothing"
format = "json"
"""


def bids(seed, rows):
    """Columns like those of the other benchmarks' records."""
    random = np.random.default_rng(seed)
    at = np.datetime64("2026-01-01", "us") + (seed * rows + np.arange(rows)).astype("timedelta64[us]") * 1000
    words = np.array([f"channel-{number}" for number in range(1000)])
    letters = random.integers(97, 123, (rows, 24), dtype=np.uint8)
    return pa.table({
        "auction": random.zipf(1.3, rows).clip(0, 10**9).astype("int64"),
        "bidder": random.integers(0, 10**6, rows),
        "price": random.lognormal(6, 2, rows).astype("int64"),
        "channel": words[random.zipf(1.5, rows) % 1000],
        "url": [f"https://www.nexmark.com/item.htm?query={number}" for number in random.integers(0, 10**7, rows)],
        "at": pa.array(at),
        "extra": [bytes(row).decode() for row in letters],
    })


def make(folder, files, megabytes):
    (folder / "warehouse").mkdir()
    catalog = SqlCatalog("tabletopic", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    catalog.create_namespace("bench")
    different = [bids(seed, ROWS * megabytes) for seed in range(min(DIFFERENT, files))]
    for name, count in ((WARM, 8), (TABLE, files)):
        table = catalog.create_table(name, different[0].schema, properties={"write.target-file-size-bytes": str(TARGET)})
        for number in range(count):
            table.append(different[number % len(different)])
    return catalog


def write_again(binary, config, megabytes):
    """By a writer with page indexes, which PyArrow's files have not: without them nothing is copied."""
    subprocess.run([binary, "compact", TABLE, "--config", config, "--sort", "at", "--target-size", f"{megabytes}MiB"],
                   check=True, stdout=subprocess.DEVNULL)


def files_of(table):
    files = table.inspect.files()
    return {"files": len(files), "bytes": sum(files["file_size_in_bytes"].to_pylist())}


def roll_back(catalog, snapshot_id, keep):
    table = catalog.load_table(TABLE)
    with table.manage_snapshots() as change:
        change.rollback_to_snapshot(snapshot_id)
    for file in data_files(table) - keep:
        file.unlink()


def data_files(table):
    folder = pathlib.Path(table.location().removeprefix("file://"), "data")
    return {file for file in folder.rglob("*") if file.is_file()}


def ours(binary, config):
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([binary, "compact", TABLE, "--config", config, "--output", "json"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "wall_s": wall}


class Spark:
    def __init__(self, uri):
        lake = SimpleNamespace(uri=uri, catalog="tabletopic", cache=str(CACHE), store=None)
        self.spark = spark_engine.session(lake)
        self.jvm = int(self.spark._jvm.java.lang.ProcessHandle.current().pid())
        self.rewrite(WARM)

    def rewrite(self, table):
        before, began = self.cpu(), time.monotonic()
        self.spark.sql(
            f"CALL lake.system.rewrite_data_files(table => '{table}', options => map("
            f"'target-file-size-bytes', '{TARGET}', 'max-file-group-size-bytes', '{64 * TARGET}'))"
        ).collect()
        return {"cpu_s": self.cpu() - before, "wall_s": time.monotonic() - began}

    def cpu(self):
        """Of the JVM, in seconds."""
        fields = pathlib.Path(f"/proc/{self.jvm}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serve(binary, config, log):
    with open(log, "wb") as to:
        process = subprocess.Popen([binary, "catalog", "serve", "--config", config], stdout=to, stderr=to)
    deadline = time.monotonic() + 60
    while not (found := re.search(r"catalog \S+ at (http://\S+?)/?\s", log.read_text())):
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"it does not serve:\n{log.read_text()}")
        time.sleep(0.05)
    return process, found[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--megabytes", type=int, default=5, help="of each file, about")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/tabletopic")
    options = parser.parse_args()
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        config = folder / "tabletopic.toml"
        config.write_text(CONFIG)
        catalog = make(folder, options.files, options.megabytes)
        if options.megabytes > 5:
            write_again(options.binary, config, options.megabytes)
        table = catalog.load_table(TABLE)
        first, before = table.current_snapshot().snapshot_id, files_of(table)
        keep = data_files(table)
        server, uri = serve(options.binary, config, folder / "serve.log")
        try:
            spark = Spark(uri)
            for number in range(options.rounds):
                for who, run in (("tabletopic", lambda: ours(options.binary, config)), ("spark", lambda: spark.rewrite(TABLE))):
                    figures = run()
                    after = files_of(catalog.load_table(TABLE))
                    line = {
                        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"),
                        "commit": commit, "bench": "compaction", "megabytes": options.megabytes, "round": number, "who": who, "cpus": os.cpu_count(),
                        "machine": platform.machine(), "load": os.getloadavg()[0], "before": before, "after": after,
                    } | figures
                    print(json.dumps(line), flush=True)
                    with open(options.results, "a") as results:
                        results.write(json.dumps(line) + "\n")
                    roll_back(catalog, first, keep)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
