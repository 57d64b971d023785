#!/usr/bin/env python3
"""What the tables of a demo hold, as PyIceberg sees them.

  demo.py --catalog FILE --table shop.orders

Prints one JSON object: rows, distinct order ids, distinct offsets of rows and dead letters, offsets in the ranges of
the ledger, dead letters by reason, late rows, and the first order that has a coupon.
"""

import collections

import lake


def main():
    options = lake.arguments(__doc__).parse_args()
    catalog = lake.open_catalog(options)
    table = catalog.load_table(options.table)
    rows = table.scan().to_arrow().to_pylist()
    letters = catalog.load_table(options.table + "__dead_letters").scan().to_arrow().to_pylist()
    ledger = catalog.load_table(options.table + "__ledger").scan().to_arrow().to_pylist()
    appended = [entry for entry in ledger if entry["kind"] == "append"]
    coupons = [row["order_id"] for row in rows if row.get("coupon")]
    lake.answer({
        "rows": len(rows),
        "order_ids": len({row["order_id"] for row in rows}),
        "offsets": len({(row["_kafka_partition"], row["_kafka_offset"]) for row in rows}
                       | {(letter["partition"], letter["offset"]) for letter in letters}),
        "in_ranges": sum(entry["end_offset"] - entry["start_offset"] for entry in appended),
        "dead_letters": collections.Counter(letter["reason"] for letter in letters),
        "late": sum(1 for row in rows
                    if (row["_kafka_timestamp"] - row["created_at"]).total_seconds() >= 3600),
        "first_coupon": min(coupons, default=None),
    })


if __name__ == "__main__":
    lake.run(main)
