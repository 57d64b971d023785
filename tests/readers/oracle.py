#!/usr/bin/env python3
"""Is every record that was produced in the table, once, and with all its columns as they were produced?

  oracle.py --catalog FILE --table shop.orders --produced FILE [--produced FILE ...]
  oracle.py --catalog FILE --table bench.bids --bids 1:4:8000000 --timestamp-unit ms
  oracle.py --catalog FILE --table real.flights --csv flights.csv

Reads the table twice, by PyIceberg and by DuckDB's own reader of the metadata file, and compares what each found with
the producer's own account. A column's expected value is the JSON field of its name, converted by DuckDB to the type
that the table has. Rows without an offset are a foreign writer's: counted, and not judged.

Prints one JSON object with counts and samples of what differs; leaves with 0, or with 3 if anything does.
"""

import sys

import bids
import lake
import orders
from lake import quoted
from pyiceberg.types import BinaryType, FixedType, ListType, StringType, StructType, TimestampType, TimestamptzType

SAMPLES = 5
FACTORS = {"s": 1_000_000, "ms": 1_000, "us": 1}

# What a raw table has, and Kafka's own columns in any table: column -> SQL over the producer's account.
RAW = {"key": "key", "value": "value", "headers": "headers", "timestamp": "make_timestamptz(timestamp * 1000)"}
KAFKA = {
    "_kafka_timestamp": "make_timestamptz(timestamp * 1000)",
    "_kafka_topic": "topic", "_kafka_key": "key", "_kafka_headers": "headers",
}


def json_value(field, duckdb_type, unit):
    """SQL for the value that the JSON field of this column's name has as the column's type."""
    path = "'$." + quoted(field.name).replace("'", "''") + "'"
    text = f"(json ->> {path})"
    if isinstance(field.field_type, StringType):
        return text
    if isinstance(field.field_type, (TimestampType, TimestamptzType)):
        number = f"make_timestamptz(({text})::BIGINT * {FACTORS[unit]})::{duckdb_type}"
        return f"CASE json_type(json, {path}) WHEN 'VARCHAR' THEN ({text})::{duckdb_type} ELSE {number} END"
    if isinstance(field.field_type, (BinaryType, FixedType)):
        return f"from_base64({text})"
    if field.field_type.is_primitive:
        return f"({text})::{duckdb_type}"
    return f"(json -> {path})::{duckdb_type}"


def load_produced(db, options):
    """The view `produced`, with the records that the table may be asked for."""
    if options.bids:
        seed, partitions, count = (int(part) for part in options.bids.split(":"))
        bids.prepare(db, seed)
        ends = [len(range(p, count, partitions)) for p in range(partitions)]
        each = [
            f"SELECT {p}::INT AS partition, * FROM ({bids.values(seed, p, partitions, 0, end)})"
            for p, end in enumerate(ends)
        ]
        db.execute(f"""
            CREATE VIEW produced AS
            SELECT 'bids' AS topic, partition, i AS "offset", NULL::BIGINT AS timestamp, NULL::BLOB AS key,
                   encode(value) AS value, NULL AS headers, 'record' AS kind
            FROM ({" UNION ALL ".join(each)})""")
        return
    absent = [(p, 0, start) for p, start in (text.split("=") for text in options.start)]
    absent += [text.replace("=", "-").split("-") for text in options.lost]
    db.execute("CREATE TABLE produced AS SELECT * FROM read_parquet($files, filename = true)", {"files": options.produced})
    for text in options.cut:
        files, place = text.split(":")
        partition, offset = place.split("=")
        where = 'list_contains($files, filename) AND partition = $partition AND "offset" >= $cut'
        values = {"files": options.produced[:int(files)], "partition": int(partition), "cut": int(offset)}
        db.execute(f"DELETE FROM produced WHERE {where}", values)
    db.execute("ALTER TABLE produced DROP COLUMN filename")
    if options.gone:
        db.execute(f"DELETE FROM produced WHERE CASE kind WHEN 'record' THEN {options.gone} END")
    for reason in options.redriven:
        db.execute("""INSERT INTO produced SELECT * REPLACE ('record' AS kind) FROM produced
                      WHERE kind = 'poison' AND reason = ?""", [reason])
    for partition, start, end in absent:
        where = 'partition = ? AND "offset" >= ? AND "offset" < ?'
        db.execute(f"DELETE FROM produced WHERE {where}", [int(partition), int(start), int(end)])


def without_null_lists(field, sql):
    """What PyIceberg 0.12 reads: it builds a list of structs anew from its offsets and values, without the mask that
    says which lists are null, so that a null list is empty. DuckDB is the judge of those."""
    of_structs = isinstance(field.field_type, ListType) and isinstance(field.field_type.element_type, StructType)
    return f"coalesce({sql}, [])" if of_structs else sql


def expect(db, table, types, reader, options):
    """The table `expected`: the columns of the Iceberg table, as the producer's account says they must be."""
    columns = {}
    for field in table.schema().fields:
        if field.name in KAFKA:
            columns[field.name] = KAFKA[field.name]
        elif field.name in ("_kafka_partition", "_kafka_offset"):
            continue
        elif options.format == "raw":
            columns[field.name] = RAW[field.name]
        else:
            columns[field.name] = json_value(field, types[field.name], options.timestamp_unit)
        if reader == "pyiceberg":
            columns[field.name] = without_null_lists(field, columns[field.name])
    if options.bids:
        # The account is computed, and does not know when the broker got a record.
        columns.pop("_kafka_timestamp", None)
    selected = "".join(f", {sql} AS {quoted(name)}" for name, sql in columns.items())
    db.execute(f"""
        CREATE TABLE expected AS
        SELECT topic AS _topic, partition AS _kafka_partition, "offset" AS _kafka_offset{selected}
        FROM (
            SELECT *, CASE kind WHEN 'record' THEN decode(value)::JSON END AS json
            FROM produced
            WHERE kind IN ('record', 'tombstone')
        )""")
    return [name for name in columns if name != "_kafka_topic"]


def verdict(db, columns, by_topic, options):
    """Compares the view `actual` with the table `expected`, by topic partition and offset."""
    same_place = "e._kafka_partition = a._kafka_partition AND e._kafka_offset = a._kafka_offset"
    place = "_kafka_partition, _kafka_offset"
    if by_topic:
        same_place += " AND e._topic = a._kafka_topic"
        place = "_kafka_topic, " + place
    differing = {name: f"e.{quoted(name)} IS DISTINCT FROM a.{quoted(name)}" for name in columns}
    superseded = ""
    if options.compacted:
        # The broker may have dropped a record once a later one had its key.
        superseded = """AND NOT EXISTS (SELECT 1 FROM produced p JOIN produced later
            ON later.topic = p.topic AND later.partition = p.partition AND later.key = p.key
            AND later."offset" > p."offset"
            WHERE p.topic = e._topic AND p.partition = e._kafka_partition AND p."offset" = e._kafka_offset)"""
        # ... and a tombstone itself some time later.
        superseded += """ AND NOT EXISTS (SELECT 1 FROM produced p WHERE p.kind = 'tombstone'
            AND p.topic = e._topic AND p.partition = e._kafka_partition AND p."offset" = e._kafka_offset)"""
    found = {
        "missing": f"SELECT _topic, _kafka_partition, _kafka_offset FROM expected e "
                   f"WHERE NOT EXISTS (SELECT 1 FROM actual a WHERE {same_place}) {superseded}",
        "unexpected": f"SELECT * FROM actual a WHERE _kafka_offset IS NOT NULL "
                      f"AND NOT EXISTS (SELECT 1 FROM expected e WHERE {same_place})",
        "duplicates": f"SELECT {place}, count(*) AS copies FROM actual WHERE _kafka_offset IS NOT NULL "
                      f"GROUP BY {place} HAVING count(*) > 1",
    }
    if columns:
        both = "".join(
            f", e.{quoted(n)} AS {quoted(n + ' expected')}, a.{quoted(n)} AS {quoted(n + ' found')}" for n in columns
        )
        found["different"] = (f"SELECT e._kafka_partition, e._kafka_offset{both} FROM expected e JOIN actual a "
                              f"ON {same_place} WHERE {' OR '.join(differing.values())}")
    counts = {name: db.execute(f"SELECT count(*) FROM ({query})").fetchone()[0] for name, query in found.items()}
    result = {
        "expected": db.execute("SELECT count(*) FROM expected").fetchone()[0],
        "rows": db.execute("SELECT count(*) FROM actual").fetchone()[0],
        "foreign": db.execute("SELECT count(*) FROM actual WHERE _kafka_offset IS NULL").fetchone()[0],
        **counts,
        "samples": {
            name: lake.rows(db.execute(f"{query} ORDER BY _kafka_partition, _kafka_offset LIMIT {SAMPLES}"))
            for name, query in found.items() if counts[name]
        },
        "ok": not any(counts.values()),
    }
    if counts.get("different"):
        sums = ", ".join(f"count(*) FILTER ({sql}) AS {quoted(name)}" for name, sql in differing.items())
        [by_column] = lake.rows(db.execute(f"SELECT {sums} FROM expected e JOIN actual a ON {same_place}"))
        result["different_columns"] = {name: count for name, count in by_column.items() if count}
        result["samples"]["different"] = [only_differing(sample) for sample in result["samples"]["different"]]
    return result


def only_differing(sample):
    def differs(name):
        base = name.removesuffix(" expected").removesuffix(" found")
        return base == name or sample[f"{base} expected"] != sample[f"{base} found"]

    return {name: value for name, value in sample.items() if differs(name)}


def compare_dead_letters(db, ident):
    """Poison records must be the dead letters, whole and with the reason; nothing else may be one."""
    # A reason that is none of produce.py's kinds of poison is what the dead letter has to say.
    verdicts = [(poison, *verdict) for poison, verdict in orders.VERDICTS.items()]
    db.execute("CREATE TABLE verdicts (poison VARCHAR, reason VARCHAR, field VARCHAR)")
    db.executemany("INSERT INTO verdicts VALUES (?, ?, ?)", verdicts)
    return {
        "expected": db.execute("SELECT count(*) FROM produced WHERE kind = 'poison'").fetchone()[0],
        "rows": db.execute("SELECT count(*) FROM dead_letters").fetchone()[0],
        "samples": (samples := lake.rows(db.execute(f"""
            SELECT coalesce(p.topic, d.topic) AS topic, coalesce(p.partition, d.partition) AS kafka_partition,
                   coalesce(p."offset", d."offset") AS kafka_offset, p.poison AS poison, d.reason AS reason, d.field AS field,
                   count(*) AS copies
            FROM (
                SELECT produced.* REPLACE (coalesce(v.reason, produced.reason) AS reason),
                       v.field, produced.reason AS poison
                FROM produced LEFT JOIN verdicts v ON v.poison = produced.reason
                WHERE kind = 'poison') p
            FULL JOIN dead_letters d ON d.topic = p.topic AND d.partition = p.partition AND d."offset" = p."offset"
            GROUP BY ALL
            HAVING count(*) > 1 OR any_value(p.kind) IS NULL
                OR any_value(d.value) IS DISTINCT FROM any_value(p.value)
                OR any_value(d.key) IS DISTINCT FROM any_value(p.key)
                OR any_value(d.headers) IS DISTINCT FROM any_value(p.headers)
                OR any_value(d.timestamp) IS DISTINCT FROM any_value(make_timestamptz(p.timestamp * 1000))
                OR any_value(d.reason) IS DISTINCT FROM any_value(p.reason)
                OR (any_value(p.field) IS NOT NULL AND any_value(d.field) IS DISTINCT FROM any_value(p.field))
            ORDER BY 1, 2, 3 LIMIT {SAMPLES}"""))),
        "table": ident,
        "ok": not samples,
    }


def compare_csv(db, table, path):
    """The table's columns against a CSV file (missing: NA or empty), as bags of rows: no offsets, no JSON between."""
    names = [f.name for f in table.schema().fields if not f.name.startswith("_kafka_")]
    types = dict(db.execute("SELECT column_name, column_type FROM (DESCRIBE actual)").fetchall())
    columns = ", ".join(quoted(name) for name in names)
    text = "read_csv($csv, all_varchar = true, nullstr = ['NA', ''])"
    header = [column[0] for column in db.execute(f"SELECT * FROM {text} LIMIT 0", {"csv": path}).description]
    if set(header) != set(names):
        return {"ok": False, "columns_of_csv": header, "columns_of_table": names}
    converted = ", ".join(f"{quoted(name)}::{types[name]} AS {quoted(name)}" for name in names)
    db.execute(f"CREATE TABLE source AS SELECT {converted} FROM {text}", {"csv": path})
    sides = {
        "missing": f"SELECT {columns} FROM source EXCEPT ALL SELECT {columns} FROM actual",
        "unexpected": f"SELECT {columns} FROM actual EXCEPT ALL SELECT {columns} FROM source",
    }
    counts = {name: db.execute(f"SELECT count(*) FROM ({query})").fetchone()[0] for name, query in sides.items()}
    samples = {name: lake.rows(db.execute(f"{query} LIMIT {SAMPLES}")) for name, query in sides.items() if counts[name]}
    expected = db.execute("SELECT count(*) FROM source").fetchone()[0]
    return {"expected": expected, **counts, "samples": samples, "ok": not any(counts.values())}


def readers(table, names):
    """Each reader with what makes DuckDB see its rows under a name."""

    def by_pyiceberg(db, name, table):
        db.register(name, table.scan().to_arrow())

    def by_duckdb(db, name, table):
        db.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {lake.scan(table.metadata_location)}")

    every = {"pyiceberg": by_pyiceberg, "duckdb": by_duckdb}
    return {name: every[name] for name in names}


def main():
    parser = lake.arguments(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--produced", action="append", metavar="FILE")
    source.add_argument("--bids", metavar="SEED:PARTITIONS:COUNT")
    source.add_argument("--csv", metavar="FILE")
    parser.add_argument("--reader", choices=["pyiceberg", "duckdb"], action="append", help="by default both")
    parser.add_argument("--format", choices=["json", "raw"], default="json")
    parser.add_argument("--timestamp-unit", choices=FACTORS, default="ms", help="of event times that are numbers")
    parser.add_argument("--start", action="append", default=[], metavar="PARTITION=OFFSET", help="where the anchor is")
    parser.add_argument("--lost", action="append", default=[], metavar="PARTITION=START-END", help="declared lost")
    parser.add_argument("--cut", action="append", default=[], metavar="FILES:PARTITION=OFFSET",
                        help="after so many of the produced files, the log was cut at this offset")
    parser.add_argument("--compacted", action="store_true", help="records with a later one of their key may be missing")
    parser.add_argument("--gone", metavar="SQL", help="of the records: those that have left the table for their age")
    parser.add_argument("--redriven", action="append", default=[], metavar="REASON",
                        help="poison records of this reason are rows as well")
    parser.add_argument("--dead-letters", action="store_true", help="poison records are in <table>__dead_letters")
    options = parser.parse_args()

    catalog = lake.open_catalog(options)
    table = catalog.load_table(options.table)
    result = {"table": options.table, "metadata": table.metadata_location, "readers": {}}
    for name, show in readers(table, options.reader or ["pyiceberg", "duckdb"]).items():
        db = lake.open_duckdb()
        show(db, "actual", table)
        if options.csv:
            result["readers"][name] = compare_csv(db, table, options.csv)
            continue
        types = dict(db.execute("SELECT column_name, column_type FROM (DESCRIBE actual)").fetchall())
        load_produced(db, options)
        columns = expect(db, table, types, name, options)
        by_topic = "_kafka_topic" in types
        found = verdict(db, columns, by_topic, options)
        if options.dead_letters:
            ident = options.table + "__dead_letters"
            show(db, "dead_letters", catalog.load_table(ident))
            found["dead_letters"] = compare_dead_letters(db, ident)
            found["ok"] = found["ok"] and found["dead_letters"]["ok"]
        result["readers"][name] = found
    result["ok"] = all(found["ok"] for found in result["readers"].values())
    lake.answer(result)
    sys.exit(0 if result["ok"] else lake.DIFFERS)


if __name__ == "__main__":
    lake.run(main)
