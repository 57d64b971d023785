#!/usr/bin/env python3
"""Makes the tables of ../RESULTS.md from the raw results of run.py: medians, and in brackets the lowest and the highest.

  page.py RESULTS             prints them
  page.py RESULTS --write     puts them into RESULTS.md, between its markers

Where a file has several sessions, the last one counts that measured catch-up, and the last one that measured freshness.
"""

import argparse
import json
import pathlib
import statistics

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent / "RESULTS.md"
BEGIN, END = "<!-- page.py begins -->\n", "<!-- page.py ends -->\n"
OURS = "tabletopic"

# Of a run: a title, its figure (None where a run has none), and its form.
CATCH_UP = [
    ("records per CPU second, warm", lambda run: rate(run["steady"], "cpu_s"), ",.0f"),
    ("records per CPU second, overall", lambda run: rate(run["overall"], "cpu_s"), ",.0f"),
    ("CPU µs per record, warm", lambda run: each(run["steady"], "cpu_s"), ".2f"),
    ("CPU µs per record, second half", lambda run: each(second_half(run), "cpu_s"), ".2f"),
    ("CPU µs per record, overall", lambda run: each(run["overall"], "cpu_s"), ".2f"),
    ("records per second, warm", lambda run: rate(run["steady"], "wall_s"), ",.0f"),
    ("records per second, overall", lambda run: rate(run["overall"], "wall_s"), ",.0f"),
    ("peak memory, MiB", lambda run: run["peak_rss_mib"], ",.0f"),
    ("files", lambda run: run["files"], ",.0f"),
    ("bytes per record", lambda run: run["bytes"] / run["records"], ".2f"),
    ("commits with records", lambda run: len(run["commits"]), ",.0f"),
    ("start-up before that, CPU s", lambda run: run["start_up"]["cpu_s"] or None, ".1f"),
    ("start-up before that, s", lambda run: run["start_up"]["wall_s"] if run["start_up"]["cpu_s"] else None, ".1f"),
    ("load of the machine", lambda run: run["load"], ".1f"),
]
# Of two runs in one round, theirs to ours: above 1 is to our advantage.
CATCH_UP_RATIOS = [
    ("CPU per record, warm", lambda run: each(run["steady"], "cpu_s")),
    ("CPU per record, second half", lambda run: each(second_half(run), "cpu_s")),
    ("CPU per record, overall", lambda run: each(run["overall"], "cpu_s")),
    ("time per record, warm", lambda run: each(run["steady"], "wall_s")),
    ("time per record, overall", lambda run: each(run["overall"], "wall_s")),
    ("peak memory", lambda run: run["peak_rss_mib"]),
    ("bytes", lambda run: run["bytes"]),
    ("files", lambda run: run["files"]),
]


def second_half(run):
    """From the first commit with half of the records to the last one."""
    last = run["commits"][-1]
    since = next(commit for commit in run["commits"] if 2 * commit["records"] >= last["records"])
    return {name: last[name] - since[name] for name in last} if since is not last else None


def rate(part, unit):
    return part["records"] / part[unit] if part else None


def each(part, unit):
    """Microseconds of a record."""
    return part[unit] / part["records"] * 1e6 if part else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = "\n".join(tables_of(options.results)) + "\n"
    if not options.write:
        print(lines, end="")
        return
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + lines + END + rest.split(END)[1])


def tables_of(results):
    sessions = sessions_of(results)
    measured = {kind: last_with(sessions, kind) for kind in ("catch_up", "freshness")}
    if measured["catch_up"]:
        yield from catch_up(*measured["catch_up"], results.name)
    if measured["freshness"]:
        yield from freshness(*measured["freshness"], results.name)
    session = next(session for session, _ in filter(None, measured.values()))
    yield from settings(session)


def sessions_of(results):
    """Each with its lines."""
    sessions = []
    for line in map(json.loads, results.read_text().splitlines()):
        if "session" in line:
            sessions.append((line["session"], []))
        else:
            sessions[-1][1].append(line)
    return sessions


def last_with(sessions, kind):
    """The last session that has lines of this kind, and these."""
    for session, lines in reversed(sessions):
        if found := [line for line in lines if kind in line]:
            return session, found
    return None


def catch_up(session, lines, name):
    runs = by_system(session, lines, "catch_up")
    records = {line["records"] for line in lines}
    yield "## Catch-up"
    yield ""
    yield (
        f"{numbers(records)} bids in {session['partitions']} topic partitions, into a table by day; commits every "
        f"{session['interval']} s; {numbers({len(each) for each in runs.values()})} rounds. {where(session, name)}"
    )
    yield ""
    yield from header("", [session["titles"][system] for system in runs])
    for title, figure, form in CATCH_UP:
        yield row(title, [middle([figure(run) for run in each], form) for each in runs.values()])
    if others := [system for system in runs if system != OURS and OURS in runs]:
        yield ""
        yield from header("theirs to ours, in each round", [session["titles"][system] for system in others])
        for title, figure in CATCH_UP_RATIOS:
            of = {system: [figure(run) for run in each] for system, each in runs.items()}
            yield row(title, [ratio(of[system], of[OURS]) for system in others])
    yield ""


def freshness(session, lines, name):
    runs = {system: line for system, [line] in by_system(session, lines, "freshness").items()}
    windows = {len(run["windows"]) for run in runs.values()}
    yield "## Freshness"
    yield ""
    yield (
        f"{session['rate']:,} records a second over {session['fresh_partitions']} topic partitions, of which "
        f"{session['idle']}, other ones each minute, get nothing; commits every {session['fresh_interval']} s; all at the "
        f"same time, for {numbers(windows)} minutes after {session['warm_up']} to warm up. {where(session, name)}"
    )
    yield ""
    yield from header("", [session["titles"][system] for system in runs])
    yield row("records measured", [f"{run['rows']:,}" for run in runs.values()])
    for title, key in (("median", "p50_s"), ("99 %", "p99_s"), ("longest", "max_s")):
        yield row(
            f"produced to visible, {title}, s",
            [f"{run[key]:.2f} ({spread([window[key] for window in run['windows']], '.2f')})" for run in runs.values()],
        )
    cpu = {system: [window["cpu_s"] for window in run["windows"]] for system, run in runs.items()}
    yield row("CPU s per minute", [middle(taken, ".2f") for taken in cpu.values()])
    yield row("peak memory, MiB", [f"{run['peak_rss_mib']:,}" for run in runs.values()])
    yield row("commits", [f"{run['commits']:,}" for run in runs.values()])
    if others := [system for system in runs if system != OURS and OURS in runs]:
        yield ""
        yield from header("theirs to ours, in each minute", [session["titles"][system] for system in others])
        yield row("CPU", [ratio(cpu[system], cpu[OURS]) for system in others])
    yield ""


def settings(session):
    yield "## Settings"
    yield ""
    yield ", ".join(f"{name} {version}" for name, version in session["versions"].items()) + "."
    yield ""
    yield "As they were run, but for folders, addresses, ports, and the seconds between commits of the other measurement."
    for system, files in session["settings"].items():
        for name, text in files.items():
            yield ""
            yield f"{session['titles'][system]}, `{name}`:"
            yield ""
            yield f"```\n{text.strip()}\n```"


def by_system(session, lines, kind):
    found = {system: [line for line in lines if line[kind] == system] for system in session["titles"]}
    return {system: lines for system, lines in found.items() if lines}


def where(session, name):
    return (
        f"{session['at']}, commit {session['commit']}, {session['cores']} x {session['cpu']}, Linux {session['kernel']}; "
        f"raw: [`{name}`](results/{name})."
    )


def header(first, titles):
    yield row(first, titles)
    yield "|" + "---|" * (len(titles) + 1)


def row(title, values):
    return f"| {' | '.join([title, *values])} |"


def numbers(values):
    return " or ".join(f"{value:,}" for value in sorted(values))


def middle(values, form):
    """The median and the spread of what there is."""
    values = [value for value in values if value is not None]
    return f"{statistics.median(values):{form}} ({spread(values, form)})" if values else ""


def spread(values, form):
    return f"{min(values):{form}} to {max(values):{form}}"


def ratio(theirs, ours):
    """Of what was measured in the same round."""
    ratios = [their / our for their, our in zip(theirs, ours) if their is not None and our]
    return f"**{statistics.median(ratios):.2f}** ({spread(ratios, '.2f')})" if ratios else ""


if __name__ == "__main__":
    main()
