#!/usr/bin/env python3
"""Do tables hold the same rows after maintenance, whoever wrote them and however they are made?

  maintained.py                          all tables of fixtures.py
  maintained.py --table shop.tiny_files  some of them; those that another engine changes still need that engine

Each table is made by real writers, then compacted, expired, and rid of a planted orphan while all its files are old. Before
and after each, DuckDB reads all rows and Spark those of the smaller tables: they have to be the same. Prints what became
of each, with the most memory that `compact` took. Leaves with 0, or with 1 and what is wrong. Needs a built binary, and
what `tests/parts/provision engines` installs; no broker.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import fixtures
import results
import service
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import DataFileContent

sys.path.insert(0, str(service.ROOT / "tests/readers"))
import lake  # noqa: E402

MIB = 1 << 20
# What docs/configuration.md says of [memory]: the budget, and the resident set above it.
BUDGET, BESIDE = 1024 * MIB, 150 * MIB
OLD = 10 * 24 * 60 * 60  # seconds
# Small files and large ones become one, also the one that is larger than any target.
TARGET = "4GiB"
LARGE = {"shop.one_row_group"}

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
table = "shop.nothing"
format = "json"
"""


# Runs a command, and says on its last line of standard error how much memory it had at most, in KiB. A process of its own,
# because a child's figure begins with its parent's: this one has read whole tables.
PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


class Lake:
    """A folder with a catalog, a warehouse and a configuration, and `tabletopic` on it."""

    def __init__(self, folder, binary):
        self.folder, self.binary = pathlib.Path(folder), str(binary)
        self.config = self.folder / "tabletopic.toml"
        self.config.write_text(CONFIG)
        (self.folder / "warehouse").mkdir()
        self.catalog = SqlCatalog(
            "tabletopic", uri=f"sqlite:///{self.folder}/catalog.db", warehouse=f"file://{self.folder}/warehouse",
        )
        self.catalog.create_namespace(fixtures.NAMESPACE)

    @contextlib.contextmanager
    def served(self):
        """What engines have to know to find the tables."""
        log = self.folder / "serve.log"
        with open(log, "wb") as to:
            process = subprocess.Popen([self.binary, "catalog", "serve", "--config", self.config], stdout=to, stderr=to)
        try:
            uri = service.said(process, log, r"catalog \S+ at (http://\S+?)/?\s")
            yield {"uri": uri, "catalog": "tabletopic", "table": "shop.any", "cache": str(service.CACHE), "store": None}
        finally:
            process.terminate()
            process.wait()

    def engine(self, name, statements):
        """What an engine answers to each of these statements."""
        with self.served() as found:
            file = self.folder / f"{name}.json"
            file.write_text(json.dumps({"lake": found, "statements": statements}))
            return service.engine_process(self.folder, "change.py", name, file)

    def does(self, *command):
        """What a command answers, and the most memory that it had, in bytes."""
        done = subprocess.run(
            [sys.executable, "-c", PEAK, self.binary, *command, "--output", "json", "--config", self.config],
            capture_output=True, text=True,
        )
        if done.returncode:
            sys.exit(f"tabletopic {' '.join(command)} left with {done.returncode}:\n{done.stderr[-4000:]}")
        return json.loads(done.stdout), int(done.stderr.splitlines()[-1]) * 1024

    def table(self, name):
        return self.catalog.load_table(name)

    def place(self, name):
        return pathlib.Path(self.table(name).location().removeprefix("file://"))

    def live(self, name):
        """Live files by what they hold: of data, of deletes by position, of deletes by value."""
        table = self.table(name)
        of = collections.Counter()
        for manifest in table.current_snapshot().manifests(table.io):
            of.update(entry.data_file.content for entry in manifest.fetch_manifest_entry(table.io))
        return {content.name.lower(): of[content] for content in DataFileContent}

    def rows(self, name):
        """By DuckDB: each row and how often it is there; of a large table the sum of their hashes instead, for all."""
        duckdb, scan = lake.open_duckdb(), lake.scan(self.table(name).metadata_location)
        duckdb.execute("SET memory_limit = '4GB'")
        if name in LARGE:
            query = f"SELECT sum(hash(row)::HUGEINT)::VARCHAR, count(*) FROM {scan} AS row"
            return collections.Counter(dict(duckdb.execute(query).fetchall()))
        return collections.Counter(map(repr, duckdb.execute(f"SELECT * FROM {scan}").to_arrow_table().to_pylist()))

    def rows_by_spark(self, names):
        """Of each table, each row as text and how often it is there."""
        query = "SELECT CAST(struct(*) AS STRING) AS row FROM lake.{}"
        answers = self.engine("spark", [query.format(name) for name in names])
        return {name: collections.Counter(row["row"] for row in rows) for name, rows in zip(names, answers, strict=True)}


def make(made, names):
    for name in set(fixtures.BY_PYICEBERG) & set(names):
        fixtures.BY_PYICEBERG[name](made.catalog, name)
    for engine, tables in (("spark", fixtures.BY_SPARK), ("flink", fixtures.BY_FLINK)):
        statements = [statement for name in tables if name in names for statement in tables[name]]
        if statements:
            made.engine(engine, statements)


def age(folder):
    """Every file in it was changed last ten days ago."""
    long_ago = time.time() - OLD
    for file in folder.rglob("*"):
        os.utime(file, (long_ago, long_ago))


def files(folder):
    return {file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(".crc")}


class Findings(list):
    def equal(self, what, is_now, should_be):
        if is_now == should_be:
            return
        if isinstance(is_now, collections.Counter):
            is_now, should_be = is_now - should_be, should_be - is_now
        self.append(f"{what}: {told(is_now)} instead of {told(should_be)}")

    def true(self, what, is_true):
        if not is_true:
            self.append(what)


def told(value):
    """For people: of rows only how many there are, and some of them."""
    return f"{value.total()} rows, such as {sorted(value)[:2]}" if isinstance(value, collections.Counter) else value


def maintain(made, name, found):
    """All of it, one after the other."""
    began, live = made.rows(name), made.live(name)
    deletes = live["position_deletes"] + live["equality_deletes"]
    found.true(f"{name}: the fixture has no rows to lose", began.total() > 0)
    found.true(f"{name}: the fixture has no delete files", deletes > 0)

    compacted, peak = made.does("compact", name, "--target-size", TARGET)
    after = made.live(name)
    found.equal(f"{name}: pieces that were not committed", [
        piece for piece in compacted[0]["pieces"] if piece["outcome"] != "committed"
    ], [])
    found.equal(f"{name}: rows after compact", made.rows(name), began)
    found.equal(f"{name}: delete files after compact", after["position_deletes"] + after["equality_deletes"], 0)
    found.true(f"{name}: {after['data']} data files, of {live['data']}", after["data"] < live["data"])
    found.true(f"{name}: compact took {peak // MIB} MiB", peak <= BUDGET + BESIDE)

    named = paths(made.table(name))
    expired, _ = made.does("expire", name, "--older-than", "0s", "--keep", "1", "--yes")
    found.equal(f"{name}: snapshots that stay", len(made.table(name).snapshots()), 1)
    found.equal(f"{name}: rows after expire", made.rows(name), began)
    # Hadoop's file systems spell files otherwise than the table's location: those are left to the removal of orphans.
    own = {path for path in named - paths(made.table(name)) if path.startswith(made.table(name).location())}
    found.equal(f"{name}: files of expired snapshots", [path for path in sorted(own) if local(path).exists()], [])

    planted = made.place(name) / "data" / "planted.parquet"
    planted.write_bytes(b"garbage")
    age(made.place(name))
    young = made.place(name) / "data" / "young.parquet"
    young.write_bytes(b"garbage")
    there = files(made.place(name))
    needed = set(map(local, paths(made.table(name))))
    made.does("orphans", name, "--delete", "--yes", "--older-than", "24h")
    gone = there - files(made.place(name))
    found.true(f"{name}: the planted orphan is still there", planted in gone)
    found.equal(f"{name}: files that are needed and gone", sorted(map(str, gone & needed)), [])
    found.true(f"{name}: a young file is gone", young not in gone)
    found.equal(f"{name}: rows after orphans", made.rows(name), began)
    print(f"{name}: {live['data']} files and {deletes} of deletes became {after['data']}, "
          f"{expired[0]['snapshots']} snapshots left, {len(gone)} orphans; compact took {peak // MIB} MiB", flush=True)
    return peak


def paths(table):
    """All that the table leads to, by PyIceberg."""
    metadata = table.metadata
    found = {table.metadata_location} | {entry.metadata_file for entry in metadata.metadata_log}
    for snapshot in metadata.snapshots:
        found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            found.add(manifest.manifest_path)
            found |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)}
    return found


def local(path):
    return pathlib.Path(re.sub("^file:(//)?", "", path))


def main():
    every = list(fixtures.BY_PYICEBERG | fixtures.BY_SPARK | fixtures.BY_FLINK)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="append", choices=every, help="by default all")
    parser.add_argument("--binary", type=pathlib.Path, default=service.ROOT / "target/debug/tabletopic")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="an empty folder for the lake, which stays")
    parser.add_argument("--write", action="store_true", help="the results into results.jsonl and results.md")
    options = parser.parse_args()
    names = options.table or every

    began, found = time.monotonic(), Findings()
    with contextlib.ExitStack() as parts:
        folder = options.keep or parts.enter_context(tempfile.TemporaryDirectory(prefix="maintained-"))
        made = Lake(folder, options.binary)
        make(made, names)
        small = [name for name in names if name not in LARGE]
        before = made.rows_by_spark(small)
        peaks = [maintain(made, name, found) for name in names]
        after = made.rows_by_spark(small)
        for name in small:
            found.equal(f"{name}: rows by Spark", after[name], before[name])
    told = f"{len(names)} tables, of {max(peaks) // MIB} MiB at most"
    print(f"{told}: {len(found)} findings")
    for each in found:
        print("  " + str(each))
    if options.write:
        place = SimpleNamespace(catalog="sqlite", store="disk", binary=options.binary)
        results.add(place, results.MAINTAINED, told, len(found), time.monotonic() - began)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
