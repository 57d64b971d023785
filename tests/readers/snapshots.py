#!/usr/bin/env python3
"""Can every snapshot that a table has be read, by PyIceberg and by DuckDB?

  snapshots.py --catalog FILE --table shop.orders

Reads all columns of each, and prints one JSON object: rows by snapshot id. Leaves with 0, or with 3 if the two differ.
A file that is missing is a failure of the reader's own.
"""

import sys

import lake


def main():
    options = lake.arguments(__doc__).parse_args()
    table = lake.open_table(options)
    duckdb = lake.open_duckdb()
    scan = lake.scan(table.metadata_location)
    answer, differs = {}, False
    for snapshot in table.snapshots():
        rows = {
            "pyiceberg": table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows,
            "duckdb": duckdb.execute(
                f"SELECT * FROM {scan[:-1]}, snapshot_from_id => {snapshot.snapshot_id})"
            ).to_arrow_table().num_rows,
        }
        differs |= rows["pyiceberg"] != rows["duckdb"]
        answer[str(snapshot.snapshot_id)] = rows
    lake.answer({"snapshots": answer})
    if differs:
        sys.exit(lake.DIFFERS)


if __name__ == "__main__":
    lake.run(main)
