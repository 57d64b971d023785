#!/usr/bin/env python3
"""Do Spark and Trino change a table beside a running ingest, and is every offset still accounted for?

  writers.py               a warehouse on this disk
  writers.py --store s3    a warehouse in an S3 server

While records come in without a pause, through the catalog server of `tabletopic run`, Spark compacts the table, adds a
column, renames one, and expires all snapshots but the last; then Trino deletes rows. In the end each record that was
produced has to be a row, as it was produced, or to be one that Trino deleted; nothing may be there twice; and the
ledger has to tell of each offset. Leaves with 0, or with 1 and what is wrong. Needs what `run.py` needs.
"""

import argparse
import collections
import contextlib
import json
import sys
import threading
import time

import canonical
import engine
import results
import service
import table

sys.path.insert(0, str(service.ROOT / "tests/readers"))
import audit  # noqa: E402

TABLE = "shop.without_time"
RENAMED = {"note": "remark"}
SPARK = [
    "CALL lake.system.rewrite_data_files(table => 'shop.without_time', options => map('rewrite-all', 'true'))",
    "ALTER TABLE {table} ADD COLUMN extra BIGINT",
    "ALTER TABLE {table} RENAME COLUMN note TO remark",
    "CALL lake.system.rewrite_data_files(table => 'shop.without_time', options => map('rewrite-all', 'true'))",
    """CALL lake.system.expire_snapshots(
        table => 'shop.without_time', older_than => TIMESTAMP '2100-01-01', retain_last => 1)""",
]
# Trino refuses to delete where rows of the same kind may have come in meanwhile: by their offsets, these cannot.
TRINO = ["DELETE FROM {table} WHERE units < 0 AND _kafka_offset < 60"]


def deleted_by_trino(row):
    return row["units"] is not None and row["units"] < 0 and row["_kafka_offset"] < 60


def change(made, uri, name, statements):
    """What the engine answered to each of these statements."""
    lake = made.lake(uri, TABLE)
    file = made.folder / f"{name}.json"
    file.write_text(json.dumps({"lake": lake, "statements": statements}))
    return service.engine_process(made.folder, "change.py", name, file)


@contextlib.contextmanager
def producing(made, phase):
    """Records come in without a pause, the same batches over and over with ids of their own."""
    stop, failed = threading.Event(), []

    def produce():
        try:
            rounds = 0
            while not stop.is_set():
                for rows in phase.batches():
                    for at in range(0, len(rows), 10):
                        some = rows[at : at + 10]
                        made.produce(phase, [row | {"id": row["id"] + rounds * 1_000_000} for row in some])
                        stop.wait(0.2)
                rounds += 1
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def findings(made, uri, deleted):
    """What is wrong in the end, in words."""
    columns = {name: ty for name, ty in table.COLUMNS.items() if name not in service.TABLES[TABLE]}
    # PyIceberg does not read the encoding of the deletes that Trino writes.
    reader = engine.connect("duckdb", service.as_lake(made.lake(uri, TABLE)))
    rows = [
        canonical.row(columns, {name: row[RENAMED.get(name, name)] for name in columns}) for row in reader.rows()
    ]
    reader.close()
    there = {(row["_kafka_partition"], row["_kafka_offset"]): row for row in rows}
    if len(there) != len(rows):
        yield f"{len(rows) - len(there)} rows are there twice"
    gone = collections.Counter()
    for row in made.produced[TABLE]:
        place = row["_kafka_partition"], row["_kafka_offset"]
        found = there.pop(place, None)
        if found is not None and canonical.row(columns, row) != found:
            yield f"offset {place} differs: {canonical.row(columns, row)} became {found}"
        if found is None:
            gone[str(row["_kafka_partition"])] += 1
            if not deleted_by_trino(row):
                yield f"offset {place} is lost: {row}"
    if there:
        yield f"{len(there)} rows were never produced, such as {next(iter(there))}"
    if gone.total() != deleted or not deleted:
        yield f"Trino deleted {deleted} rows, and {gone.total()} are gone"
    catalog = service.rest_catalog(made.store, uri)
    audits = audit.findings(catalog, TABLE, ["duplicates", "gaps", "counts"], topic=made.topics[TABLE])
    for name in ("duplicates", "gaps"):
        for row in audits[name]:
            yield f"audit {name}: {row}"
    fewer = {str(row["kafka_partition"]): row["ledger_rows"] - row["table_rows"] for row in audits["counts"]}
    if fewer != dict(gone):
        yield f"by the ledger, rows are missing in {fewer}, and Trino deleted in {dict(gone)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    service.add_arguments(parser)
    options = parser.parse_args()

    began = time.monotonic()
    with service.started(options) as made:
        phase = table.PHASES[-1]
        made.configure(phase)
        made.produce(phase, phase.batches()[0])
        made.run_until_end()
        with made.ingesting() as uri, producing(made, phase):
            print("spark:", change(made, uri, "spark", SPARK), flush=True)
            [deleted] = change(made, uri, "trino", TRINO)
            print("trino:", deleted, flush=True)
        log = (made.folder / "run.log").read_text()
        made.run_until_end()
        with made.serving() as uri:
            wrong = list(findings(made, uri, deleted))
        if "halted" in log:
            wrong.append(f"the ingest halted:\n{log[-4000:]}")
        told = f"{len(made.produced[TABLE])} records, {deleted} of them deleted"
        print(f"{told}: {len(wrong)} findings")
        for each in wrong[:20]:
            print("  " + each)
    if options.write:
        results.add(options, results.WRITERS, told, len(wrong), time.monotonic() - began)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
