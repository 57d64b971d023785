#!/usr/bin/env python3
"""Where one catch-up of the release binary spends its time: `perf record`, summed up by thread, crate and symbol.

  profile_catch_up.py                      prints the summary
  profile_catch_up.py --format avro        of the same bids in Avro; protobuf and json-schema likewise
  profile_catch_up.py --work lineitem      of rows of 16 columns; late likewise
  profile_catch_up.py --binary PATH        of another version: compare two summaries, of one topic

The catch-up is that of `catch_up.py`, of a topic that is made if it is not there. Needs perf, the right to use it
(kernel.perf_event_paranoid at 2 or below), and a broker (TABLETOPIC_TEST_BOOTSTRAP; `tests/parts/kafka.py with`).

A sample belongs to the function that was running, whoever called it: zstd is there for the files alone, but `memcmp` is
everybody's. Which stage of a worker takes how long is in the metric `tabletopic_stage_cpu_seconds_total`.
"""

import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import catch_up

# Symbols of C, by what they begin with.
LIBRARIES = {
    "zstd": ("ZSTD_", "HUF_", "FSE_", "HIST_", "XXH", "ZSTDMT_"),
    "librdkafka": ("rd_", "rk_", "LZ4", "crc32c", "mtx_", "cnd_"),
    "jemalloc": ("je_", "_rjem", "malloc", "free", "calloc", "realloc", "posix_memalign", "aligned_alloc", "tcache_", "arena_"),
    "libc memory": ("__mem", "mem", "__bcmp", "bcmp"),
    "libc threads": ("pthread_", "__pthread", "___pthread", "__lll"),
    "sqlite": ("sqlite3",),
}
SHOWN = 25


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(catch_up.ROOT / "target/release/tabletopic"))
    parser.add_argument("--bootstrap", default=os.environ.get("TABLETOPIC_TEST_BOOTSTRAP"))
    parser.add_argument("--topic", help="by default the name of the work, or a new one beside a new registry")
    parser.add_argument("--work", choices=tuple(catch_up.WORKS), default="bids")
    parser.add_argument("--format", choices=("json", *catch_up.SCHEMAS), default="json")
    parser.add_argument("--count", type=int, default=8_000_000, help="records of the topic, if it has to be made")
    parser.add_argument("--frequency", type=int, default=997, help="samples a second of each thread")
    options = parser.parse_args()
    if not options.bootstrap:
        parser.error("--bootstrap, or TABLETOPIC_TEST_BOOTSTRAP")
    options.partitions, options.workers, options.interval, options.memory, options.job = 4, 1, "10s", "1GiB", ""
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        data = pathlib.Path(folder) / "perf.data"
        record = ["perf", "record", "--quiet", "-F", str(options.frequency), "-o", str(data), "--", options.binary]
        with catch_up.registry(options) as options.registry:
            records = catch_up.prepare_topic(options, options.topic, options.work)
            used = catch_up.catch_up(options, record, options.topic, options.work, records)
        print(f"{records:,} records, {used['cpu_s']} CPU s ({used['cpu_ns']:,} ns a record), load {used['load']:.1f}\n")
        print_summary(samples(data))


def samples(data):
    """(thread, symbol, its binary) of each sample, and how much it stands for."""
    command = ["perf", "script", "-i", str(data), "-F", "comm,tid,period,ip,sym,dso"]
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if said.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{said.stderr}")
    line = re.compile(r"^\s*(?P<comm>.+?)\s+(?P<tid>\d+)\s+(?P<period>\d+)\s+[0-9a-f]+ (?P<symbol>.+) \((?P<dso>.+)\)$")
    found = [match for match in map(line.match, said.stdout.splitlines()) if match]
    if not found:
        sys.exit("perf has recorded nothing that can be read")
    return [((each["comm"], each["tid"]), each["symbol"], each["dso"], int(each["period"])) for each in found]


def crate(symbol, dso):
    """Whose code a symbol is: a crate's, a C library's or the kernel's."""
    if "kernel" in dso or dso.endswith(".ko"):
        return "kernel"
    if "::" in symbol:
        # A method of one crate's type is written `<its::Type as other::Trait>::method`, one of a built-in type `<[u8]>::`.
        path = re.search(r"([a-z_][a-z0-9_]*)::", symbol)
        return path[1] if path else "core"
    for library, beginnings in LIBRARIES.items():
        if symbol.startswith(beginnings):
            return library
    return pathlib.Path(dso).name


def print_summary(found):
    total = sum(period for *_, period in found)
    by = {what: collections.Counter() for what in ("thread", "crate", "symbol")}
    for (comm, tid), symbol, dso, period in found:
        by["thread"][f"{comm} {tid}"] += period
        by["crate"][crate(symbol, dso)] += period
        by["symbol"][f"{crate(symbol, dso)}: {re.sub(r'::h[0-9a-f]{16}$', '', symbol)}"] += period
    for what, sums in by.items():
        print(f"by {what}, of {len(found):,} samples")
        for name, period in sums.most_common(SHOWN):
            if period * 200 >= total:
                print(f"  {period / total:6.1%}  {name[:150]}")
        print()


if __name__ == "__main__":
    main()
