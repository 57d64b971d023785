#!/usr/bin/env python3
"""Are the metadata files in a table's folder those that the table needs, and no others?

  files.py --catalog FILE --table shop.orders

Compares the files in `metadata/` with what the table leads to: the metadata file and those in its log, the manifest list
of each snapshot, their manifests; and looks for each data file. Data files that nothing leads to are only counted: a
process that was killed leaves some. Prints one JSON object; leaves with 0, or with 3 if
something is missing or too many.
"""

import pathlib
import sys
from urllib.parse import urlparse

import lake
from pyiceberg.manifest import DataFileContent


def main():
    options = lake.arguments(__doc__).parse_args()
    table = lake.open_table(options)
    metadata = table.metadata
    needed = {table.metadata_location} | {entry.metadata_file for entry in metadata.metadata_log}
    data, manifests, now = set(), 0, []
    for snapshot in metadata.snapshots:
        needed.add(snapshot.manifest_list)
        of_snapshot = snapshot.manifests(table.io)
        needed |= {manifest.manifest_path for manifest in of_snapshot}
        for manifest in of_snapshot:
            data |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)}
        if snapshot.snapshot_id == metadata.current_snapshot_id:
            manifests = len(of_snapshot)
            now = [entry for manifest in of_snapshot for entry in manifest.fetch_manifest_entry(table.io)]
    needed = {local(path) for path in needed}
    there = set((local(metadata.location) / "metadata").iterdir())
    missing = (needed - there) | {path for path in map(local, data) if not path.exists()}
    on_disk = {path for path in (local(metadata.location) / "data").rglob("*.parquet")}
    lake.answer({
        "snapshots": len(metadata.snapshots),
        "manifests": manifests,
        "data_files": len(data),
        "live_data_files": sum(entry.data_file.content == DataFileContent.DATA for entry in now),
        "live_delete_files": sum(entry.data_file.content != DataFileContent.DATA for entry in now),
        "metadata_bytes": local(table.metadata_location).stat().st_size,
        "unneeded_data_files": len(on_disk - set(map(local, data))),
        "missing": sorted(map(str, missing)),
        "too_many": sorted(map(str, there - needed)),
    })
    if missing or there - needed:
        sys.exit(lake.DIFFERS)


def local(location):
    return pathlib.Path(urlparse(location).path)


if __name__ == "__main__":
    lake.run(main)
