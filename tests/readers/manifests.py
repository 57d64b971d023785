#!/usr/bin/env python3
"""What do the manifests of a table say, and how many of them does a query open?

  manifests.py --catalog FILE --table shop.orders --where "created_at >= '2026-01-02T00:00:00+00:00'"

By PyIceberg. Prints one JSON object: for each live file the snapshot that added it, its data sequence number and its file
sequence number; how many manifests there are of data and of deletes, and how many of them each filter opens; and the
summary of the snapshot.
"""

import lake
from pyiceberg.expressions import parser as filters
from pyiceberg.expressions.visitors import inclusive_projection, manifest_evaluator
from pyiceberg.manifest import ManifestContent


def main():
    parser = lake.arguments(__doc__)
    parser.add_argument("--where", action="append", default=[], metavar="FILTER")
    options = parser.parse_args()

    table = lake.open_table(options)
    snapshot, schema = table.current_snapshot(), table.schema()
    manifests = snapshot.manifests(table.io)

    def is_opened(manifest, where):
        spec = table.specs()[manifest.partition_spec_id]
        projected = inclusive_projection(schema, spec)(filters.parse(where))
        return manifest_evaluator(spec, schema, projected)(manifest)

    entries = {
        entry.data_file.file_path: [entry.snapshot_id, entry.sequence_number, entry.file_sequence_number]
        for manifest in manifests
        for entry in manifest.fetch_manifest_entry(table.io)
    }
    lake.answer({
        "entries": entries,
        "data": sum(manifest.content == ManifestContent.DATA for manifest in manifests),
        "deletes": sum(manifest.content == ManifestContent.DELETES for manifest in manifests),
        "opened": [sum(is_opened(manifest, where) for manifest in manifests) for where in options.where],
        "summary": {key: value for key, value in snapshot.summary.additional_properties.items() if key[:10] != "tabletopic"},
        "operation": snapshot.summary.operation.value,
    })


if __name__ == "__main__":
    lake.run(main)
