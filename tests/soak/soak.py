#!/usr/bin/env python3
"""The proofs that grow with time: more schedules of the simulation, and the faults of real processes, over and over.

  soak.py --hours 8            as many rounds as fit
  soak.py --rounds 5           so many

A round is 10,000 schedules from seeds that no earlier round had, then each fault below once, with the kills and wakings
that its test makes. Every part of a round is one line in results.jsonl beside this file, so that rounds add up over
runs and versions, and a run that was ended early has lost nothing; README.md there shows the sums. It ends at the first
failure, with the seed or the test's log. Needs the built tests, a broker, and Spark: `make soak` has them.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results.jsonl"
PAGE = HERE / "README.md"
SCHEDULES = 10_000

# The faults of one round: a module of the end-to-end tests, and how many of what each run of it makes.
FAULTS = [
    ("process_faults::kills", 10, "`kill -9` under load"),
    ("process_faults::stopped_owner", 2, "owners that wake after another took over"),
    ("process_faults::rebalances", 3, "groups whose members come and go"),
    ("rollback", 3, "rollbacks and removed tags, answered"),
    ("halts", 5, "topics created again, retention overtaking, logs cut"),
    ("foreign", 1, "runs beside other writers' appends, expiry and schema changes"),
    ("maintenance", 7, "`kill -9` while files are merged, by Spark too, and snapshots and orphans leave"),
]


def run(command, environment):
    """Exit code and all that it says."""
    ran = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return ran.returncode, ran.stdout


def seeds_done(rows):
    held = (row for row in rows if row["part"] == "simulation" and not row["failed"])
    return max((row["last_seed"] + 1 for row in held), default=0)


def simulation(rows):
    first = seeds_done(rows)
    code, said = run(
        ["cargo", "test", "--workspace", "--test", "simulation", "every_schedule", "--", "--nocapture"],
        {"TABLETOPIC_SIM_FIRST": str(first), "TABLETOPIC_SIM_SCHEDULES": str(SCHEDULES)},
    )
    held = re.search(r"schedules with (\d+) rows held", said)
    failed = re.search(r"TABLETOPIC_SIM_SEED=(\d+)", said)
    return code, said, {
        "part": "simulation", "amount": SCHEDULES, "first_seed": first, "last_seed": first + SCHEDULES - 1,
        "rows": int(held[1]) if held else 0, "failed_seed": int(failed[1]) if failed else None,
    }


def fault(module, amount):
    code, said = run(["cargo", "test", "--workspace", "--test", "e2e", f"{module}::", "--", "--include-ignored"], {})
    ran = re.search(r"test result: \w+\. (\d+) passed", said)
    if code == 0 and not (ran and int(ran[1])):
        code, said = 1, f"no test of {module} ran:\n{said}"
    return code, said, {"part": module, "amount": amount}


def write_page(rows):
    """Sums of what held, and every failure there was."""
    held = [row for row in rows if not row["failed"]]
    sums = {}
    for row in held:
        sums[row["part"]] = sums.get(row["part"], 0) + row["amount"]
    words = {module: text for module, _, text in FAULTS} | {"simulation": "schedules of the simulation"}
    lines = [
        "# What has been run in all",
        "",
        "`make soak HOURS=8` adds to this page; `soak.py` says what a round is, `results.jsonl` has each part of each.",
        "",
        "| part | held | |",
        "|---|---|---|",
        *(f"| `{part}` | {sums[part]:,} | {words[part]} |" for part in words if part in sums),
        "",
        f"Rows in the simulation's tables, each checked: {sum(row.get('rows', 0) for row in held):,}. "
        f"Hours: {sum(row['seconds'] for row in rows) / 3600:.1f}, "
        f"from {rows[0]['at'][:10]} to {rows[-1]['at'][:10]}.",
        "",
    ]
    failures = [row for row in rows if row["failed"]]
    for row in failures:
        seed = row.get("failed_seed")
        lines.append(
            f"- failed: {row['at']}, commit {row['commit']}, {row['part']}" + (f", seed {seed}" if seed is not None else "")
        )
    PAGE.write_text("\n".join(lines).rstrip() + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how_long = parser.add_mutually_exclusive_group(required=True)
    how_long.add_argument("--hours", type=float)
    how_long.add_argument("--rounds", type=int)
    options = parser.parse_args()

    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
    began, rounds = time.monotonic(), 0
    while (rounds < options.rounds) if options.rounds else (time.monotonic() - began < options.hours * 3600):
        parts = [lambda: simulation(rows), *(lambda m=module, a=amount: fault(m, a) for module, amount, _ in FAULTS)]
        for part in parts:
            at, clock = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), time.monotonic()
            code, said, row = part()
            seconds = round(time.monotonic() - clock)
            rows.append({"at": at, "commit": commit, **row, "seconds": seconds, "failed": code != 0})
            with RESULTS.open("a") as results:
                results.write(json.dumps(rows[-1]) + "\n")
            write_page(rows)
            print(json.dumps(rows[-1]), flush=True)
            if code != 0:
                sys.exit(said)
        rounds += 1


if __name__ == "__main__":
    main()
