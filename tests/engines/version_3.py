#!/usr/bin/env python3
"""Is a table of format version 3 still the same to Spark, row ids included, after it was maintained here?

  version_3.py               a warehouse on this disk
  version_3.py --store s3    a warehouse in an S3 server (orphans, whose age only files on a disk can be given, are left out)

Spark makes tables, and inserts, updates and deletes: with deletion vectors, several of them in one Puffin file, and rows
that were moved by an update. One table was of version 2 first, with position deletes. `tabletopic compact`, `expire` and
`orphans` maintain them between Spark's changes. After each step Spark has to read the same rows with the same `_row_id` and
`_last_updated_sequence_number` as before it, and new rows have to get ids that no row ever had. Leaves with 0, or with 1
and what is wrong. Needs what `run.py` needs.
"""

import argparse
import json
import os
import pathlib
import sys
import time
import urllib.parse

import service
import table

MERGE_ON_READ = ", ".join(f"'write.{kind}.mode' = 'merge-on-read'" for kind in ("delete", "update", "merge"))
ROWS = """SELECT id, region, name, amount, _row_id AS row_id, _last_updated_sequence_number AS updated
    FROM {table} ORDER BY id"""
FILES = "SELECT content, file_path, lower(file_format) AS format, record_count AS rows FROM {table}.files"
NEW = "shop.version_3"
UPGRADED = "shop.upgraded"
DAY = 24 * 60 * 60  # seconds


def create(version):
    return (
        "CREATE TABLE {table} (id BIGINT, region STRING, name STRING, amount DOUBLE) USING iceberg PARTITIONED BY (region) "
        f"TBLPROPERTIES ('format-version' = '{version}', {MERGE_ON_READ})"
    )


def insert(start, end, region):
    return (
        f"INSERT INTO {{table}} SELECT id, '{region}', concat('name ', id), id / 8 FROM range({start}, {end})"
    )


def alter(key, value):
    return f"ALTER TABLE {{table}} SET TBLPROPERTIES ('{key}' = '{value}')"


# The files of the region `as it is` are not rewritten here, since they are not Parquet.
MADE = [
    create(3),
    insert(0, 100, "a"), insert(100, 200, "b"), insert(200, 260, "a"), insert(260, 300, "b"),
    alter("write.format.default", "avro"), insert(300, 400, "as it is"),
    alter("write.format.default", "parquet"),
    # Of files in all regions, so that deletion vectors of them are in one file.
    "DELETE FROM {table} WHERE id % 7 = 0",
    "UPDATE {table} SET name = concat(name, ' changed'), amount = -amount WHERE id % 11 = 3",
    "DELETE FROM {table} WHERE id % 13 = 5",
    insert(400, 420, "b"),
]
GOES_ON = [
    "DELETE FROM {table} WHERE id % 5 = 1",
    "UPDATE {table} SET amount = 0.5 WHERE id % 17 = 4",
    insert(500, 540, "a"), insert(540, 560, "as it is"),
]
# Version 2 has position deletes; the rows have no ids until somebody writes to the table in version 3.
OF_VERSION_2 = [
    create(2), insert(0, 50, "a"), insert(50, 90, "a"), insert(90, 120, "b"),
    "DELETE FROM {table} WHERE id % 9 = 2",
    alter("format-version", "3"),
]


class Lake:
    """Spark at the catalog server, and the commands."""

    def __init__(self, made, uri):
        self.made, self.uri, self.wrong = made, uri, []

    def spark(self, name, *statements):
        """What Spark answers to each."""
        lake = {
            "uri": self.uri, "catalog": "tabletopic", "table": name, "cache": str(service.CACHE),
            "store": self.made.store and vars(self.made.store),
        }
        file = self.made.folder / "spark.json"
        file.write_text(json.dumps({"lake": lake, "statements": statements}))
        return service.engine_process(self.made.folder, "change.py", "spark", file)

    def tabletopic(self, *command):
        return json.loads(self.made.tabletopic_does(*command, "--output", "json"))

    def check(self, holds, words):
        if not holds:
            self.wrong.append(words)

    def same(self, step, before, after):
        """The same rows with the same lineage."""
        if before == after:
            return
        was, now = ({row["id"]: row for row in rows} for rows in (before, after))
        differing = [f"{was.get(id)} became {now.get(id)}" for id in sorted(was | now) if was.get(id) != now.get(id)]
        self.wrong.append(f"{step}: {len(differing)} rows differ: {differing[:3]}")

    def compact(self, name):
        [told] = self.tabletopic("compact", name)
        done = [piece["outcome"] for piece in told["pieces"]]
        self.check(done and set(done) == {"committed"}, f"compact of {name}: {told['pieces']}")


def of_version_3(lake):
    """A table that was never of another version."""
    *_, before, files = lake.spark(NEW, *MADE, ROWS, FILES)
    vectors = [file["file_path"] for file in files if file["format"] == "puffin"]
    lake.check(len(set(vectors)) < len(vectors), f"no Puffin file has two deletion vectors: {vectors}")
    lake.check(len({row["row_id"] for row in before}) == len(before), "Spark gave an id twice")

    lake.compact(NEW)
    after, files = lake.spark(NEW, ROWS, FILES)
    lake.same("compact", before, after)
    left = [file for file in files if file["content"]]
    lake.check(
        {file["file_path"] for file in left} <= set(vectors) and left,
        f"the deletion vectors of what was not rewritten should be left: {left}",
    )
    data = [file for file in files if not file["content"]]
    # Of `as it is` one has the rows that were updated.
    lake.check(sum(file["format"] == "parquet" for file in data) == 3, f"a file for each region: {data}")
    deleted = sum(file["rows"] for file in left)
    lake.check(sum(file["rows"] for file in data) == len(before) + deleted, f"rows by the files: {files}")

    *_, changed = lake.spark(NEW, *GOES_ON, ROWS)
    ids, known = {row["id"]: row for row in changed}, {row["id"]: row for row in before}
    for id, row in ids.items():
        was = known.get(id)
        if was:
            lake.check(row["row_id"] == was["row_id"], f"{was} became {row}")
            touched = id % 17 == 4
            lake.check((row["updated"] != was["updated"]) == touched, f"changed: {touched}; {was} became {row}")
        else:
            lake.check(row["row_id"] > max(each["row_id"] for each in before), f"{row} has an id of another's")
    lake.check(len({row["row_id"] for row in changed}) == len(changed), "an id is there twice after the second change")
    right = {id for id in known if id % 5 != 1} | set(range(500, 560))
    lake.check(set(ids) == right, f"other rows than there should be: {set(ids) ^ right}")

    lake.compact(NEW)
    [after] = lake.spark(NEW, ROWS)
    lake.same("compact again", changed, after)
    maintained(lake, NEW, after)


def maintained(lake, name, before):
    """Snapshots go, and then files that nothing leads to."""
    lake.tabletopic("expire", name, "--older-than", "0s", "--keep", "1", "--yes")
    rows, snapshots = lake.spark(name, ROWS, "SELECT snapshot_id FROM {table}.snapshots")
    lake.same("expire", before, rows)
    lake.check(len(snapshots) == 1, f"snapshots that are left: {snapshots}")
    if lake.made.store:
        return
    [described] = lake.spark(name, "DESCRIBE TABLE EXTENDED {table}")
    [location] = [row["data_type"] for row in described if row["col_name"] == "Location"]
    folder = pathlib.Path(urllib.parse.unquote(urllib.parse.urlsplit(location).path))
    garbage = folder / "data" / "garbage.puffin"
    garbage.write_bytes(b"PFA1")
    old = time.time() - 10 * DAY
    for path in folder.rglob("*"):
        os.utime(path, (old, old))
    lake.tabletopic("orphans", name, "--delete", "--yes")
    lake.check(not garbage.exists(), f"{garbage} is left")
    [rows] = lake.spark(name, ROWS)
    lake.same("orphans", before, rows)


def upgraded(lake):
    """A table of version 2 that nobody has written to since it was upgraded."""
    *_, before = lake.spark(UPGRADED, *OF_VERSION_2, ROWS)
    lake.compact(UPGRADED)
    after, files = lake.spark(UPGRADED, ROWS, FILES)
    values = [[{**row, "row_id": None, "updated": None} for row in rows] for rows in (before, after)]
    lake.same("compact of an upgraded table", *values)
    lake.check(not any(file["content"] for file in files), f"position deletes are left: {files}")
    lake.check(len({row["row_id"] for row in after} - {None}) == len(after), "rows have no ids, or not ids of their own")
    *_, before = lake.spark(UPGRADED, "DELETE FROM {table} WHERE id % 4 = 1", insert(120, 150, "b"), ROWS)
    known = {row["id"]: row for row in after}
    for row in before:
        lake.check(known.get(row["id"], row) == row, f"{known.get(row['id'])} became {row}")
    lake.check(len({row["row_id"] for row in before}) == len(before), "an id is there twice after the upgrade")
    lake.compact(UPGRADED)
    [after] = lake.spark(UPGRADED, ROWS)
    lake.same("compact after the upgrade", before, after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    service.add_arguments(parser)
    options = parser.parse_args()

    with service.started(options) as made:
        made.configure(table.PHASES[0])
        with made.serving() as uri:
            lake = Lake(made, uri)
            lake.spark(NEW, "CREATE NAMESPACE IF NOT EXISTS lake.shop")
            of_version_3(lake)
            upgraded(lake)
    print(f"{len(lake.wrong)} findings")
    for each in lake.wrong[:20]:
        print("  " + each)
    sys.exit(1 if lake.wrong else 0)


if __name__ == "__main__":
    main()
