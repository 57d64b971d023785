#!/usr/bin/env python3
"""Whether a table holds the rows that registry_produce.py noted.

  avro_rows.py --catalog FILE --table NAMESPACE.TABLE --rows FILE [--rows FILE ...] --causes OFFSET...

Reads the table through PyIceberg and through DuckDB: both must hold just these rows. --causes are the offsets that the
ledger must name as the reasons of schema changes, in this order. Prints the differences, and the dead letters by
reason; leaves with 3 if something differs.
"""

import collections
import pickle
import uuid

import lake
from pyiceberg.types import ListType, MapType, StructType


def comparable(value):
    """A value as Python has it, whichever reader it came from: maps as objects, UUIDs as text."""
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(each, tuple) for each in value):
            return {key: comparable(each) for key, each in value}
        return [comparable(each) for each in value]
    return value


def differences(expected, found, columns):
    for offset in sorted(set(expected) | set(found)):
        if offset not in expected or offset not in found:
            yield f"offset {offset}: {'missing' if offset in expected else 'there, and should not be'}"
            continue
        wanted, got = expected[offset], found[offset]
        for column in columns:
            if not same(comparable(wanted.get(column)), comparable(got[column])):
                yield f"offset {offset}, {column}: {wanted.get(column)!r} and not {got[column]!r}"
        if lost := set(wanted) - set(columns):
            yield f"offset {offset}: no columns {sorted(lost)}"


def same(wanted, got):
    if isinstance(wanted, dict) and isinstance(got, dict):
        return all(same(wanted.get(key), got.get(key)) for key in wanted | got)
    if isinstance(wanted, list) and isinstance(got, list):
        # An empty map is an empty list to both readers.
        return len(wanted) == len(got) and all(map(same, wanted, got))
    if wanted == {} and got == []:
        return True
    # DuckDB has a UUID as text, and PyIceberg as sixteen bytes.
    if isinstance(wanted, str) and isinstance(got, str):
        return wanted == got or wanted.replace("-", "") == got
    return type(wanted) is type(got) and wanted == got


def without_null_lists(table, rows):
    """What PyIceberg 0.12 reads: a list or map of structs that is null is an empty one (see oracle.py)."""
    inner = {ListType: lambda ty: ty.element_type, MapType: lambda ty: ty.value_type}
    of_structs = [
        field.name for field in table.schema().fields
        if type(field.field_type) in inner and isinstance(inner[type(field.field_type)](field.field_type), StructType)
    ]
    empty = dict.fromkeys(of_structs, [])
    return {offset: empty | {name: value for name, value in row.items() if value is not None} for offset, row in rows.items()}


def compare(options):
    expected = {}
    for path in options.rows:
        with open(path, "rb") as file:
            expected |= pickle.load(file)
    expected = {offset: row for offset, row in expected.items() if row is not None}
    catalog = lake.open_catalog(options)
    table = catalog.load_table(options.table)
    problems = []
    readers = {
        "PyIceberg": table.scan().to_arrow(),
        "DuckDB": lake.open_duckdb().execute(f"SELECT * FROM {lake.scan(table.metadata_location)}").to_arrow_table(),
    }
    for reader, rows in readers.items():
        columns = [name for name in rows.column_names if not name.startswith("_kafka_")]
        found = {row["_kafka_offset"]: row for row in rows.to_pylist()}
        if len(found) != rows.num_rows:
            problems.append(f"{reader}: {rows.num_rows - len(found)} offsets twice")
        wanted = without_null_lists(table, expected) if reader == "PyIceberg" else expected
        problems += [f"{reader}: {problem}" for problem in differences(wanted, found, columns)]
    ledger = catalog.load_table(options.table + "__ledger").scan(row_filter="kind = 'schema'").to_arrow().to_pylist()
    reasons = {row["sequence_number"]: row["reason"] for row in ledger}
    causes = [int(reasons[snapshot].rsplit(" offset ", 1)[1]) for snapshot in sorted(reasons)]
    if causes != options.causes:
        problems.append(f"schema changes were caused by {causes}, and not by {options.causes}")
    letters = catalog.load_table(options.table + "__dead_letters").scan().to_arrow()
    lake.answer({
        "rows": len(expected),
        "dead_letters": dict(sorted(collections.Counter(letters["reason"].to_pylist()).items())),
        "types": str(table.schema()),
        "problems": problems[:20],
    })
    return lake.DIFFERS if problems else 0


def main():
    parser = lake.arguments(__doc__)
    parser.add_argument("--rows", action="append", required=True, metavar="FILE")
    parser.add_argument("--causes", nargs="*", type=int, default=[], metavar="OFFSET")
    return compare(parser.parse_args())


if __name__ == "__main__":
    lake.run(main)
