#!/usr/bin/env python3
"""Asks DuckDB: each query may name every table of the namespace.

  ask.py --catalog FILE --table shop.orders "SELECT id FROM orders ORDER BY id" [QUERY ...]

Prints {"rows": [[row, ...] of the first query, ...]}, rows as objects.
"""


import lake


def main():
    parser = lake.arguments(__doc__)
    parser.add_argument("query", nargs="+")
    options = parser.parse_args()
    catalog, duckdb = lake.open_catalog(options), lake.open_duckdb()
    for identifier in catalog.list_tables(options.table.rsplit(".", 1)[0]):
        location = catalog.load_table(identifier).metadata_location
        duckdb.execute(f"CREATE VIEW {lake.quoted(identifier[-1])} AS SELECT * FROM {lake.scan(location)}")
    lake.answer({"rows": [lake.rows(duckdb.execute(query)) for query in options.query]})


if __name__ == "__main__":
    lake.run(main)
