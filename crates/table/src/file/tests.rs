use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int32Array, Int64Array, LargeBinaryArray, ListArray, RecordBatch, StringArray, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use bytes::Bytes;
use iceberg::arrow::arrow_primitive_to_literal;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, ListType, Literal, NestedField,
    PartitionSpec, PrimitiveLiteral, PrimitiveType, Schema, Struct, StructType, Type,
};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Encoding, LogicalType};
use parquet::file::metadata::ParquetMetaData;
use proptest::prelude::*;
use tabletopic_clock::SeededEntropy;

use super::metrics::Metrics;
use super::{EncodedFile, Encodings, FileError, FileNames, FileSchema, FileSettings, FileWriter, OpenFiles};
use crate::partition::parse_partition_by;

const PATH: &str = "memory:///t/data/x.parquet";

fn decimal(precision: u32, scale: u32) -> PrimitiveType {
    PrimitiveType::Decimal { precision, scale }
}

/// Columns with ids from 1; nested ids are the caller's.
fn table(columns: Vec<(&str, Type)>) -> Schema {
    let fields = columns
        .into_iter()
        .zip(1..)
        .map(|((name, ty), id)| NestedField::optional(id, name, ty).into());
    Schema::builder().with_fields(fields).build().unwrap()
}

fn unpartitioned(schema: Schema) -> Arc<FileSchema> {
    FileSchema::new(Arc::new(schema), Arc::new(PartitionSpec::unpartition_spec())).unwrap()
}

/// A column of each primitive type, and floats in a struct and in a list.
fn every_type() -> Schema {
    let inner = StructType::new(vec![
        NestedField::optional(101, "f", PrimitiveType::Double.into()).into(),
    ]);
    let list = ListType::new(NestedField::list_element(102, PrimitiveType::Float.into(), false).into());
    table(vec![
        ("boolean", PrimitiveType::Boolean.into()),
        ("int", PrimitiveType::Int.into()),
        ("long", PrimitiveType::Long.into()),
        ("float", PrimitiveType::Float.into()),
        ("double", PrimitiveType::Double.into()),
        ("decimal9", decimal(9, 2).into()),
        ("decimal18", decimal(18, 4).into()),
        ("decimal38", decimal(38, 10).into()),
        ("date", PrimitiveType::Date.into()),
        ("time", PrimitiveType::Time.into()),
        ("timestamp", PrimitiveType::Timestamp.into()),
        ("timestamptz", PrimitiveType::Timestamptz.into()),
        ("string", PrimitiveType::String.into()),
        ("uuid", PrimitiveType::Uuid.into()),
        ("fixed", PrimitiveType::Fixed(20).into()),
        ("binary", PrimitiveType::Binary.into()),
        ("struct", Type::Struct(inner)),
        ("list", Type::List(list)),
    ])
}

/// What one row is made of; columns with too small a type take the low bits.
#[derive(Debug, Clone)]
struct Row {
    number: Option<i64>,
    float: Option<f64>,
    text: Option<String>,
    bytes: Option<Vec<u8>>,
    wide: Option<i128>,
    parent: bool,
    list: Option<Vec<Option<f32>>>,
}

fn row() -> impl Strategy<Value = Row> {
    let number = prop_oneof![-1000_i64..1000, any::<i64>()];
    let float = prop_oneof![4 => any::<f64>(), 1 => Just(f64::NAN), 1 => Just(-0.0)];
    // Few and odd characters, so that long prefixes are shared and upper bounds are hard to raise.
    let character = prop_oneof![
        Just('a'),
        Just('é'),
        Just('\u{D7FF}'),
        Just('\u{10FFFF}'),
        any::<char>()
    ];
    let text = prop::collection::vec(character, 0..80).prop_map(String::from_iter);
    let byte = prop_oneof![Just(0xFF_u8), any::<u8>()];
    let limit = 10_i128.pow(38);
    (
        prop::option::of(number),
        prop::option::of(float),
        prop::option::of(text),
        prop::option::of(prop::collection::vec(byte, 0..80)),
        prop::option::of(-limit + 1..limit),
        any::<bool>(),
        prop::option::of(prop::collection::vec(
            prop::option::of(prop_oneof![any::<f32>(), Just(f32::NAN)]),
            0..3,
        )),
    )
        .prop_map(|(number, float, text, bytes, wide, parent, list)| Row {
            number,
            float,
            text,
            bytes,
            wide,
            parent,
            list,
        })
}

fn batch(schema: &FileSchema, rows: &[Row]) -> RecordBatch {
    let numbers = || rows.iter().map(|row| row.number);
    let small = |modulus: i64| numbers().map(move |number| number.map(|number| number % modulus));
    let floats = Float64Array::from_iter(rows.iter().map(|row| row.float));
    let fixed = |length: i32| -> ArrayRef {
        let value = move |row: &Row| {
            row.bytes.as_ref().map(|bytes| {
                bytes
                    .iter()
                    .copied()
                    .chain(std::iter::repeat(7))
                    .take(length as usize)
                    .collect::<Vec<u8>>()
            })
        };
        Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(rows.iter().map(value), length).unwrap(),
        )
    };
    let decimals = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        Arc::new(
            Decimal128Array::from(values)
                .with_precision_and_scale(precision, scale)
                .unwrap(),
        )
    };
    let arrow = schema.arrow();
    let DataType::Struct(inner) = arrow.field(16).data_type().clone() else {
        panic!()
    };
    let parents = NullBuffer::from_iter(rows.iter().map(|row| row.parent));
    let DataType::List(element) = arrow.field(17).data_type().clone() else {
        panic!()
    };
    let lengths = rows.iter().map(|row| row.list.as_ref().map_or(0, Vec::len));
    let elements = rows.iter().flat_map(|row| row.list.iter().flatten().copied());
    let list = ListArray::new(
        element,
        OffsetBuffer::from_lengths(lengths),
        Arc::new(Float32Array::from_iter(elements)),
        Some(NullBuffer::from_iter(rows.iter().map(|row| row.list.is_some()))),
    );
    let columns: Vec<ArrayRef> = vec![
        Arc::new(BooleanArray::from_iter(
            numbers().map(|number| number.map(|number| number % 2 == 0)),
        )),
        Arc::new(Int32Array::from_iter(small(1 << 31).map(|n| n.map(|n| n as i32)))),
        Arc::new(Int64Array::from_iter(numbers())),
        Arc::new(Float32Array::from_iter(
            rows.iter().map(|row| row.float.map(|float| float as f32)),
        )),
        Arc::new(floats.clone()),
        decimals(small(1_000_000_000).map(|n| n.map(i128::from)).collect(), 9, 2),
        decimals(
            small(1_000_000_000_000_000_000)
                .map(|n| n.map(i128::from))
                .collect(),
            18,
            4,
        ),
        decimals(rows.iter().map(|row| row.wide).collect(), 38, 10),
        Arc::new(Date32Array::from_iter(
            small(1 << 31).map(|n| n.map(|n| n as i32)),
        )),
        Arc::new(Time64MicrosecondArray::from_iter(
            small(86_400_000_000).map(|n| n.map(i64::abs)),
        )),
        Arc::new(TimestampMicrosecondArray::from_iter(numbers())),
        Arc::new(TimestampMicrosecondArray::from_iter(numbers()).with_timezone("+00:00")),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.text.as_deref()))),
        fixed(16),
        fixed(20),
        Arc::new(LargeBinaryArray::from_iter(
            rows.iter().map(|row| row.bytes.as_deref()),
        )),
        Arc::new(StructArray::new(inner, vec![Arc::new(floats)], Some(parents))),
        Arc::new(list),
    ];
    RecordBatch::try_new(Arc::clone(arrow), columns).unwrap()
}

fn encode(settings: &FileSettings, schema: &Arc<FileSchema>, batches: &[RecordBatch]) -> EncodedFile {
    let encodings = Encodings::choose(schema, &batches[0]);
    let partition = Struct::empty();
    let mut writer = FileWriter::new(
        settings,
        Arc::clone(schema),
        &encodings,
        partition,
        PATH.to_owned(),
    )
    .unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap()
}

fn reader(file: &EncodedFile, schema: &FileSchema) -> ParquetRecordBatchReaderBuilder<Bytes> {
    let options = ArrowReaderOptions::new().with_schema(Arc::clone(schema.arrow()));
    ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from(file.payload.clone()), options).unwrap()
}

fn read(file: &EncodedFile, schema: &FileSchema) -> RecordBatch {
    let batches: Vec<_> = reader(file, schema)
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    concat_batches(schema.arrow(), &batches).unwrap()
}

/// The values of a leaf column, null where something above it is.
fn leaf(array: &ArrayRef, ty: &Type, parent: Option<&NullBuffer>) -> Vec<Option<PrimitiveLiteral>> {
    let literals = arrow_primitive_to_literal(array, ty).unwrap();
    let primitive = |literal: Literal| literal.as_primitive_literal().unwrap();
    literals
        .into_iter()
        .enumerate()
        .map(|(row, literal)| {
            literal
                .filter(|_| parent.is_none_or(|nulls| nulls.is_valid(row)))
                .map(primitive)
        })
        .collect()
}

/// Checks counts and bounds of the column `id` against its values.
fn check_column(file: &DataFile, id: i32, ty: &PrimitiveType, values: &[Option<PrimitiveLiteral>]) {
    let nulls = values.iter().filter(|value| value.is_none()).count() as u64;
    assert_eq!(file.value_counts()[&id], values.len() as u64, "values of {id}");
    // They come from Parquet's statistics, of which UUIDs have none.
    let counted = (*ty != PrimitiveType::Uuid).then_some(nulls);
    assert_eq!(
        file.null_value_counts().get(&id).copied(),
        counted,
        "nulls of {id}"
    );
    let is_float = matches!(ty, PrimitiveType::Float | PrimitiveType::Double);
    let nans = values.iter().flatten().filter(|value| value.is_nan()).count() as u64;
    assert_eq!(
        file.nan_value_counts().get(&id).copied(),
        is_float.then_some(nans),
        "NaNs of {id}"
    );

    let ordered: Vec<_> = values.iter().flatten().filter(|value| !value.is_nan()).collect();
    let lowest = ordered.iter().min_by(|a, b| a.partial_cmp(b).unwrap());
    let highest = ordered.iter().max_by(|a, b| a.partial_cmp(b).unwrap());
    let lower = file.lower_bounds().get(&id);
    let upper = file.upper_bounds().get(&id);
    for bound in [lower, upper].into_iter().flatten() {
        assert_eq!(bound.data_type(), ty);
        assert_eq!(
            &Datum::try_from_bytes(&bound.to_bytes().unwrap(), ty.clone()).unwrap(),
            bound,
            "round trip"
        );
    }
    let (lower, upper) = (lower.map(Datum::literal), upper.map(Datum::literal));
    match ty {
        PrimitiveType::String | PrimitiveType::Binary => {
            let length = |bound: &PrimitiveLiteral| match bound {
                PrimitiveLiteral::String(text) => text.chars().count(),
                PrimitiveLiteral::Binary(bytes) => bytes.len(),
                _ => usize::MAX,
            };
            assert_eq!(lower.is_some(), lowest.is_some());
            assert!(lower.iter().chain(&upper).all(|bound| length(bound) <= 16));
            assert!(
                lower.is_none_or(|bound| bound <= lowest.unwrap()),
                "{lower:?} is above {lowest:?}"
            );
            assert!(
                upper.is_none_or(|bound| bound >= highest.unwrap()),
                "{upper:?} is below {highest:?}"
            );
        }
        PrimitiveType::Uuid | PrimitiveType::Fixed(_) => {
            assert_eq!((lower, upper), (None, None), "bounds of {id}")
        }
        _ => assert_eq!(
            (lower, upper),
            (lowest.copied(), highest.copied()),
            "bounds of {id}"
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_file_holds_its_rows_and_the_truth_about_them(
        batches in prop::collection::vec(prop::collection::vec(row(), 1..40), 1..4),
        row_group_size in prop::sample::select(vec![1_usize, 4 << 10, 64 << 20]),
    ) {
        let schema = unpartitioned(every_type());
        let batches: Vec<_> = batches.iter().map(|rows| batch(&schema, rows)).collect();
        let settings = FileSettings { row_group_size, ..FileSettings::default() };
        let encoded = encode(&settings, &schema, &batches);
        let input = concat_batches(schema.arrow(), &batches).unwrap();
        prop_assert_eq!(&read(&encoded, &schema), &input);

        let file = &encoded.data_file;
        prop_assert_eq!(file.record_count(), input.num_rows() as u64);
        prop_assert_eq!(file.file_size_in_bytes(), encoded.payload.content_length() as u64);
        for (field, column) in schema.schema().as_struct().fields().iter().zip(input.columns()) {
            if let Type::Primitive(ty) = field.field_type.as_ref() {
                check_column(file, field.id, ty, &leaf(column, &field.field_type, None));
            }
        }
        let nested = input.column(16).as_struct();
        let floats = leaf(nested.column(0), &PrimitiveType::Double.into(), nested.nulls());
        check_column(file, 101, &PrimitiveType::Double, &floats);

        // A list counts one value for each element, and one for each list without any.
        let list = input.column(17).as_list::<i32>();
        let empty = list.iter().filter(|list| list.as_ref().is_none_or(|list| list.is_empty())).count();
        let null_elements = list.values().null_count();
        prop_assert_eq!(file.value_counts()[&102], (list.values().len() + empty) as u64);
        prop_assert_eq!(file.null_value_counts()[&102], (null_elements + empty) as u64);
        prop_assert!(!file.lower_bounds().contains_key(&102) && !file.upper_bounds().contains_key(&102));

        // Everything between the magic bytes and the indexes belongs to some column.
        let metadata = reader(&encoded, &schema).metadata().clone();
        prop_assert_eq!(file.column_sizes().len(), 18);
        prop_assert_eq!(4 + file.column_sizes().values().sum::<u64>(), end_of_data(&metadata));
        let splits = file.split_offsets().unwrap();
        prop_assert_eq!(splits.len(), metadata.num_row_groups());
        prop_assert!(splits[0] == 4 && splits.is_sorted());
        prop_assert!(row_group_size > 1 || splits.len() >= batches.len(), "small row groups were asked for");
    }
}

fn end_of_data(metadata: &ParquetMetaData) -> u64 {
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns());
    chunks
        .map(|chunk| chunk.byte_range())
        .map(|(start, length)| start + length)
        .max()
        .unwrap()
}

#[test]
fn the_parquet_schema_has_field_ids_and_iceberg_types() {
    let schema = unpartitioned(every_type());
    let columns = schema.parquet().columns();
    let ids: Vec<i32> = columns
        .iter()
        .map(|column| column.self_type().get_basic_info().id())
        .collect();
    assert_eq!(ids, (1..=16).chain([101, 102]).collect::<Vec<_>>());
    assert_eq!(columns[13].logical_type_ref(), Some(&LogicalType::Uuid));
    assert_eq!(columns[17].path().string(), "list.list.element");
}

/// Statistics of one row group are taken away: what is left says nothing about the whole file.
#[test]
fn a_bound_that_a_row_group_lacks_is_no_bound() {
    let schema = unpartitioned(table(vec![("name", PrimitiveType::String.into())]));
    let batches = ["a", "e"].map(|name| {
        let column = Arc::new(StringArray::from(vec![name]));
        RecordBatch::try_new(Arc::clone(schema.arrow()), vec![column]).unwrap()
    });
    let settings = FileSettings {
        row_group_size: 1,
        ..FileSettings::default()
    };
    let file = encode(&settings, &schema, &batches);
    assert_eq!(file.data_file.upper_bounds()[&1], Datum::string("e"));

    let whole = reader(&file, &schema).metadata().clone();
    let mut groups = whole.row_groups().to_vec();
    let bare = groups[1]
        .column(0)
        .clone()
        .into_builder()
        .clear_statistics()
        .build()
        .unwrap();
    groups[1] = groups[1]
        .clone()
        .into_builder()
        .set_column_metadata(vec![bare])
        .build()
        .unwrap();
    let partial = ParquetMetaData::new(whole.file_metadata().clone(), groups);
    let metrics = Metrics::new(&partial, schema.schema(), HashMap::new());
    let mut described = DataFileBuilder::default();
    metrics.describe(&mut described);
    let described = described
        .content(DataContentType::Data)
        .file_path(PATH.to_owned())
        .file_format(DataFileFormat::Parquet)
        .record_count(2)
        .file_size_in_bytes(1)
        .build()
        .unwrap();
    assert_eq!(described.value_counts()[&1], 2);
    assert!(described.lower_bounds().is_empty() && described.upper_bounds().is_empty());
    assert!(
        described.null_value_counts().is_empty(),
        "nor is a partial count a count"
    );
}

fn encodings_of(file: &EncodedFile, schema: &FileSchema, column: usize) -> Vec<Encoding> {
    reader(file, schema)
        .metadata()
        .row_group(0)
        .column(column)
        .encodings()
        .collect()
}

#[test]
fn encodings_follow_the_data() {
    let schema = unpartitioned(table(vec![
        ("offset", PrimitiveType::Long.into()),
        ("status", PrimitiveType::Int.into()),
        ("channel", PrimitiveType::String.into()),
        ("extra", PrimitiveType::String.into()),
        ("at", PrimitiveType::Timestamptz.into()),
    ]));
    let rows = 0..3000_i64;
    // Squares modulo a prime: reproducible, and all over the place.
    let noise = |row: i64| row * row % 7919;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.clone())),
        Arc::new(Int32Array::from_iter_values(
            rows.clone()
                .map(|row| [200, 404, 500, 1_000_000][noise(row) as usize % 4]),
        )),
        Arc::new(StringArray::from_iter_values(
            rows.clone().map(|row| format!("channel-{}", noise(row) % 50)),
        )),
        Arc::new(StringArray::from_iter_values(
            rows.clone().map(|row| format!("text {row} {}", noise(row))),
        )),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(rows.map(|row| row * 40_000 + noise(row)))
                .with_timezone("+00:00"),
        ),
    ];
    let input = RecordBatch::try_new(Arc::clone(schema.arrow()), columns).unwrap();
    let file = encode(&FileSettings::default(), &schema, std::slice::from_ref(&input));
    let has = |column, encoding| encodings_of(&file, &schema, column).contains(&encoding);
    assert!(
        has(0, Encoding::DELTA_BINARY_PACKED) && !has(0, Encoding::RLE_DICTIONARY),
        "a growing number"
    );
    assert!(
        has(1, Encoding::RLE_DICTIONARY) && !has(1, Encoding::DELTA_BINARY_PACKED),
        "a few far numbers"
    );
    assert!(has(2, Encoding::RLE_DICTIONARY), "text that repeats");
    assert!(
        has(3, Encoding::PLAIN) && !has(3, Encoding::RLE_DICTIONARY),
        "text that does not"
    );
    assert!(has(4, Encoding::DELTA_BINARY_PACKED), "times");
    assert_eq!(read(&file, &schema), input);
}

#[test]
fn a_batch_of_another_schema_is_refused() {
    let schema = unpartitioned(
        Schema::builder()
            .with_fields([NestedField::required(1, "id", PrimitiveType::Long.into()).into()])
            .build()
            .unwrap(),
    );
    let other = |column: ArrayRef| RecordBatch::try_from_iter_with_nullable([("id", column, true)]).unwrap();
    let good = other(Arc::new(Int64Array::from(vec![1])));
    let encodings = Encodings::choose(&schema, &good);
    let settings = FileSettings::default();
    let mut writer = FileWriter::new(
        &settings,
        Arc::clone(&schema),
        &encodings,
        Struct::empty(),
        PATH.to_owned(),
    )
    .unwrap();
    for (column, said) in [
        (
            Arc::new(Int32Array::from(vec![1])) as ArrayRef,
            "column `id` is Int32 instead of Int64",
        ),
        (
            Arc::new(Int64Array::from(vec![None, Some(1)])),
            "column `id` is required and holds 1 nulls",
        ),
    ] {
        let error = writer.write(&other(column)).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(PATH), "{error}");
    }
    writer.write(&good).unwrap();
    assert_eq!(writer.finish().unwrap().data_file.record_count(), 1);

    let settings = FileSettings {
        zstd_level: 40,
        ..settings
    };
    let refused = FileWriter::new(&settings, schema, &encodings, Struct::empty(), PATH.to_owned());
    assert!(matches!(refused, Err(FileError::ZstdLevel { level: 40 })));
}

/// Files of a table of one column, partitioned by its values.
struct Open {
    files: OpenFiles,
    entropy: SeededEntropy,
}

impl Open {
    fn new(settings: FileSettings) -> Self {
        let schema = Arc::new(table(vec![("id", PrimitiveType::Long.into())]));
        let spec = parse_partition_by(&["id"], &schema)
            .unwrap()
            .bind(Arc::clone(&schema))
            .unwrap();
        let schema = FileSchema::new(schema, Arc::new(spec)).unwrap();
        let files = OpenFiles::new(settings, schema, FileNames::new("s3://lake/t/"));
        Self {
            files,
            entropy: SeededEntropy::new(7),
        }
    }

    /// One batch with `rows` rows of each partition. Returns (partition, rows) of the files closed.
    fn write(&mut self, parts: &[(i64, usize)]) -> Vec<(i64, u64)> {
        let arrow = Arc::clone(self.files.schema().arrow());
        let parts: Vec<_> = parts
            .iter()
            .map(|(id, rows)| {
                let column = Arc::new(Int64Array::from(vec![*id; *rows]));
                (
                    partition(*id),
                    RecordBatch::try_new(Arc::clone(&arrow), vec![column]).unwrap(),
                )
            })
            .collect();
        self.files
            .write(&parts, &self.entropy)
            .unwrap()
            .iter()
            .map(summary)
            .collect()
    }
}

fn partition(id: i64) -> Struct {
    Struct::from_iter([Some(Literal::long(id))])
}

fn summary(file: &EncodedFile) -> (i64, u64) {
    let Some(Literal::Primitive(PrimitiveLiteral::Long(id))) = file.data_file.partition().fields()[0] else {
        panic!("no partition value")
    };
    assert!(file.path.starts_with(&format!("s3://lake/t/data/id={id}/")) && file.path.ends_with(".parquet"));
    assert_eq!(file.path, file.data_file.file_path());
    (id, file.data_file.record_count())
}

#[test]
fn late_rows_do_not_close_the_hot_file() {
    let mut open = Open::new(FileSettings {
        max_open_files: 4,
        ..FileSettings::default()
    });
    let mut closed = Vec::new();
    for batch in 0..20 {
        // By recency the hot file would be the one to go: it is the last that the batch before touched
        // when its rows come last, and the first of this one when they come first.
        let mut parts: Vec<_> = (0..6).map(|late| (100 + batch * 6 + late, 1)).collect();
        parts.insert(if batch % 2 == 0 { 0 } else { 6 }, (1, 1000));
        closed.extend(open.write(&parts));
    }
    assert!(closed.iter().all(|(id, _)| *id != 1), "{closed:?}");
    let rest: Vec<_> = open
        .files
        .close_all(&open.entropy)
        .unwrap()
        .iter()
        .map(summary)
        .collect();
    assert!(rest.contains(&(1, 20_000)), "{rest:?}");
    assert_eq!(closed.len() + rest.len(), 121);
}

#[test]
fn a_partition_that_cooled_off_goes_first() {
    let mut open = Open::new(FileSettings {
        max_open_files: 2,
        ..FileSettings::default()
    });
    assert_eq!(open.write(&[(1, 100_000)]), []);
    for _ in 0..20 {
        assert_eq!(open.write(&[(2, 5_000)]), []);
    }
    assert_eq!(
        open.write(&[(3, 5_000)]),
        [(1, 100_000)],
        "much was written, long ago"
    );
    assert_eq!(open.files.len(), 2);
}

#[test]
fn few_rows_of_many_partitions_wait_for_each_other() {
    let mut open = Open::new(FileSettings {
        max_open_files: 2,
        ..FileSettings::default()
    });
    let all: Vec<(i64, usize)> = (0..100).map(|id| (id, 300)).collect();
    for _ in 0..10 {
        assert_eq!(open.write(&all), []);
    }
    assert_eq!(open.files.len(), 0);
    assert!(!open.files.is_empty());
    let waited = open.files.close_largest(&open.entropy).unwrap();
    let waited: Vec<_> = waited.iter().map(summary).collect();
    assert_eq!(waited, (0..100).map(|id| (id, 3000)).collect::<Vec<_>>());
    assert_eq!(open.files.memory_size(), 0);

    // One gets a file when more of it comes, where what has waited goes as well.
    assert_eq!(open.write(&[(5, 4000), (6, 4000)]), []);
    assert_eq!(open.write(&[(5, 100_000)]), []);
    assert_eq!(open.files.len(), 1);
    let rest = open.files.close_all(&open.entropy).unwrap();
    let mut rest: Vec<_> = rest.iter().map(summary).collect();
    rest.sort_unstable();
    assert_eq!(rest, [(5, 104_000), (6, 4000)]);
    assert!(open.files.is_empty());
    assert_eq!(open.files.memory_size(), 0);
}

#[test]
fn files_roll_at_their_target_size() {
    let mut open = Open::new(FileSettings {
        target_file_size: 200,
        ..FileSettings::default()
    });
    let mut written = 0;
    let mut closed = Vec::new();
    while closed.is_empty() {
        written += 100;
        closed = open.write(&[(1, 100)]);
        assert!(written < 100_000, "no file was closed");
    }
    assert_eq!(closed, [(1, written)]);
    assert!(open.files.is_empty());
}

#[test]
fn memory_is_counted_and_freed() {
    let mut open = Open::new(FileSettings::default());
    assert_eq!(open.files.memory_size(), 0);
    open.write(&[(1, 10), (2, 500_000), (3, 10)]);
    let before = open.files.memory_size();
    let largest = open.files.close_largest(&open.entropy).unwrap();
    let [largest] = largest.as_slice() else {
        panic!("{} files", largest.len())
    };
    assert_eq!(summary(largest), (2, 500_000));
    assert!(open.files.memory_size() < before);
    let rest: Vec<_> = open
        .files
        .close_all(&open.entropy)
        .unwrap()
        .iter()
        .map(summary)
        .collect();
    assert_eq!(rest, [(1, 10), (3, 10)]);
    assert_eq!(open.files.memory_size(), 0);
    assert!(open.files.close_largest(&open.entropy).unwrap().is_empty());
}

#[test]
fn one_seed_makes_the_same_files() {
    let files = || {
        let mut open = Open::new(FileSettings::default());
        open.write(&[(1, 10), (2, 20)]);
        open.files.close_all(&open.entropy).unwrap()
    };
    for (a, b) in files().into_iter().zip(files()) {
        assert_eq!(a.data_file, b.data_file);
        assert_eq!(Bytes::from(a.payload), Bytes::from(b.payload));
    }
}
