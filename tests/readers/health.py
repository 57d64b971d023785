#!/usr/bin/env python3
"""The figures of a table's health, as PyIceberg tells them.

  health.py --catalog FILE --table shop.orders

Prints one JSON object: files, bytes and rows, by partition too; delete files; snapshots, branches and tags; manifests,
and how many of them a query of one partition opens, on average over the partitions; the size of the metadata file.
"""

import pathlib
from urllib.parse import urlparse

import lake
import pyarrow.compute as compute
from pyiceberg.expressions import AlwaysTrue, And, EqualTo, IsNull
from pyiceberg.expressions.visitors import manifest_evaluator


def main():
    options = lake.arguments(__doc__).parse_args()
    table = lake.open_table(options)
    data, deletes = table.inspect.data_files(), table.inspect.delete_files()
    snapshots, manifests = table.inspect.snapshots(), table.inspect.manifests()
    of_content = lambda content: compute.sum(compute.equal(deletes["content"], content)).as_py() or 0  # noqa: E731
    total = lambda column: compute.sum(column).as_py() or 0  # noqa: E731
    times = [snapshot.timestamp_ms for snapshot in table.metadata.snapshots]
    lake.answer({
        "files": {"files": data.num_rows, "bytes": total(data["file_size_in_bytes"]), "rows": total(data["record_count"])},
        "sizes": sorted(data["file_size_in_bytes"].to_pylist()),
        "partitions": partitions(table),
        "position_files": of_content(1), "equality_files": of_content(2), "delete_bytes": total(deletes["file_size_in_bytes"]),
        "snapshots": {"count": snapshots.num_rows, "oldest_at": min(times, default=None), "newest_at": max(times, default=None)},
        "refs": {ref["name"]: [ref["type"].lower(), str(ref["snapshot_id"])] for ref in table.inspect.refs().to_pylist()},
        "manifests": {"count": manifests.num_rows, "bytes": total(manifests["length"]), "opened": opened(table)},
        "metadata_bytes": pathlib.Path(urlparse(table.metadata_location).path).stat().st_size,
    })


def entries(table):
    """The spec and the file of each live data file."""
    snapshot = table.current_snapshot()
    for manifest in snapshot.manifests(table.io) if snapshot else []:
        for entry in manifest.fetch_manifest_entry(table.io):
            if entry.data_file.content == 0:
                yield manifest.partition_spec_id, entry.data_file


def partitions(table):
    """Files and bytes by the partition's path."""
    found = {}
    for spec_id, file in entries(table):
        path = table.specs()[spec_id].partition_to_path(file.partition, table.schema())
        files, size = found.get(path, (0, 0))
        found[path] = (files + 1, size + file.file_size_in_bytes)
    return {path: {"files": files, "bytes": size} for path, (files, size) in found.items()}


def opened(table):
    """Manifests that a query of one partition opens, on average: PyIceberg's own evaluation of their bounds."""
    places = {(spec_id, tuple(file.partition)) for spec_id, file in entries(table)}
    manifests = table.current_snapshot().manifests(table.io) if places else []
    count = 0
    for spec_id, values in places:
        spec = table.specs()[spec_id]
        wanted = AlwaysTrue()
        for field, value in zip(spec.fields, values):
            wanted = And(wanted, IsNull(field.name) if value is None else EqualTo(field.name, value))
        may_hold = manifest_evaluator(spec, table.schema(), wanted, True)
        count += sum(manifest.partition_spec_id == spec_id and may_hold(manifest) for manifest in manifests)
    return count / max(len(places), 1)


if __name__ == "__main__":
    lake.run(main)
