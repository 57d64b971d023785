#!/usr/bin/env python3
"""Spark compacts a table again and again, as another team's job might, while others write to it.

  spark_rewrites.py --uri URL --table shop.orders --while FILE

Ends once there is no such FILE. Prints one JSON object: how often it rewrote, how many files, and how often another writer
was quicker. Any other failure is one of this program's, too.
"""

import argparse
import os
import pathlib
import sys
from types import SimpleNamespace

import lake

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("TABLETOPIC_CACHE") or ROOT / ".cache").resolve()
# Spark is beside the packages of the readers.
sys.path += [str(ROOT / "tests/engines"), str(CACHE / "pyspark")]

# Of Iceberg's exceptions, those that say that somebody else has committed, or that files are not there any more.
OVERTAKEN = ("CommitFailedException", "ValidationException", "Cannot commit", "NotFoundException", "FileNotFound")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", required=True, metavar="URL", help="of the catalog server")
    parser.add_argument("--table", required=True, metavar="NAMESPACE.TABLE")
    parser.add_argument("--while", dest="while_file", required=True, metavar="FILE")
    options = parser.parse_args()
    from engine import spark

    session = spark.session(SimpleNamespace(uri=options.uri, catalog="tabletopic", cache=str(CACHE), store=None))
    told = {"rewrites": 0, "files": 0, "overtaken": 0}
    try:
        while os.path.exists(options.while_file):
            rewrite(session, options.table, told)
    finally:
        session.stop()
    lake.answer(told)


def rewrite(session, table, told):
    call = f"""CALL lake.system.rewrite_data_files(table => '{table}', options => map('rewrite-all', 'true'))"""
    try:
        [done] = session.sql(call).collect()
    except Exception as error:
        if not any(words in str(error) for words in OVERTAKEN):
            raise
        told["overtaken"] += 1
        return
    told["rewrites"] += 1
    told["files"] += done["rewritten_data_files_count"]


if __name__ == "__main__":
    lake.run(main)
