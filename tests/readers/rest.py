#!/usr/bin/env python3
"""Engines and what they do with a REST catalog: each tells a story, and fails where the catalog lets it down.

  rest.py --uri URL [--token TOKEN] pyiceberg     namespaces, tables, evolution, conflicts, renames, purges
  rest.py --uri URL [--token TOKEN] duckdb        creates, inserts, deletes and reads by ATTACH
  rest.py --uri URL [--token TOKEN] delete --table shop.orders --where 'quantity < 3'
                                                  deletes rows by DuckDB
  rest.py --uri URL [--token TOKEN] append --table shop.orders --times 5
                                                  appends one row after the other, again after each conflict
"""

import argparse
import pathlib

import foreign
import lake
import pyarrow as pa
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import (
    CommitFailedException, NamespaceAlreadyExistsError, NamespaceNotEmptyError, NoSuchNamespaceError, NoSuchTableError,
    RESTError, TableAlreadyExistsError,
)
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform
from pyiceberg.types import LongType, NestedField, StringType, StructType

SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "name", StringType()),
    NestedField(3, "place", StructType(NestedField(4, "city", StringType()))),
)
BUCKETS = PartitionSpec(PartitionField(source_id=1, field_id=1000, transform=BucketTransform(4), name="id_bucket"))


def connect(options):
    properties = {"token": options.token} if options.token else {}
    return RestCatalog("lake", uri=options.uri, warehouse="tabletopic", **properties)


def fails_with(kind, act):
    try:
        act()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


def rows_of(schema, ids):
    rows = [{"id": each, "name": f"n{each}", "place": {"city": "Bonn"}} for each in ids]
    return pa.Table.from_pylist(rows, schema=schema_to_pyarrow(schema))


def ids(table):
    return sorted(table.scan(selected_fields=("id",)).to_arrow()["id"].to_pylist())


def files(table):
    return sorted(path for path in pathlib.Path(table.location().removeprefix("file://")).rglob("*") if path.is_file())


def of_namespaces(catalog):
    catalog.create_namespace("crm", {"owner": "Ann", "cost": "7"})
    catalog.create_namespace(("crm", "inner one"))
    fails_with(NamespaceAlreadyExistsError, lambda: catalog.create_namespace("crm"))
    assert ("crm",) in catalog.list_namespaces() and ("crm", "inner one") not in catalog.list_namespaces()
    assert catalog.list_namespaces("crm") == [("crm", "inner one")]
    summary = catalog.update_namespace_properties("crm", removals={"cost", "absent"}, updates={"owner": "Bob"})
    assert (summary.removed, summary.updated, summary.missing) == (["cost"], ["owner"], ["absent"]), summary
    assert catalog.load_namespace_properties("crm") == {"owner": "Bob"}
    fails_with(NamespaceNotEmptyError, lambda: catalog.drop_namespace("crm"))
    catalog.drop_namespace(("crm", "inner one"))
    fails_with(NoSuchNamespaceError, lambda: catalog.load_namespace_properties(("crm", "inner one")))


def of_tables(catalog):
    table = catalog.create_table("crm.people", SCHEMA, partition_spec=BUCKETS, properties={"owner": "Ann"})
    fails_with(TableAlreadyExistsError, lambda: catalog.create_table("crm.people", SCHEMA))
    table.append(rows_of(table.schema(), range(10)))
    with table.update_schema() as update:
        update.add_column("age", LongType())
    with table.update_spec() as update:
        update.add_identity("age")
    table.append(pa.Table.from_pylist(
        [{"id": 10, "name": "n10", "place": None, "age": 40}], schema=schema_to_pyarrow(table.schema())
    ))
    table.delete("id < 3")
    again = catalog.load_table("crm.people")
    assert ids(again) == list(range(3, 11)), ids(again)
    assert again.scan(row_filter="age = 40").to_arrow()["id"].to_pylist() == [10]
    assert len(again.history()) >= 3 and len(again.specs()) == 2
    with again.transaction() as change:
        change.set_properties({"owner": "Bob"})
    assert catalog.load_table("crm.people").properties["owner"] == "Bob"


def of_a_staged_table(catalog):
    with catalog.create_table_transaction("crm.staged", SCHEMA, partition_spec=BUCKETS) as creation:
        creation.append(rows_of(creation.table_metadata.schema(), range(5)))
        assert not catalog.table_exists("crm.staged")
    assert ids(catalog.load_table("crm.staged")) == list(range(5))


def of_two_writers(catalog):
    catalog.create_table("crm.both", SCHEMA)
    ours, theirs = (catalog.load_table("crm.both") for _ in range(2))
    ours.append(rows_of(ours.schema(), [1]))
    # A client that has not seen it is refused, looks, and tries again.
    theirs.append(rows_of(theirs.schema(), [2]))
    assert ids(catalog.load_table("crm.both")) == [1, 2]
    assert len(catalog.load_table("crm.both").snapshots()) == 2
    # One that does not try again hears what happened.
    refused = catalog.create_table("crm.refused", SCHEMA, properties={"commit.retry.num-retries": "0"})
    theirs = catalog.load_table("crm.refused")
    theirs.append(rows_of(theirs.schema(), [1]))
    fails_with(CommitFailedException, lambda: refused.append(rows_of(refused.schema(), [2])))
    assert ids(catalog.load_table("crm.refused")) == [1]
    catalog.drop_table("crm.refused")


def of_names(catalog):
    table = catalog.load_table("crm.both")
    catalog.rename_table("crm.both", "crm.renamed")
    fails_with(NoSuchTableError, lambda: catalog.load_table("crm.both"))
    assert catalog.load_table("crm.renamed").metadata.table_uuid == table.metadata.table_uuid
    assert catalog.list_tables("crm") == [("crm", "people"), ("crm", "renamed"), ("crm", "staged")]
    location = catalog.load_table("crm.renamed").metadata_location
    catalog.drop_table("crm.renamed")
    registered = catalog.register_table("crm.registered", location)
    assert ids(registered) == [1, 2]
    odd = catalog.create_table(("crm", "ta ble/ü+%"), SCHEMA)
    odd.append(rows_of(odd.schema(), [1]))
    assert ids(catalog.load_table(("crm", "ta ble/ü+%"))) == [1]
    catalog.drop_table(("crm", "ta ble/ü+%"))


def of_purges(catalog):
    table = catalog.load_table("crm.registered")
    assert files(table)
    catalog.purge_table("crm.registered")
    assert not catalog.table_exists("crm.registered")
    assert files(table) == [], files(table)
    kept = catalog.load_table("crm.staged")
    catalog.drop_table("crm.staged")
    assert files(kept), "a drop leaves the files"
    catalog.drop_table("crm.people")
    catalog.drop_namespace("crm")


def pyiceberg(options):
    catalog = connect(options)
    told = []
    for story in (of_namespaces, of_tables, of_a_staged_table, of_two_writers, of_names, of_purges):
        story(catalog)
        told.append(story.__name__)
    if options.token:
        wrong = {"token": options.token + "-wrong"}
        fails_with(RESTError, lambda: RestCatalog("lake", uri=options.uri, **wrong).list_namespaces())
    return {"told": told}


def attached(options):
    """DuckDB with the catalog as `lake`."""
    connection = lake.open_duckdb("httpfs")
    if options.token:
        connection.execute(f"CREATE SECRET lake (TYPE iceberg, TOKEN '{options.token}')")
        by = "SECRET lake"
    else:
        by = "AUTHORIZATION_TYPE 'none'"
    # A staged table has no folder yet, and on a local disk DuckDB makes none for its manifests.
    more = "STAGE_CREATE_TABLES false"
    connection.execute(f"ATTACH 'tabletopic' AS lake (TYPE iceberg, ENDPOINT '{options.uri}', {by}, {more})")
    return connection


def duckdb(options):
    connection = attached(options)
    connection.execute("CREATE SCHEMA lake.ducks")
    connection.execute("CREATE TABLE lake.ducks.pond AS SELECT range AS id, 'n' || range AS name FROM range(1000)")
    connection.execute("INSERT INTO lake.ducks.pond VALUES (1000, 'last')")
    connection.execute("DELETE FROM lake.ducks.pond WHERE id < 10")
    counted = connection.execute("SELECT count(*), sum(id)::BIGINT, max(name) FROM lake.ducks.pond").fetchall()
    # Several tables in one transaction, of which none or all change.
    connection.execute("CREATE TABLE lake.ducks.nest (id BIGINT)")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO lake.ducks.nest VALUES (1)")
    connection.execute("INSERT INTO lake.ducks.pond VALUES (2000, 'both')")
    connection.execute("COMMIT")
    catalog = connect(options)
    seen = ids(catalog.load_table("ducks.pond"))
    assert seen == list(range(10, 1001)) + [2000], seen
    assert ids(catalog.load_table("ducks.nest")) == [1]
    # And the other way round.
    table = catalog.create_table("ducks.theirs", SCHEMA, partition_spec=BUCKETS)
    table.append(rows_of(table.schema(), range(20)))
    [theirs] = connection.execute(
        "SELECT count(*), sum(id)::BIGINT, min(place.city) FROM lake.ducks.theirs WHERE id >= 5"
    ).fetchall()
    for name in ("pond", "nest", "theirs"):
        connection.execute(f"DROP TABLE lake.ducks.{name}")
    connection.execute("DROP SCHEMA lake.ducks")
    assert ("ducks",) not in catalog.list_namespaces()
    return {"counted": [list(row) for row in counted], "theirs": list(theirs)}


def delete(options):
    """By delete files, which leave data files as they are."""
    connection = attached(options)
    count = f"SELECT count(*) FROM lake.{options.table}"
    [(before,)] = connection.execute(count).fetchall()
    connection.execute(f"DELETE FROM lake.{options.table} WHERE {options.where}")
    [(after,)] = connection.execute(count).fetchall()
    return {"before": before, "after": after}


def append(options):
    table = connect(options).load_table(options.table)
    row = {f.name: foreign.VALUES.get(type(f.field_type), b"foreign") if f.required else None
           for f in table.schema().fields}
    conflicts = 0
    for _ in range(options.times):
        while True:
            table.refresh()
            try:
                table.append(pa.Table.from_pylist([row], schema=schema_to_pyarrow(table.schema())))
                break
            except CommitFailedException:
                conflicts += 1
    return {"appended": options.times, "conflicts": conflicts}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--token")
    commands = parser.add_subparsers(dest="command", required=True)
    for run in (pyiceberg, duckdb, delete, append):
        commands.add_parser(run.__name__).set_defaults(run=run)
    for one in ("append", "delete"):
        commands.choices[one].add_argument("--table", required=True)
    commands.choices["delete"].add_argument("--where", required=True)
    added = commands.choices["append"]
    added.add_argument("--times", type=int, default=1)
    options = parser.parse_args()
    lake.answer(options.run(options))


if __name__ == "__main__":
    lake.run(main)
