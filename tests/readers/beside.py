#!/usr/bin/env python3
"""PyIceberg as another client of the same SQL catalog, step by step, for a test that starts it as its child.

  beside.py --catalog URL --warehouse URI      URL is SQLAlchemy's; the catalog's tables are made where they are missing

Does what standard input says, a line each, and answers each with a line of JSON:
  create TABLE     makes it, `n long`, and its namespace
  tables NAMESPACE
  load TABLE       which is kept as it is now, for the next appends
  append N         commits one row to the table as it was loaded, without trying again
  appends N        N times one row, each tried again until it is in
"""

import argparse
import json
import sys

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField

SCHEMA = Schema(NestedField(1, "n", LongType(), required=False))


class Beside:
    def __init__(self, catalog):
        self.catalog, self.table = catalog, None

    def create(self, table):
        self.catalog.create_namespace_if_not_exists(table.split(".")[0])
        # A conflict is told, not tried again.
        return self.catalog.create_table(table, SCHEMA, properties={"commit.retry.num-retries": "0"}).metadata_location

    def tables(self, namespace):
        return sorted(".".join(table) for table in self.catalog.list_tables(namespace))

    def load(self, table):
        self.table = self.catalog.load_table(table)
        return {"location": self.table.metadata_location, "properties": self.table.properties,
                "rows": sorted(self.table.scan().to_arrow()["n"].to_pylist()) if "n" in self.columns() else None}

    def columns(self):
        return [field.name for field in self.table.schema().fields]

    def append(self, n):
        try:
            self.table.append(pa.table({"n": pa.array([int(n)], pa.int64())}))
        except CommitFailedException as error:
            return {"conflict": str(error)}
        return {"committed": self.table.metadata_location}

    def appends(self, count):
        conflicts = 0
        for n in range(int(count)):
            while "conflict" in self.append(n):
                conflicts += 1
                self.table = self.catalog.load_table(self.table.name())
        return {"conflicts": conflicts}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", required=True, metavar="URL")
    parser.add_argument("--catalog-name", default="test")
    parser.add_argument("--warehouse", required=True, metavar="URI")
    options = parser.parse_args()
    beside = Beside(SqlCatalog(options.catalog_name, uri=options.catalog, warehouse=options.warehouse))
    for line in sys.stdin:
        step, argument = line.split()
        print(json.dumps(getattr(beside, step)(argument)), flush=True)


if __name__ == "__main__":
    main()
