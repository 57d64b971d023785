"""What a table's catalog says of it, without the program that writes the table: its snapshots as they appear."""

import json
import pathlib
import re
import sqlite3

LOCATION = "SELECT metadata_location FROM iceberg_tables WHERE table_namespace = 'bench' AND table_name = 'bids'"


def path_of(location):
    """Java writes file:/tmp, others file:///tmp."""
    return pathlib.Path(re.sub("^file:/+", "/", location))


class Watch:
    """The table of a catalog in SQLite. `look` is cheap while nothing has changed."""

    def __init__(self, catalog):
        self.connection = sqlite3.connect(f"file:{catalog}?mode=ro", uri=True, timeout=5)
        self.location, self.metadata, self.seen = None, None, set()

    def look(self):
        """The snapshots that were not there before, the oldest first."""
        [(location,)] = self.connection.execute(LOCATION).fetchall()
        if location == self.location:
            return []
        self.location, self.metadata = location, json.loads(path_of(location).read_text())
        new = [each for each in self.metadata.get("snapshots", []) if each["snapshot-id"] not in self.seen]
        self.seen.update(each["snapshot-id"] for each in new)
        return sorted(new, key=lambda snapshot: snapshot["sequence-number"])

    def totals(self):
        """Records, files and bytes of the current snapshot."""
        current = self.metadata["current-snapshot-id"]
        [summary] = [each["summary"] for each in self.metadata["snapshots"] if each["snapshot-id"] == current]
        names = {"records": "total-records", "files": "total-data-files", "bytes": "total-files-size"}
        return {name: int(summary[key]) for name, key in names.items()}

    def close(self):
        self.connection.close()
