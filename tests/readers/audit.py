#!/usr/bin/env python3
"""Runs the audits of sql/ on a table and its dead letters and ledger, as DuckDB or PyIceberg reads them.

  audit.py --catalog FILE --table shop.orders [--audit duplicates] [--audit gaps] [--reader pyiceberg] [--topic orders]

Prints one JSON object with the rows of each audit; leaves with 0, or with 3 if duplicates, gaps or counts has a row.
"""

import pathlib
import sys

import lake
from pyiceberg.exceptions import NoSuchTableError

SQL = pathlib.Path(__file__).resolve().parents[2] / "sql"
AUDITS = {path.stem.removeprefix("audit_"): path for path in sorted(SQL.glob("audit_*.sql"))}
REPORTS = {"freshness"}  # whose rows are not findings

# A table without bad records need not have dead letters.
NO_DEAD_LETTERS = """
    SELECT NULL::VARCHAR AS topic, NULL::INT AS "partition", NULL::BIGINT AS "offset", NULL::VARCHAR AS job WHERE false
"""


def show(db, name, table, reader):
    """Makes a table visible to the audits under one of their names."""
    if reader == "pyiceberg":
        db.register(name, table.scan().to_arrow())
    else:
        db.execute(f"CREATE VIEW {name} AS SELECT * FROM {lake.scan(table.metadata_location)}")


def show_main(db, table, topic, reader):
    """The main table, with the topic as a column; where it has none, the one topic that the ledger knows."""
    show(db, "main_table_as_is", table, reader)
    if "_kafka_topic" in table.schema().column_names:
        db.execute("CREATE VIEW main_table AS SELECT * FROM main_table_as_is")
        return
    if topic is None:
        topics = [row[0] for row in db.execute("SELECT DISTINCT topic FROM ledger WHERE topic IS NOT NULL").fetchall()]
        if len(topics) != 1:
            sys.exit(f"the table has no column _kafka_topic and its ledger the topics {topics}: name one with --topic")
        [topic] = topics
    literal = topic.replace("'", "''")
    db.execute(f"CREATE VIEW main_table AS SELECT *, '{literal}' AS _kafka_topic FROM main_table_as_is "
               "WHERE _kafka_offset IS NOT NULL")


def findings(catalog, name, audits, reader="duckdb", topic=None):
    """The rows of each of these audits of a table."""
    db, main_table = lake.open_duckdb(), catalog.load_table(name)
    try:
        show(db, "dead_letters", catalog.load_table(name + "__dead_letters"), reader)
    except NoSuchTableError:
        db.execute(f"CREATE VIEW dead_letters AS {NO_DEAD_LETTERS}")
    show(db, "ledger", catalog.load_table(name + "__ledger"), reader)
    show_main(db, main_table, topic, reader)
    return {audit: lake.rows(db.execute(AUDITS[audit].read_text())) for audit in audits}


def main():
    parser = lake.arguments(__doc__)
    parser.add_argument("--audit", choices=AUDITS, action="append", help="by default all")
    parser.add_argument("--reader", choices=["duckdb", "pyiceberg"], default="duckdb")
    parser.add_argument("--topic", help="that feeds the table, where its rows do not say")
    options = parser.parse_args()

    catalog = lake.open_catalog(options)
    audits = findings(catalog, options.table, options.audit or AUDITS, options.reader, options.topic)
    ok = not any(found for name, found in audits.items() if name not in REPORTS)
    lake.answer({"table": options.table, "audits": audits, "ok": ok})
    sys.exit(0 if ok else lake.DIFFERS)


if __name__ == "__main__":
    lake.run(main)
