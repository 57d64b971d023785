#!/usr/bin/env python3
"""Are the manifests true? Compares what they say about every data file with the Parquet file itself.

  metrics.py --catalog FILE --table shop.orders [--all-snapshots]

For each file: size, record count, split offsets, and by column compressed size, value, null and NaN counts, and bounds
(exact, or truncated to 16 as Iceberg truncates: a lower bound is a prefix, an upper one a prefix with its last place
raised); the partition values of every row by the table's transforms; in the manifest list, the counts of
each manifest; in the snapshot's summary, the totals. Prints one JSON object; leaves with 0, or with 3 if something is
not true.
"""

import sys

import lake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFileContent, ManifestEntryStatus
from pyiceberg.types import (
    BinaryType, DoubleType, FixedType, FloatType, StringType, TimestampType, TimestamptzType, UUIDType,
)

TRUNCATED_TO = 16
SAMPLES = 20
ID = b"PARQUET:field_id"
BY_COLUMN = (
    "column_sizes", "value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds",
)


def leaves(array, field, repeated=False):
    """(field id, values without lists around them, whether they were in a list or map) of each leaf column."""
    if pa.types.is_struct(field.type):
        for child, values in zip(field.type, array.flatten()):
            # flatten() makes a child null where its struct is null, as a reader sees it.
            yield from leaves(values, child, repeated)
    elif pa.types.is_list(field.type) or pa.types.is_large_list(field.type):
        yield from leaves(array.flatten(), field.type.value_field, True)
    elif pa.types.is_map(field.type):
        yield from leaves(array.keys, field.type.key_field, True)
        yield from leaves(array.items, field.type.item_field, True)
    else:
        # A UUID is an extension, for which pyarrow computes little; PyIceberg takes its bytes.
        plain = array.storage if isinstance(array.type, pa.BaseExtensionType) else array
        yield int(field.metadata[ID]), plain, repeated


def columns_of(content):
    """By field id: the values in the file and whether they are repeated, from the data, not from the footer."""
    table = pq.read_table(pa.BufferReader(content), partitioning=None).combine_chunks()
    found = {}
    for field, column in zip(table.schema, table.columns):
        array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        for field_id, values, repeated in leaves(array, field):
            found[field_id] = (values, repeated)
    return table, found


def sizes_of(footer):
    """By field id: compressed bytes of the column chunks."""
    by_path = {}
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            chunk = footer.row_group(group).column(index)
            by_path[chunk.path_in_schema] = by_path.get(chunk.path_in_schema, 0) + chunk.total_compressed_size
    # The arrow schema lists leaves in the order in which Parquet does.
    ids = []

    def visit(field):
        children = list(field.type) if pa.types.is_struct(field.type) else (
            [field.type.key_field, field.type.item_field] if pa.types.is_map(field.type)
            else [field.type.value_field] if pa.types.is_nested(field.type) else [])
        for child in children:
            visit(child)
        if not children:
            ids.append(int(field.metadata[ID]))

    for field in footer.schema.to_arrow_schema():
        visit(field)
    return dict(zip(ids, by_path.values()))


def comparable(value, iceberg_type):
    """A value from the file in the form in which PyIceberg decodes bounds."""
    if isinstance(iceberg_type, (TimestampType, TimestamptzType)):
        return value.cast(pa.int64()).as_py()
    if pa.types.is_date32(value.type):
        return value.cast(pa.int32()).as_py()
    if pa.types.is_time64(value.type):
        return value.cast(pa.int64()).as_py()
    return value.as_py()


def extremes(values, iceberg_type):
    """The smallest and largest value, without nulls and NaN, or None."""
    values = values.drop_null()
    if isinstance(iceberg_type, (FloatType, DoubleType)):
        values = values.filter(pc.invert(pc.is_nan(values)))
    if len(values) == 0:
        return None
    if isinstance(iceberg_type, (StringType, BinaryType, UUIDType)):
        # By bytes: pyarrow has no min_max for some of these, and code point order is byte order.
        plain = values.to_pylist()
        return min(plain, key=as_bytes), max(plain, key=as_bytes)
    ends = pc.min_max(values)
    return comparable(ends["min"], iceberg_type), comparable(ends["max"], iceberg_type)


def as_bytes(value):
    return value.encode() if isinstance(value, str) else bytes(value)


def bounds_hold(lower, upper, found, iceberg_type):
    """None if the bounds are as Iceberg wants them for these extremes, else what is wrong."""
    smallest, largest = found
    if isinstance(iceberg_type, (StringType, BinaryType)):
        if lower not in (smallest, smallest[:TRUNCATED_TO]):
            return f"lower bound {lower!r}, smallest {smallest!r}"
        if upper is None or upper == largest:
            # Left out where no prefix can be raised, which is rare enough to be looked at.
            return None if upper == largest else f"no upper bound, largest {largest!r}"
        raised = as_bytes(upper) > as_bytes(largest) and len(upper) <= TRUNCATED_TO < len(largest)
        same = upper[: len(upper) - 1] == largest[: len(upper) - 1]
        return None if raised and same else f"upper bound {upper!r}, largest {largest!r}"
    # Where a zero is the end, -0.0 and 0.0 are the same end; they are equal here.
    same = (lower, upper) == (smallest, largest)
    return None if same else f"bounds {lower!r} to {upper!r}, values {smallest!r} to {largest!r}"


def schema_with(table, field_id):
    """The newest schema that has the column. It may have been dropped since the file was written."""
    older = sorted(table.schemas().values(), key=lambda schema: schema.schema_id, reverse=True)
    return next(schema for schema in [table.schema(), *older] if field_id in schema.field_ids)


def check_file(table, spec, data_file):
    """What is not true of one data file: a list of sentences."""
    content = table.io.new_input(data_file.file_path).open().read()
    wrong = []

    def claim(what, said, is_so):
        if said != is_so:
            wrong.append(f"{what}: the manifest says {said!r}, the file {is_so!r}")

    footer = pq.read_metadata(pa.BufferReader(content))
    rows, columns = columns_of(content)
    claim("file size", data_file.file_size_in_bytes, len(content))
    claim("record count", data_file.record_count, rows.num_rows)
    if data_file.split_offsets:
        starts = []
        for group in range(footer.num_row_groups):
            first = footer.row_group(group).column(0)
            starts.append(first.dictionary_page_offset if first.has_dictionary_page else first.data_page_offset)
        claim("split offsets", list(data_file.split_offsets), starts)

    sizes = sizes_of(footer)
    known = set(columns)
    for name in BY_COLUMN:
        for stranger in set(getattr(data_file, name) or {}) - known:
            wrong.append(f"{name}: field id {stranger} is no column of the file")
    for field_id, (values, repeated) in columns.items():
        schema = schema_with(table, field_id)
        name = schema.find_column_name(field_id)
        iceberg_type = schema.find_type(field_id)
        claim(f"{name}: column size", (data_file.column_sizes or {}).get(field_id), sizes[field_id])
        if repeated:
            # Whether an empty list is a value is answered differently by different writers; bounds are rare here.
            continue
        claim(f"{name}: value count", (data_file.value_counts or {}).get(field_id), len(values))
        # Ours have no count of null UUIDs (docs/decisions.md, 61).
        if not isinstance(iceberg_type, UUIDType):
            claim(f"{name}: null count", (data_file.null_value_counts or {}).get(field_id), values.null_count)
        if isinstance(iceberg_type, (FloatType, DoubleType)):
            nans = pc.sum(pc.is_nan(values.drop_null())).as_py() or 0
            if (said := (data_file.nan_value_counts or {}).get(field_id)) is not None:
                claim(f"{name}: NaN count", said, nans)
        low, high = ((bounds or {}).get(field_id) for bounds in (data_file.lower_bounds, data_file.upper_bounds))
        found = extremes(values, iceberg_type)
        if found is None:
            if low is not None or high is not None:
                wrong.append(f"{name}: bounds, though the file has no value")
        elif low is None and ("." in name or isinstance(iceberg_type, (UUIDType, FixedType))):
            # Bounds are a writer's choice: PyIceberg has none within structs, and we have none for these. What is said
            # must be true.
            continue
        elif low is None:
            wrong.append(f"{name}: no lower bound, though the file has values")
        else:
            decoded = [None if bound is None else from_bytes(iceberg_type, bound) for bound in (low, high)]
            if problem := bounds_hold(*decoded, found, iceberg_type):
                wrong.append(f"{name}: {problem}")

    for position, part in enumerate(spec.fields):
        values, _ = columns[part.source_id]
        iceberg_type = schema_with(table, part.source_id).find_type(part.source_id)
        # PyIceberg's own transform, value by value, in Python: not the Rust code that it has for whole columns.
        transform = part.transform.transform(iceberg_type)
        seen = {transform(comparable(value, iceberg_type)) for value in values.unique()}
        claim(f"partition value {part.name}", [data_file.partition[position]], sorted(seen, key=repr))
    return wrong


def check_manifest(manifest, entries):
    """What the manifest list says about a manifest, against its entries."""
    wrong = []
    for word, status in (("added", ManifestEntryStatus.ADDED), ("existing", ManifestEntryStatus.EXISTING),
                         ("deleted", ManifestEntryStatus.DELETED)):
        of_status = [entry for entry in entries if entry.status == status]
        for what, is_so in (("files", len(of_status)), ("rows", sum(e.data_file.record_count for e in of_status))):
            said = getattr(manifest, f"{word}_{what}_count")
            if said != is_so:
                wrong.append(f"{word} {what}: the manifest list says {said}, the manifest {is_so}")
    return wrong


def check_summary(snapshot, files):
    """The totals of the snapshot's summary against the files that it has."""
    said, wrong = snapshot.summary.additional_properties, []
    totals = {
        "total-data-files": len(files),
        "total-records": sum(f.record_count for f in files),
        "total-files-size": sum(f.file_size_in_bytes for f in files),
    }
    for name, is_so in totals.items():
        if name in said and int(said[name]) != is_so:
            wrong.append(f"summary: {name} is {said[name]}, by the manifests {is_so}")
    return wrong


def main():
    parser = lake.arguments(__doc__)
    parser.add_argument("--all-snapshots", action="store_true", help="by default only the current one")
    options = parser.parse_args()

    table = lake.open_table(options)
    current = [table.current_snapshot()] if table.current_snapshot() else []
    problems, checked = [], set()
    for snapshot in table.snapshots() if options.all_snapshots else current:
        files = []
        for manifest in snapshot.manifests(table.io):
            entries = manifest.fetch_manifest_entry(table.io, discard_deleted=False)
            problems += [(manifest.manifest_path, problem) for problem in check_manifest(manifest, entries)]
            live = [e.data_file for e in entries if e.status != ManifestEntryStatus.DELETED]
            live = [f for f in live if f.content == DataFileContent.DATA]
            files += live
            for data_file in live:
                if data_file.file_path in checked:
                    continue
                checked.add(data_file.file_path)
                spec = table.specs()[manifest.partition_spec_id]
                problems += [(data_file.file_path, p) for p in check_file(table, spec, data_file)]
        problems += [(f"snapshot {snapshot.snapshot_id}", problem) for problem in check_summary(snapshot, files)]
    lake.answer({
        "table": options.table, "files": len(checked), "problems": len(problems),
        "samples": [{"where": where, "problem": problem} for where, problem in problems[:SAMPLES]],
        "ok": not problems,
    })
    sys.exit(lake.DIFFERS if problems else 0)


if __name__ == "__main__":
    lake.run(main)
