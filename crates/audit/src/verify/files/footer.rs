//! What a manifest entry says of a Parquet file, against the file's own footer. Nothing here is shared with the code that
//! writes entries.

use std::collections::BTreeMap;

use iceberg::spec::{
    DataFile, Datum, Literal, PartitionSpec, PrimitiveLiteral, PrimitiveType, Struct, TableMetadata,
    Transform, Type,
};
use iceberg::transform::create_transform_function;
use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

use crate::verify::verdict::Finding;

/// Bytes of a text from which on a writer may have cut it for its statistics.
const MAY_BE_CUT: usize = 16;

/// All that is not true of one file.
pub fn compare(
    file: &DataFile,
    spec: Option<&PartitionSpec>,
    metadata: &TableMetadata,
    footer: &ParquetMetaData,
) -> Vec<Finding> {
    let path = file.file_path();
    let mut wrong = Vec::new();
    let mut add =
        |kind, says: String| wrong.push(Finding::failed(kind, format!("{path}: {says}")).in_file(path));
    let rows = footer.file_metadata().num_rows();
    if u64::try_from(rows) != Ok(file.record_count()) {
        add(
            "record-count",
            format!("it has {rows} rows, and by its entry {}", file.record_count()),
        );
    }
    let columns = columns(footer);
    for (id, column) in &columns {
        if let Some(says) = column.nulls_differ(file, *id) {
            add("null-count", says);
        }
        if let Some(says) = column.outside(file, *id) {
            add("bounds", says);
        }
    }
    for says in spec
        .map(|spec| misplaced(file.partition(), spec, metadata, &columns, rows))
        .unwrap_or_default()
    {
        add("partition", says);
    }
    wrong
}

/// A leaf column that is in no list or map, with its chunks.
struct Column<'a> {
    descriptor: &'a ColumnDescriptor,
    chunks: Vec<&'a ColumnChunkMetaData>,
}

fn columns(footer: &ParquetMetaData) -> BTreeMap<i32, Column<'_>> {
    let schema = footer.file_metadata().schema_descr();
    let leaves = schema.columns().iter().enumerate();
    let leaves = leaves.filter_map(|(at, descriptor)| {
        let info = descriptor.self_type().get_basic_info();
        let simple = info.has_id() && descriptor.max_rep_level() == 0;
        simple.then(|| {
            let chunks = footer.row_groups().iter().map(|group| group.column(at)).collect();
            let descriptor = descriptor.as_ref();
            (info.id(), Column { descriptor, chunks })
        })
    });
    leaves.collect()
}

/// An end of a chunk's values, as its statistics have it.
struct End {
    value: Datum,
    /// Whether it is the value itself, and not something below or above it.
    exact: bool,
}

impl Column<'_> {
    fn name(&self) -> String {
        self.descriptor.path().string()
    }

    /// `None` where some chunk does not tell.
    fn nulls(&self) -> Option<u64> {
        let of = |chunk: &&ColumnChunkMetaData| chunk.statistics()?.null_count_opt();
        self.chunks.iter().map(of).sum()
    }

    fn nulls_differ(&self, file: &DataFile, id: i32) -> Option<String> {
        let (said, found) = (*file.null_value_counts().get(&id)?, self.nulls()?);
        (said != found).then(|| {
            format!(
                "column {} is null {found} times, and by the entry {said} times",
                self.name()
            )
        })
    }

    /// A value outside of the entry's bounds. Bounds may be wider than the values, never narrower.
    fn outside(&self, file: &DataFile, id: i32) -> Option<String> {
        let (lower, upper) = (file.lower_bounds().get(&id), file.upper_bounds().get(&id));
        let ty = lower.or(upper)?.data_type();
        let statistics = self.chunks.iter().filter_map(|chunk| chunk.statistics());
        for statistics in statistics {
            let (least, most) = self.ends(statistics, ty);
            if let (Some(least), Some(lower)) = (least, lower)
                && least.value < *lower
                && (least.exact || !begins(lower, &least.value))
            {
                return Some(format!(
                    "column {} has {} below the lower bound {lower}",
                    self.name(),
                    least.value
                ));
            }
            if let (Some(most), Some(upper)) = (most, upper)
                && most.value > *upper
                && most.exact
            {
                return Some(format!(
                    "column {} has {} above the upper bound {upper}",
                    self.name(),
                    most.value
                ));
            }
        }
        None
    }

    /// The least and the greatest value of a chunk, where its statistics can be believed.
    fn ends(&self, statistics: &Statistics, ty: &PrimitiveType) -> (Option<End>, Option<End>) {
        let bytes = matches!(
            statistics,
            Statistics::ByteArray(_) | Statistics::FixedLenByteArray(_)
        );
        // Old writers compared bytes as signed numbers; of UUIDs readers have no common order.
        let unordered = matches!(ty, PrimitiveType::Uuid | PrimitiveType::Fixed(_))
            || (bytes && statistics.is_min_max_deprecated())
            || !self.counts_as(ty);
        if unordered {
            return (None, None);
        }
        let end = |value: Option<&[u8]>, exact: bool| {
            let value = value?;
            let text = matches!(ty, PrimitiveType::String | PrimitiveType::Binary);
            Some(End {
                exact: !text || exact || value.len() < MAY_BE_CUT,
                value: datum(value, ty, bytes)?,
            })
        };
        (
            end(statistics.min_bytes_opt(), statistics.min_is_exact()),
            end(statistics.max_bytes_opt(), statistics.max_is_exact()),
        )
    }

    /// Whether its numbers are in the unit that the table's type has.
    fn counts_as(&self, ty: &PrimitiveType) -> bool {
        let Some(LogicalType::Timestamp { unit, .. }) = self.descriptor.logical_type_ref() else {
            return true;
        };
        match ty {
            PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs => *unit == TimeUnit::NANOS,
            _ => *unit == TimeUnit::MICROS,
        }
    }
}

/// A value as Parquet's statistics have it. `bytes`: of a column of bytes, whose decimals are big-endian.
fn datum(value: &[u8], ty: &PrimitiveType, bytes: bool) -> Option<Datum> {
    let datum = match ty {
        PrimitiveType::Decimal { .. } if !bytes => {
            let big_endian: Vec<u8> = value.iter().rev().copied().collect();
            Datum::try_from_bytes(&big_endian, ty.clone())
        }
        _ => Datum::try_from_bytes(value, ty.clone()),
    };
    let datum = datum.ok()?;
    let nan = match datum.literal() {
        PrimitiveLiteral::Float(value) => value.is_nan(),
        PrimitiveLiteral::Double(value) => value.is_nan(),
        _ => false,
    };
    (!nan).then_some(datum)
}

/// Whether a bound begins with what is left of a value that was cut.
fn begins(bound: &Datum, cut: &Datum) -> bool {
    match (bound.literal(), cut.literal()) {
        (PrimitiveLiteral::String(bound), PrimitiveLiteral::String(cut)) => bound.starts_with(cut.as_str()),
        (PrimitiveLiteral::Binary(bound), PrimitiveLiteral::Binary(cut)) => bound.starts_with(cut),
        _ => false,
    }
}

/// Partition fields whose value is not that of the rows, by the least and the greatest value of their source column.
fn misplaced(
    partition: &Struct,
    spec: &PartitionSpec,
    metadata: &TableMetadata,
    columns: &BTreeMap<i32, Column<'_>>,
    rows: i64,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (field, value) in spec.fields().iter().zip(partition.iter()) {
        let (Some(column), Some(ty)) = (columns.get(&field.source_id), type_of(metadata, field.source_id))
        else {
            continue;
        };
        if matches!(ty, PrimitiveType::Float | PrimitiveType::Double)
            || matches!(field.transform, Transform::Void | Transform::Unknown)
        {
            continue;
        }
        let nulls = column.nulls();
        match (value, nulls) {
            (Some(_), Some(1..)) => wrong.push(format!(
                "partition field {} has a value, and column {} is null in some rows",
                field.name,
                column.name()
            )),
            (None, Some(nulls)) if i64::try_from(nulls) != Ok(rows) => wrong.push(format!(
                "partition field {} is null, and column {} is not in all rows",
                field.name,
                column.name()
            )),
            _ => {}
        }
        if let Some(value) = value
            && let Some(other) = other_value(value, &field.transform, &ty, column)
        {
            wrong.push(format!(
                "partition field {}: a row belongs to {other}, not there",
                field.name
            ));
        }
    }
    wrong
}

/// The value of a partition field that a row has which is not in this partition value.
fn other_value(
    value: &Literal,
    transform: &Transform,
    ty: &PrimitiveType,
    column: &Column<'_>,
) -> Option<Datum> {
    let function = create_transform_function(transform).ok()?;
    let statistics = column.chunks.iter().filter_map(|chunk| chunk.statistics());
    for statistics in statistics {
        let (least, most) = column.ends(statistics, ty);
        for end in [least, most].into_iter().flatten().filter(|end| end.exact) {
            let Ok(Some(of_row)) = function.transform_literal(&end.value) else {
                continue;
            };
            if !same(of_row.literal(), value) {
                return Some(of_row);
            }
        }
    }
    None
}

/// A column may have been widened since the entry was written.
fn same(of_row: &PrimitiveLiteral, value: &Literal) -> bool {
    let Literal::Primitive(value) = value else {
        return true;
    };
    match (of_row, value) {
        (PrimitiveLiteral::Int(a), PrimitiveLiteral::Long(b))
        | (PrimitiveLiteral::Long(b), PrimitiveLiteral::Int(a)) => i64::from(*a) == *b,
        (a, b) => a == b,
    }
}

/// The type of a column, which may have been dropped since.
fn type_of(metadata: &TableMetadata, id: i32) -> Option<PrimitiveType> {
    let mut schemas = std::iter::once(metadata.current_schema()).chain(metadata.schemas_iter());
    let field = schemas.find_map(|schema| schema.field_by_id(id))?;
    match field.field_type.as_ref() {
        Type::Primitive(ty) => Some(ty.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
    use bytes::Bytes;
    use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat};
    use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
    use parquet::file::metadata::ParquetMetaDataReader;

    use super::*;

    fn footer(offsets: Vec<Option<i64>>, text: &str) -> ParquetMetaData {
        let field = |name: &str, ty, id: i32| {
            let id = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
            Field::new(name, ty, true).with_metadata(id)
        };
        let schema = ArrowSchema::new(vec![
            field("offset", DataType::Int64, 1),
            field("text", DataType::Utf8, 2),
        ]);
        let texts = vec![text; offsets.len()];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(offsets)),
            Arc::new(StringArray::from(texts)),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        ParquetMetaDataReader::new()
            .parse_and_finish(&Bytes::from(file))
            .unwrap()
    }

    fn found(footer: &ParquetMetaData, change: impl Fn(&mut DataFileBuilder)) -> Vec<String> {
        let mut entry = DataFileBuilder::default();
        entry
            .content(DataContentType::Data)
            .file_path("f".to_owned())
            .file_format(DataFileFormat::Parquet)
            .file_size_in_bytes(1)
            .record_count(3)
            .null_value_counts(HashMap::from([(1, 1), (2, 0)]))
            .lower_bounds(HashMap::from([(1, Datum::long(5)), (2, Datum::string("aa"))]))
            .upper_bounds(HashMap::from([(1, Datum::long(9)), (2, Datum::string("ab"))]));
        change(&mut entry);
        let columns = columns(footer);
        let entry = entry.build().unwrap();
        let wrong = columns
            .iter()
            .flat_map(|(id, column)| [column.nulls_differ(&entry, *id), column.outside(&entry, *id)]);
        wrong.flatten().collect()
    }

    #[test]
    fn bounds_may_be_wider_and_never_narrower() {
        let footer = footer(vec![Some(5), None, Some(9)], "aa");
        assert_eq!(found(&footer, |_| {}), Vec::<String>::new());
        let wider = |entry: &mut DataFileBuilder| {
            entry.lower_bounds(HashMap::from([(1, Datum::long(0)), (2, Datum::string("a"))]));
        };
        assert_eq!(found(&footer, wider), Vec::<String>::new());
        let narrower = |entry: &mut DataFileBuilder| {
            entry.upper_bounds(HashMap::from([(1, Datum::long(8)), (2, Datum::string("a"))]));
        };
        assert_eq!(
            found(&footer, narrower),
            [
                "column offset has 9 above the upper bound 8",
                "column text has \"aa\" above the upper bound \"a\""
            ]
        );
        let nulls = |entry: &mut DataFileBuilder| {
            entry.null_value_counts(HashMap::from([(1, 2)]));
        };
        assert_eq!(
            found(&footer, nulls),
            ["column offset is null 1 times, and by the entry 2 times"]
        );
    }

    #[test]
    fn statistics_are_read_as_the_type_that_the_table_has_today() {
        let of = |bytes: &[u8], ty| datum(bytes, &ty, false);
        assert_eq!(
            of(&7_i32.to_le_bytes(), PrimitiveType::Long),
            Some(Datum::long(7)),
            "it was widened"
        );
        assert_eq!(of(&7_i64.to_le_bytes(), PrimitiveType::Int), None);
        assert_eq!(
            of(&f64::NAN.to_le_bytes(), PrimitiveType::Double),
            None,
            "it bounds nothing"
        );
    }
}
