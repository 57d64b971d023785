#!/usr/bin/env python3
"""Asks DuckDB the same queries that somebody else has answered, on the same tables, and compares.

  answers.py --catalog FILE --namespace shop --answer QUERY.sql ANSWER.parquet [--answer ...]

A query may name each table of the namespace, and each of its snapshots as "table@<snapshot id>". Rows are compared in
order where the query has an ORDER BY of its own, else as a set with repetitions. Prints how many answers it compared,
and leaves with 0, or with 3 and the first differences.
"""

import argparse
import collections
import decimal
import math
import pathlib
import sys

import lake


def show_tables(db, catalog, namespace, queries):
    for identifier in catalog.list_tables(namespace):
        name, table = identifier[-1], catalog.load_table(identifier)
        scan = lake.scan(table.metadata_location)
        db.execute(f"CREATE VIEW {lake.quoted(name)} AS SELECT * FROM {scan}")
        for snapshot in table.metadata.snapshots:
            view = lake.quoted(f"{name}@{snapshot.snapshot_id}")
            if any(view in query for query in queries):
                earlier = scan.removesuffix(")") + f", snapshot_from_id => {snapshot.snapshot_id}::UBIGINT)"
                db.execute(f"CREATE VIEW {view} AS SELECT * FROM {earlier}")


def comparable(value):
    """Numbers by their value whatever their type, everything else as it is."""
    if isinstance(value, decimal.Decimal):
        value = float(value)
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else float(f"{value:.12g}")
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return float(value) if abs(value) < 2**53 else value
    if isinstance(value, dict):
        return tuple((key, comparable(each)) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(comparable(each) for each in value)
    return str(value)


def rows(result):
    table = result.to_arrow_table()
    return table.column_names, [comparable(row) for row in zip(*(column.to_pylist() for column in table.columns))]


def differences(query, ours, theirs):
    if ours[0] != theirs[0]:
        return {"columns": {"answer": ours[0], "duckdb": theirs[0]}}
    if not theirs[1]:
        return {"empty": "a query without an answer compares nothing"}
    if ours[1] == theirs[1]:
        return None
    ordered = "ORDER BY" in query.rsplit(")", 1)[-1]
    here, there = collections.Counter(ours[1]), collections.Counter(theirs[1])
    if not ordered and here == there:
        return None
    return {
        "only in the answer": [str(row) for row in (here - there)][:3],
        "only in duckdb": [str(row) for row in (there - here)][:3],
        "rows": [len(ours[1]), len(theirs[1])],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", required=True, metavar="FILE")
    parser.add_argument("--catalog-name", default="tabletopic")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--answer", nargs=2, action="append", required=True, metavar=("QUERY", "PARQUET"))
    options = parser.parse_args()

    db = lake.open_duckdb()
    queries = {query: pathlib.Path(query).read_text().strip().removesuffix(";") for query, _ in options.answer}
    show_tables(db, lake.open_catalog(options), options.namespace, queries.values())
    found = {}
    for query, answer in options.answer:
        sql = queries[query]
        literal = answer.replace("'", "''")
        difference = differences(sql, rows(db.execute(f"SELECT * FROM read_parquet('{literal}')")), rows(db.execute(sql)))
        if difference:
            found[query] = difference
    lake.answer({"compared": len(options.answer), "differences": found})
    sys.exit(lake.DIFFERS if found else 0)


main()
