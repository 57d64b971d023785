#!/usr/bin/env python3
"""Do Spark and Trino change a table beside a running ingest, and is every offset still accounted for?

  writers.py               a warehouse on this disk
  writers.py --store s3    a warehouse in an S3 server

While records come in without a pause, through the catalog server of `tabletopic run`, Spark compacts the table, adds a
column, renames one, and expires all snapshots but the last; then Trino deletes rows. Then both do what `tabletopic maintain`
has them do: Spark runs the calls that it prints, and Trino is asked by it. Our tag has to be there after that, and to move
on. In the end each record that was produced has to be a row, as it was produced, or to be one that Trino deleted; nothing may be there twice; and the
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
    # The ingest commits each second, and an engine on a busy machine is slower than that for a while: so it tries often, and
    # the snapshot that it began with stays meanwhile (docs/maintenance.md).
    """ALTER TABLE {table} SET TBLPROPERTIES (
        'commit.retry.num-retries' = '50', 'commit.retry.max-wait-ms' = '2000',
        'tabletopic.expire.max-metadata-bytes' = '100000000', 'tabletopic.expire.max-snapshots' = '100000')""",
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
    return ask(made, uri, "change.py", name, {"statements": statements})


def ask(made, uri, program, name, more):
    """What a program answers about the table."""
    file = made.folder / f"{name}.json"
    file.write_text(json.dumps({"lake": made.lake(uri, TABLE)} | more))
    return service.engine_process(made.folder, program, name, file)


def calls(made):
    """What `maintain` prints for Spark. Spark itself lists no folder of an object store without more of Hadoop."""
    orphans = [] if made.store else ["--orphans"]
    document = made.tabletopic_does("maintain", TABLE, "--engine", "spark", "--catalog-name", "lake", "--older-than", "1s",
                                    "--output", "json", *orphans)
    return [statement.rstrip(";") for statement in json.loads(document)[0]["statements"]]


def tag(made, uri):
    """The snapshot that our tag leads to."""
    metadata = service.rest_catalog(made.store, uri).load_table(TABLE).metadata
    reference = metadata.refs.get("tabletopic")
    found = reference and metadata.snapshot_by_id(reference.snapshot_id)
    return found and found.snapshot_id


def moves_on(made, uri):
    """What is wrong with our tag, in words: it has to be there, and the ingest has to commit again."""
    before = tag(made, uri)
    if before is None:
        return ["our tag, or what it leads to, is gone"]
    deadline = time.monotonic() + service.TIMEOUT
    while tag(made, uri) == before:
        if time.monotonic() > deadline:
            return ["the ingest commits no more"]
        time.sleep(0.5)
    return []


def refused(told):
    """What is wrong with how Trino's refusal of too short an age was told, in words."""
    if told["code"] != 1 or "Retention specified" not in told["error"]:
        yield f"Trino had to refuse, and its words to be told: {told}"


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
        # As docs/maintenance.md has it where an engine compacts: Spark gives up a rewriting whose files are gone by then.
        made.configure(phase, "\n[maintenance]\nenabled = false\n")
        made.produce(phase, phase.batches()[0])
        made.run_until_end()
        with made.ingesting() as uri, producing(made, phase):
            print("spark:", change(made, uri, "spark", SPARK), flush=True)
            [deleted] = change(made, uri, "trino", TRINO)
            print("trino:", deleted, flush=True)
            print("maintained by spark:", change(made, uri, "spark", calls(made)), flush=True)
            wrong = moves_on(made, uri)
            done = ask(made, uri, "by_trino.py", "trino", {"runs": [
                ["--older-than", "0s", "--orphans", "--yes"], ["--orphans", "--orphans-older-than", "25h", "--yes"],
            ]})
            print("maintained by trino:", done, flush=True)
            wrong += moves_on(made, uri)
            if done[0]["code"]:
                wrong.append(f"Trino did not maintain it: {done[0]['error']}")
            wrong += refused(done[1])
        log = (made.folder / "run.log").read_text()
        made.run_until_end()
        with made.serving() as uri:
            wrong += findings(made, uri, deleted)
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
