#!/usr/bin/env python3
"""Do all engines read the same rows out of a table, and count the same under filters?

  run.py                     all engines, a warehouse on this disk
  run.py --engine duckdb --engine spark
  run.py --store s3          a warehouse in an S3 server
  run.py --catalog postgres  a catalog in PostgreSQL, or with `rest` one that another process serves
  run.py --compact           the tables after `tabletopic compact`

Makes the table of table.py, asks each engine all rows and the questions of questions.py, and compares its answers with
what was produced. Prints a line for each engine; leaves with 0, or with 1 if one of them differs. Needs a broker
(TABLETOPIC_TEST_BOOTSTRAP), a built binary, and what `tests/parts/provision engines` installs.
"""

import argparse
import collections
import json
import re
import sys
import time

import canonical
import engine
import questions
import results
import service
import table


def make(made):
    """The table in its three phases."""
    for phase in table.PHASES:
        made.configure(phase)
        for rows in phase.batches():
            made.produce(phase, rows)
            made.run_until_end()


def compact(made):
    """Few files in the place of many. What a query opens is chosen by the bounds of these then."""
    for told in made.compact():
        merged = [piece for piece in told["pieces"] if piece["outcome"] == "committed"]
        if not merged or len(merged) < len(told["pieces"]):
            sys.exit(f"compact did not do all: {told}")
        print(f"{told['table']}: of {told['before']['files']} files {sum(each['read']['files'] for each in merged)} "
              f"became {sum(each['written']['files'] for each in merged)}", flush=True)


def ask(made, uri, name, compacted):
    """What is wrong with the engine's answers, and how much it was asked. What is known to differ may not, once files of
    earlier schemas are gone."""
    about = engine.ENGINES[name]
    # The broker confirms them in any order, and the questions come from rows by their places.
    rows = sorted(made.produced[about.table], key=lambda row: row["id"])
    left_out = service.TABLES[about.table] + tuple(about.cannot_read)
    columns = {column: ty for column, ty in table.COLUMNS.items() if column not in left_out}
    asked = [
        conditions for conditions in questions.questions(columns, rows)
        if not any(each.column in about.cannot_filter for each in conditions)
    ]
    file = made.folder / f"{name}.json"
    file.write_text(json.dumps({
        "lake": made.lake(uri, about.table), "columns": columns,
        "questions": [[each.told() for each in conditions] for conditions in asked],
    }))
    try:
        answers = service.engine_process(made.folder, "ask.py", name, file)
    except service.EngineFailed as failed:
        return [str(failed)], 0
    found, known = unexpected(about, compare(about, answers, columns, rows, asked))
    return found + ([] if compacted else known), len(asked)


def unexpected(about, findings):
    """Those that are not known of the engine, and what is known of it and was not found."""
    unseen = set(about.differs)
    left = []
    for each in findings:
        known = [pattern for pattern in about.differs if re.search(pattern, each, re.DOTALL)]
        unseen.difference_update(known)
        if not known:
            left.append(each)
    return left, [f"it does not differ any more: {about.differs[pattern]} ({pattern})" for pattern in sorted(unseen)]


def compare(about, answers, columns, rows, asked):
    """What is wrong, in words that do not change from run to run: the first ones say what it is about."""
    found = [] if isinstance(answers["rows"], list) else [f"rows: {answers['rows']['failed']}"]
    if not found:
        found = [*of_rows(about, columns, rows, answers["rows"])]
    for conditions, answer in zip(asked, answers["counts"], strict=True):
        right = sum(all(each.holds(row) for each in conditions) for row in rows)
        if answer != right:
            said = answer["failed"] if isinstance(answer, dict) else answer
            found.append(f"{questions.text(conditions)}: {right} rows, and it says {said}")
    return found


def of_rows(about, columns, rows, answered):
    """Rows by their id, compared column by column."""
    answers = collections.Counter(row["id"] for row in answered)
    ids = {row["id"] for row in rows}
    if answers != collections.Counter(ids):
        yield (f"rows: {len(ids)} ids, and it has {answers.total()}, of which {len(answers)} are different: "
               f"{sorted(ids ^ set(answers))[:5]}")
    by_id = {row["id"]: row for row in answered}
    for column, ty in columns.items():
        differing = []
        for row in rows:
            right = canonical.emptied(ty, canonical.value(ty, row[column]), about.no_nulls_of)
            if row["id"] in by_id and by_id[row["id"]][column] != right:
                differing.append(f"that of {row['id']} is {right!r}, and it says {by_id[row['id']][column]!r}")
        if differing:
            yield f"column {column}: {len(differing)} values differ: {differing[0]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", action="append", choices=engine.ENGINES, help="by default all")
    parser.add_argument("--compact", action="store_true", help="merge the tables' files before anybody is asked")
    service.add_arguments(parser)
    options = parser.parse_args()

    wrong = 0
    with service.started(options) as made:
        make(made)
        if options.compact:
            compact(made)
        with made.serving() as uri:
            for name in options.engine or engine.ENGINES:
                wrong += tell(options, made, uri, name)
    sys.exit(1 if wrong else 0)


def tell(options, made, uri, name):
    """Asks an engine, and prints what came of it; answers whether something is wrong."""
    began = time.monotonic()
    found, asked = ask(made, uri, name, options.compact)
    said = f"{len(found)} findings" if found else "as it should be"
    seconds = time.monotonic() - began
    print(f"{name}: {said}, {asked} questions, {seconds:.0f} s", flush=True)
    if options.write:
        rows = len(made.produced[engine.ENGINES[name].table])
        told = f"{rows} rows, {asked} filters"
        results.add(options, name, f"{told}, compacted" if options.compact else told, len(found), seconds)
    for each in found:
        print("  " + each)
    return bool(found)


if __name__ == "__main__":
    main()
