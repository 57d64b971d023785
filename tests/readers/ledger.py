#!/usr/bin/env python3
"""What the ledger says, row by row, in the order of the snapshots.

  ledger.py --catalog FILE --table shop.orders [--kind rewind]

Prints one JSON object with the rows, as DuckDB reads them.
"""

import lake


def main():
    parser = lake.arguments(__doc__)
    parser.add_argument("--kind", help="only rows of this kind")
    options = parser.parse_args()

    table = lake.open_catalog(options).load_table(options.table + "__ledger")
    found = lake.open_duckdb().execute(
        f"SELECT * FROM {lake.scan(table.metadata_location)} WHERE coalesce(kind = $kind, true) "
        'ORDER BY sequence_number, job, topic, "partition", start_offset',
        {"kind": options.kind},
    )
    lake.answer({"table": options.table, "rows": lake.rows(found)})


if __name__ == "__main__":
    lake.run(main)
