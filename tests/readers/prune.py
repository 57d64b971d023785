#!/usr/bin/env python3
"""Do readers that prune by partitions and bounds count what a reader of everything counts?

  prune.py --catalog FILE --table shop.orders --where "quantity < 3" --where "paid = true"

For each filter: the rows by DuckDB over all rows that PyIceberg read without a filter; by DuckDB's own reader with the
filter; by PyIceberg with the filter; and of how many data files PyIceberg plans to read how many. Prints one JSON
object; leaves with 0, or with 3 if a count differs.
"""

import sys

import lake


def main():
    parser = lake.arguments(__doc__)
    parser.add_argument("--where", action="append", required=True, metavar="SQL", help="that both readers understand")
    options = parser.parse_args()

    table, db = lake.open_table(options), lake.open_duckdb()
    db.register("everything", table.scan().to_arrow())
    scan = lake.scan(table.metadata_location)

    def count(source, where):
        return db.execute(f"SELECT count(*) FROM {source} WHERE {where}").fetchone()[0]

    filters = [
        {
            "where": where,
            "rows": count("everything", where),
            "duckdb": count(scan, where),
            "pyiceberg": table.scan(row_filter=where).to_arrow().num_rows,
            "files": len(list(table.scan(row_filter=where).plan_files())),
        }
        for where in options.where
    ]
    ok = all(found["rows"] == found["duckdb"] == found["pyiceberg"] for found in filters)
    files = len(list(table.scan().plan_files()))
    rows = count("everything", "true")
    lake.answer({"table": options.table, "rows": rows, "files": files, "filters": filters, "ok": ok})
    sys.exit(0 if ok else lake.DIFFERS)


if __name__ == "__main__":
    lake.run(main)
