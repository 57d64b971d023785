#!/usr/bin/env python3
"""Makes one thing wrong with a table, its dead letters or its ledger, by hand on the files or through PyIceberg.

  defects.py --catalog FILE --table shop.orders DEFECT

docs/verify.md lists the defects and which check has to find each. Local files only. Prints what was done.
"""

import datetime
import json
import os
import pathlib
import shutil

import fastavro
import lake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

DEFECTS = {}
DELETED = 2  # the status of a manifest entry
FIELD_ID = b"PARQUET:field_id"


def defect(function):
    DEFECTS[function.__name__.replace("_", "-")] = function
    return function


def local(location):
    return pathlib.Path(location.removeprefix("file://"))


class Main:
    """The table's newest snapshot, by its files."""

    def __init__(self, catalog, name):
        self.catalog, self.name = catalog, name
        self.table = catalog.load_table(name)
        self.snapshot = self.table.current_snapshot()

    def follower(self, suffix):
        return self.catalog.load_table(f"{self.name}__{suffix}")

    def manifests(self):
        return [local(record["manifest_path"]) for record in read_avro(local(self.snapshot.manifest_list))[2]]

    def entries(self):
        """Each live entry of a data file, with its manifest."""
        for manifest in self.manifests():
            for record in read_avro(manifest)[2]:
                if record["status"] != DELETED and record["data_file"]["content"] == 0:
                    yield manifest, record

    def file(self, number=0):
        """A data file with some rows; each number is of another partition value."""
        by_value = {}
        for _, record in self.entries():
            file = record["data_file"]
            if file["record_count"] > 5:
                by_value.setdefault(str(file["partition"]), file)
        return by_value[sorted(by_value)[number]]

    def change_entry(self, path, change):
        """Rewrites the manifest that has a file, in its place."""
        for manifest in self.manifests():
            schema, metadata, records = read_avro(manifest)
            for at, record in enumerate(records):
                if record["status"] != DELETED and record["data_file"]["file_path"] == path:
                    change(records, at)
                    write_avro(manifest, schema, metadata, records)
                    return
        raise SystemExit(f"no manifest has {path}")

    def change_summary(self, change):
        """Rewrites the metadata file in its place."""
        path = local(self.table.metadata_location)
        metadata = json.loads(path.read_text())
        for snapshot in metadata["snapshots"]:
            if snapshot["snapshot-id"] == self.snapshot.snapshot_id:
                change(snapshot["summary"])
        path.write_text(json.dumps(metadata))


def read_avro(path):
    with open(path, "rb") as file:
        reader = fastavro.reader(file)
        metadata = {key: value for key, value in reader.metadata.items() if not key.startswith("avro.")}
        return reader.writer_schema, metadata, list(reader)


def write_avro(path, schema, metadata, records):
    with open(path, "wb") as file:
        fastavro.writer(file, schema, records, codec="deflate", metadata=metadata)


def rewrite(path, change):
    """Writes a data file again, with other rows."""
    pq.write_table(change(pq.read_table(local(path), partitioning=None)), local(path), compression="zstd")


def set_offset(table, row, offset):
    at = table.schema.get_field_index("_kafka_offset")
    values = table.column(at).to_pylist()
    values[row] = offset
    return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))


def plus(summary, name, number):
    if name in summary:
        summary[name] = str(int(summary[name]) + number)


def set_map(file, name, field_id, value):
    for entry in file[name]:
        if entry["key"] == field_id:
            entry["value"] = value
            return
    raise SystemExit(f"the entry has no {name} of field {field_id}")


@defect
def row_removed(main):
    rewrite(main.file()["file_path"], lambda rows: rows.slice(1))


@defect
def row_removed_with_its_entry(main):
    path = main.file()["file_path"]
    before = os.path.getsize(local(path))
    rewrite(path, lambda rows: rows.slice(1))
    bytes_less = before - os.path.getsize(local(path))

    def change(records, at):
        file = records[at]["data_file"]
        file["record_count"] -= 1
        file["file_size_in_bytes"] -= bytes_less
        file["null_value_counts"] = file["value_counts"] = None

    def summary(of):
        plus(of, "total-records", -1)
        plus(of, "total-files-size", -bytes_less)

    main.change_entry(path, change)
    main.change_summary(summary)


@defect
def offset_beyond_progress(main):
    rewrite(main.file()["file_path"], lambda rows: set_offset(rows, 0, 10**9))


@defect
def offset_altered(main):
    rewrite(main.file()["file_path"], lambda rows: set_offset(rows, 0, rows["_kafka_offset"][1].as_py()))


@defect
def file_added_again(main):
    path = main.file()["file_path"]
    again = path.removesuffix(".parquet") + "-again.parquet"
    shutil.copyfile(local(path), local(again))

    def change(records, at):
        record = dict(records[at], data_file=dict(records[at]["data_file"], file_path=again))
        records.append(record)

    main.change_entry(path, change)


@defect
def file_listed_twice(main):
    path = main.file()["file_path"]
    main.change_entry(path, lambda records, at: records.append(records[at]))


@defect
def rows_appended_again(main):
    rows = main.table.scan().to_arrow()
    main.table.append(rows.filter(pc.is_valid(rows["_kafka_offset"])).slice(0, 5))


@defect
def files_swapped(main):
    one, other = (local(main.file(number)["file_path"]) for number in (0, 1))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


@defect
def file_truncated(main):
    path = local(main.file()["file_path"])
    path.write_bytes(path.read_bytes()[:-200])


@defect
def file_missing(main):
    local(main.file()["file_path"]).unlink()


@defect
def record_count_wrong(main):
    path = main.file()["file_path"]

    def change(records, at):
        records[at]["data_file"]["record_count"] += 1

    main.change_entry(path, change)


@defect
def bounds_wrong(main):
    path = main.file()["file_path"]
    offset = main.table.schema().find_field("_kafka_offset").field_id

    def change(records, at):
        set_map(records[at]["data_file"], "upper_bounds", offset, (0).to_bytes(8, "little"))

    main.change_entry(path, change)


@defect
def null_count_wrong(main):
    path = main.file()["file_path"]
    offset = main.table.schema().find_field("_kafka_offset").field_id

    def change(records, at):
        set_map(records[at]["data_file"], "null_value_counts", offset, 1)

    main.change_entry(path, change)


@defect
def partition_value_wrong(main):
    path = main.file()["file_path"]

    def change(records, at):
        partition = records[at]["data_file"]["partition"]
        [(name, value)] = partition.items()
        partition[name] = value + (datetime.timedelta(days=1) if isinstance(value, datetime.date) else 1)

    main.change_entry(path, change)


@defect
def total_wrong(main):
    main.change_summary(lambda summary: plus(summary, "total-records", 1))


@defect
def progress_raised(main):
    main.change_summary(lambda summary: change_progress(summary, 10))


@defect
def progress_lowered(main):
    main.change_summary(lambda summary: change_progress(summary, -10))


def change_progress(summary, by):
    """Moves the end of partition 0. Progress is `0=200 1=80`."""
    [key] = [key for key in summary if key.endswith(".progress")]
    words = summary[key].split(" ")
    for at, word in enumerate(words):
        number, ranges = word.split("=")
        if number == "0":
            start, dots, end = ranges.rpartition("..")
            words[at] = f"{number}={start}{dots}{int(end) + by}"
    summary[key] = " ".join(words)


@defect
def tag_removed(main):
    main.table.manage_snapshots().remove_tag("tabletopic").commit()


def change_ledger(main, number, change):
    """Writes the ledger anew, with another row for one of the ranges of partition 0 that were read; None leaves it out."""
    ledger = main.follower("ledger")
    table = ledger.scan().to_arrow()
    rows = table.to_pylist()
    appends = [row for row in rows if row["kind"] == "append" and row["partition"] == 0]
    chosen = sorted(appends, key=lambda row: row["start_offset"])[number]
    changed = [change(row) if row == chosen else row for row in rows]
    ledger.overwrite(pa.Table.from_pylist([row for row in changed if row], schema=table.schema))


@defect
def ledger_row_removed(main):
    change_ledger(main, 0, lambda row: None)


@defect
def ledger_range_shortened(main):
    change_ledger(main, 0, lambda row: dict(row, end_offset=row["end_offset"] - 1))


@defect
def ledger_ranges_overlap(main):
    change_ledger(main, 1, lambda row: dict(row, start_offset=row["start_offset"] - 1))


@defect
def ledger_counts_too_few(main):
    change_ledger(main, 0, lambda row: dict(row, rows=row["rows"] - 1))


@defect
def ledger_anchor_removed(main):
    """The ledger begins with a range in the place of the anchors."""
    ledger = main.follower("ledger")
    rows = ledger.scan().to_arrow()
    ledger.overwrite(rows.filter(pc.not_equal(rows["kind"], "anchor")))


@defect
def ledger_dropped(main):
    main.catalog.drop_table(f"{main.name}__ledger")


def letters(main):
    table = main.follower("dead_letters")
    return table, table.scan().to_arrow()


@defect
def letter_doubled(main):
    table, rows = letters(main)
    table.append(rows.slice(0, 1))


@defect
def letter_removed(main):
    table, rows = letters(main)
    table.overwrite(rows.slice(1))


@defect
def letter_of_a_row(main):
    """One more letter, of a record that is a row."""
    table, rows = letters(main)
    main_rows = main.table.scan(selected_fields=("_kafka_partition", "_kafka_offset")).to_arrow().to_pylist()
    letter = rows.slice(0, 1).to_pylist()[0]
    offset = next(row["_kafka_offset"] for row in main_rows if row["_kafka_partition"] == letter["partition"])
    table.append(pa.Table.from_pylist([dict(letter, offset=offset)], schema=rows.schema))


@defect
def rows_deleted(main):
    """Copy on write, as PyIceberg deletes."""
    main.table.delete("_kafka_offset < 20")


@defect
def position_deletes_added(main):
    """Two rows are deleted by position; a delete file comes into the newest snapshot, and its totals say so."""
    file = main.file()
    deletes = pathlib.Path(str(local(file["file_path"])).removesuffix(".parquet") + "-deletes.parquet")
    schema = pa.schema([
        pa.field("file_path", pa.string(), False, {FIELD_ID: b"2147483546"}),
        pa.field("pos", pa.int64(), False, {FIELD_ID: b"2147483545"}),
    ])
    pq.write_table(pa.table([[file["file_path"]] * 2, [0, 1]], schema=schema), deletes)

    list_path = local(main.snapshot.manifest_list)
    list_schema, list_metadata, manifests = read_avro(list_path)
    data = next(manifest for manifest, record in main.entries() if record["data_file"]["file_path"] == file["file_path"])
    schema, metadata, records = read_avro(data)
    entry = dict(records[0], status=1, snapshot_id=main.snapshot.snapshot_id, sequence_number=None, file_sequence_number=None)
    nothing = ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds",
               "split_offsets")
    size = os.path.getsize(deletes)
    entry["data_file"] = dict(
        file, content=1, file_path=f"file://{deletes}", record_count=2, file_size_in_bytes=size, **dict.fromkeys(nothing),
    )
    manifest = list_path.parent / "position-deletes.avro"
    write_avro(manifest, schema, dict(metadata, content="deletes"), [entry])
    [template] = [record for record in manifests if local(record["manifest_path"]) == data]
    manifests.append(dict(
        template, manifest_path=f"file://{manifest}", manifest_length=os.path.getsize(manifest), content=1,
        sequence_number=main.snapshot.sequence_number, min_sequence_number=main.snapshot.sequence_number,
        added_snapshot_id=main.snapshot.snapshot_id, added_files_count=1, existing_files_count=0, deleted_files_count=0,
        added_rows_count=2, existing_rows_count=0, deleted_rows_count=0, partitions=None,
    ))
    write_avro(list_path, list_schema, list_metadata, manifests)

    def summary(of):
        for name, number in (("delete-files", 1), ("position-deletes", 2), ("files-size", size)):
            plus(of, f"total-{name}", number)

    main.change_summary(summary)


def main():
    parser = lake.arguments(__doc__)
    parser.add_argument("defect", choices=sorted(DEFECTS))
    options = parser.parse_args()
    DEFECTS[options.defect](Main(lake.open_catalog(options), options.table))
    lake.answer({"made": options.defect})


if __name__ == "__main__":
    lake.run(main)
