#!/usr/bin/env python3
"""Copies what was produced, without headers: what a capture with --drop-headers is compared with.

  without_headers.py PRODUCED.parquet COPY.parquet
"""

import sys

import lake
import pyarrow as pa
import pyarrow.parquet as pq


def main():
    table = pq.read_table(sys.argv[1])
    at = table.schema.get_field_index("headers")
    field = table.schema.field(at)
    pq.write_table(table.set_column(at, field, pa.array([[]] * len(table), field.type)), sys.argv[2])
    lake.answer({"records": len(table)})


if __name__ == "__main__":
    lake.run(main)
