#!/usr/bin/env python3
"""Makes the tables of README.md from a file of raw results: medians, and the spread from lowest to highest.

  table.py RESULTS             prints them
  table.py RESULTS --write     puts them into README.md, between its markers
"""

import argparse
import collections
import json
import pathlib
import statistics

README = pathlib.Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- table.py begins -->\n", "<!-- table.py ends -->\n"

# By the work and the format of its records.
NAMES = {
    ("bids", "json"): "Bids in JSON",
    ("bids", "avro"): "Bids in Avro, framed for a schema registry",
    ("bids", "protobuf"): "Bids in Protobuf, framed for a schema registry",
    ("bids", "json-schema"): "Bids in JSON with a JSON Schema, framed for a schema registry",
    ("lineitem", "json"): "Rows of 16 columns in JSON (`lineitem`), by month",
    ("late", "json"): "Bids in JSON, 5 % of them late by up to 48 hours, by hour",
}

# The stages that L is the sum of.
LIMIT = ("consume", "decode", "split", "encode", "upload")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    tables = "\n".join(tables_of(options.results))
    if not options.write:
        print(tables)
        return
    text = README.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(before + BEGIN + tables + "\n" + END + after)


def tables_of(results):
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    works, measured = {}, None
    commits, memory, compactions = [], {}, {}
    for line in lines:
        if "session" in line:
            # Sessions of one work belong together.
            work = line["session"].get("work", "bids"), line["session"].get("format", "json")
            measured = works.setdefault(work, Measured())
            measured.sessions.append(line["session"])
        elif line.get("bench") == "compaction":
            case = compactions.setdefault((line["before"]["files"], line.get("megabytes", 5)), collections.defaultdict(list))
            case[line["who"]].append(line)
        elif "commits" in line:
            commits.append(line)
        elif "memory" in line:
            # What was measured again counts as it was the last time.
            case = tuple(line[key] for key in ("partitions", "workers", "spec", "budget_mib"))
            memory[case] = line
        elif "stage" in line:
            measured.stages[line["stage"]].append(line)
        else:
            measured.runs[line["catch_up"]].append(line)
    for work, measured in works.items():
        yield f"### {NAMES[work]}"
        yield ""
        yield from tables_of_work(measured, results.name)
        yield ""
    if commits:
        yield "### Commits"
        yield ""
        yield from table_of_commits(commits)
        yield ""
    if memory:
        yield "### Memory"
        yield ""
        yield from table_of_memory(memory.values())
    if compactions:
        yield ""
        yield "### Compaction"
        yield ""
        yield from table_of_compactions(compactions)


class Measured:
    """What was measured with one kind of records."""

    def __init__(self):
        self.sessions = []
        self.stages = collections.defaultdict(list)
        self.runs = collections.defaultdict(list)


def tables_of_work(measured, results):
    for session in measured.sessions:
        yield (
            f"{session['at']}, commit {session['commit']}, {session['cores']} x {session['cpu']}, "
            f"{session['workers']} worker, commits every {session['interval']}; raw: `{results}`."
        )
    yield ""
    stages = measured.stages
    yield from table_of_stages(stages)
    limit = sum(median(stages[stage], "cpu_ns") for stage in LIMIT if stages[stage])
    if limit:
        yield f"| **L** = {' + '.join(LIMIT)} | **{limit:,.0f}** | | | | |"
    for name, runs in measured.runs.items():
        yield ""
        yield from table_of_runs(name, runs, limit)
        if all(run.get("stage_ns") for run in runs):
            yield ""
            yield from table_of_what_is_added(name, runs, stages)
    for name, runs in measured.runs.items():
        if in_time := measured.runs.get(f"{name}, in time and by the day"):
            yield ""
            yield from ratio_of_late(runs, in_time)


def table_of_stages(stages):
    yield "| stage | CPU ns per record | spread | bytes per record | rounds | load |"
    yield "|---|---|---|---|---|---|"
    for stage, measured in stages.items():
        unit = " (per commit)" if stage == "commit" else ""
        size = f"{median(measured, 'bytes'):.1f}" if measured[0]["bytes"] else ""
        yield (
            f"| {stage}{unit} | {median(measured, 'cpu_ns'):,.0f} | {spread(measured, 'cpu_ns', ',.0f')} | {size} "
            f"| {len(measured)} | {spread(measured, 'load', '.1f')} |"
        )


def table_of_runs(name, measured, limit):
    yield f"| catch-up (`{name}`) | median | spread |"
    yield "|---|---|---|"
    rows = [
        ("records", "records", ",.0f"), ("CPU s", "cpu_s", ".2f"), ("of which system", "system_s", ".2f"),
        ("CPU ns per record", "cpu_ns", ",.0f"), ("records per CPU second", "records_per_cpu_s", ",.0f"),
        ("wall s", "wall_s", ".1f"), ("peak RSS MiB", "peak_rss_mib", ",.0f"), ("files", "files", ",.0f"),
        ("bytes per record", "bytes", ".2f"), ("load", "load", ".1f"),
    ]
    for title, key, form in rows:
        yield f"| {title} | {median(measured, key):{form}} | {spread(measured, key, form)} |"
    if limit:
        ratios = [each["cpu_ns"] / limit for each in measured]
        yield f"| **ratio to L** | **{statistics.median(ratios):.2f}** | {min(ratios):.2f} to {max(ratios):.2f} |"


def ratio_of_late(late, in_time):
    """Row 8: round by round, so that a busy neighbour falls on both."""
    ratios = [one["records_per_cpu_s"] / other["records_per_cpu_s"] for one, other in zip(late, in_time)]
    yield "| | median | spread |"
    yield "|---|---|---|"
    yield (f"| **records per CPU second, to those of bids in time, by the day** | **{statistics.median(ratios):.2f}** "
           f"| {min(ratios):.2f} to {max(ratios):.2f} |")


# Stages alone, and what the program counts for them.
PARTS = {"consume": ("fetch", "consume"), "decode": ("decode",), "split": ("split",), "encode": ("encode",),
         "upload": ("upload",)}


def table_of_what_is_added(name, measured, stages):
    """What each stage costs in the pipeline, by the program's own metrics, beside what it costs alone."""
    yield f"| where it goes (`{name}`), CPU ns per record | in the pipeline | spread | alone | added |"
    yield "|---|---|---|---|---|"
    told = []
    for stage, parts in PARTS.items():
        cost = [sum(run["stage_ns"][part] for part in parts) for run in measured]
        alone = median(stages[stage], "cpu_ns") if stages[stage] else 0
        added = statistics.median(cost) - alone
        told.append(cost)
        yield (f"| {stage} | {statistics.median(cost):,.0f} | {min(cost):,.0f} to {max(cost):,.0f} | {alone:,.0f} "
               f"| {added:+,.0f} |")
    for stage in ("commit", "other"):
        cost = [run["stage_ns"][stage] for run in measured]
        told.append(cost)
        yield f"| {stage} | {statistics.median(cost):,.0f} | {min(cost):,.0f} to {max(cost):,.0f} | | |"
    rest = [run["cpu_ns"] - sum(each) for run, each in zip(measured, zip(*told))]
    yield f"| told by no metric | {statistics.median(rest):,.0f} | {min(rest):,.0f} to {max(rest):,.0f} | | |"


def table_of_commits(commits):
    # What was measured again counts as it was the last time.
    commits = {(line.get("store", "disk"), line["partitions"]): line for line in commits}
    yield "| commits to one table | CPU ms | wall ms, median | p99 | PUT | GET | DELETE | metadata file, at most |"
    yield "|---|---|---|---|---|---|---|---|"
    for (store, _), line in commits.items():
        where = " in S3" if store == "s3" else ""
        # Requests are the same, and the times say nothing.
        where += " (debug build)" if line.get("profile") == "dev" else ""
        which = {
            "first": f"the first {line['first']['count']:,}", "last": f"the last of {line['commits']:,}",
            "new": "beside these: a new table's", "drains_first": "followers drained, among the first",
            "drains_last": "among the last", "drains_new": "by the new table",
        }
        for key, title in which.items():
            cost = line[key]
            requests = [f"{cost[kind]['mean']:.1f}" for kind in ("puts", "gets", "deletes")]
            size = f"{cost['metadata_bytes_max']:,}" if cost["metadata_bytes_max"] else ""
            yield (
                f"| {line['partitions']:,} topic partitions{where}: {title} | {cost['cpu_ms']:.1f} "
                f"| {cost['wall_ms_median']:.1f} | {cost['wall_ms_p99']:.1f} | {' | '.join(requests)} | {size} |"
            )
        for key, title in (("cpu_ratio", "CPU"), ("wall_ratio", "median wall"), ("cpu_ratio_drains", "CPU of drains")):
            ratio = line[key]
            spread_of = f"{ratio['low']:.2f} to {ratio['high']:.2f}"
            yield f"| **last to new, {title}** | **{ratio['all']:.2f}** | {spread_of} | | | | | |"


def table_of_compactions(compactions):
    for measured in compactions.values():
        before = measured["tabletopic"][0]["before"]
        yield f"{before['files']} files with {before['bytes'] / 2**20:,.0f} MiB:"
        yield ""
        yield "| | CPU s | | MiB per CPU s | wall s | | files after | MiB after | rounds | load |"
        yield "|---|---|---|---|---|---|---|---|---|---|"
        for who, lines in measured.items():
            cpu = median(lines, "cpu_s")
            after = lines[-1]["after"]
            yield (
                f"| {who} | {cpu:.1f} | {spread(lines, 'cpu_s', '.1f')} | {before['bytes'] / 2**20 / cpu:.0f} "
                f"| {median(lines, 'wall_s'):.1f} | {spread(lines, 'wall_s', '.1f')} | {after['files']} "
                f"| {after['bytes'] / 2**20:,.0f} | {len(lines)} | {spread(lines, 'load', '.1f')} |"
            )
        rounds = [a["cpu_s"] / b["cpu_s"] for a, b in zip(measured["spark"], measured["tabletopic"])]
        if rounds:
            yield (
                f"| **Spark's CPU to ours** | **{statistics.median(rounds):.1f}** | {min(rounds):.1f} to {max(rounds):.1f} "
                "| | | | | | | |"
            )
        yield ""


def table_of_memory(memory):
    yield "| topic partitions | workers | table partitions | budget MiB | peak RSS MiB | above it | files | CPU ns per record |"
    yield "|---|---|---|---|---|---|---|---|"
    for line in memory:
        above = line["peak_rss_mib"] - line["budget_mib"]
        yield (
            f"| {line['partitions']} | {line['workers']} | {line['spec'].strip('[]').strip(chr(34))} | {line['budget_mib']:,} "
            f"| {line['peak_rss_mib']:,} | {above:+,} | {line['files']:,} | {line['cpu_ns']:,} |"
        )


def median(measured, key):
    return statistics.median(each[key] for each in measured)


def spread(measured, key, form):
    values = [each[key] for each in measured]
    return f"{min(values):{form}} to {max(values):{form}}"


if __name__ == "__main__":
    main()
