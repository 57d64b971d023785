use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Int32Array, Int64Array,
    LargeBinaryArray, RecordBatch, StringArray, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type};
use iceberg::spec::{
    Datum, FormatVersion, Literal, NestedField, PartitionSpec, PrimitiveType, Schema, SortOrder, Struct,
    StructType, TableMetadata, TableMetadataBuilder, Transform, Type,
};
use iceberg::transform::create_transform_function;
use proptest::prelude::*;

use super::{PartitionError, Splitter, changed_spec, parse_partition_by, partition_path};
use crate::schema::arrow_schema;

fn table(columns: Vec<(&str, Type)>) -> Arc<Schema> {
    let fields = columns
        .into_iter()
        .zip(1..)
        .map(|((name, ty), id)| NestedField::optional(id, name, ty).into());
    Arc::new(Schema::builder().with_fields(fields).build().unwrap())
}

fn events() -> Arc<Schema> {
    table(vec![
        ("created_at", PrimitiveType::Timestamptz.into()),
        ("id", PrimitiveType::Long.into()),
        ("country", PrimitiveType::String.into()),
    ])
}

fn spec(schema: &Arc<Schema>, partition_by: &[&str]) -> PartitionSpec {
    parse_partition_by(partition_by, schema)
        .unwrap()
        .bind(Arc::clone(schema))
        .unwrap()
}

fn batch(schema: &Schema, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(arrow_schema(schema).unwrap(), columns).unwrap()
}

fn timestamps(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("+00:00"))
}

/// The partition value of a table of one column with one value.
fn partition_of(ty: PrimitiveType, partition_by: &str, value: ArrayRef) -> Option<Literal> {
    let schema = table(vec![("x", ty.into())]);
    let splitter = Splitter::new(&spec(&schema, &[partition_by]), &schema).unwrap();
    let parts = splitter.split(&batch(&schema, vec![value])).unwrap();
    assert_eq!(parts.len(), 1);
    parts[0].0.fields()[0].clone()
}

#[test]
fn fields_are_named_as_spark_names_them() {
    let customer = StructType::new(vec![
        NestedField::optional(9, "id", PrimitiveType::Long.into()).into(),
    ]);
    let schema = table(vec![
        ("created_at", PrimitiveType::Timestamptz.into()),
        ("id", PrimitiveType::Long.into()),
        ("country", PrimitiveType::String.into()),
        ("customer", Type::Struct(customer)),
    ]);
    let texts = [
        "day(created_at)",
        "bucket(16, id)",
        "Truncate( 8 , country )",
        "country",
        "bucket(4, customer.id)",
    ];
    let spec = spec(&schema, &texts);
    let fields: Vec<_> = spec
        .fields()
        .iter()
        .map(|f| (f.name.as_str(), f.source_id, f.transform))
        .collect();
    assert_eq!(
        fields,
        [
            ("created_at_day", 1, Transform::Day),
            ("id_bucket", 2, Transform::Bucket(16)),
            ("country_trunc", 3, Transform::Truncate(8)),
            ("country", 3, Transform::Identity),
            ("customer_id_bucket", 9, Transform::Bucket(4)),
        ]
    );
}

#[test]
fn mistakes_are_named() {
    for (text, said) in [
        ("day(created)", "did you mean `created_at`?"),
        (
            "week(created_at)",
            "there is no transform `week`; write a column, or one of year(column)",
        ),
        ("bucket(id)", "`bucket` takes a number and a column"),
        ("bucket(0, id)", "`0` is not a number from 1 on"),
        ("day(created_at", "the closing parenthesis is missing"),
        ("day(country)", "`day(country)` cannot partition the table"),
        ("", "it is empty"),
    ] {
        let error = parse_partition_by(&[text], &events()).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
    let twice = parse_partition_by(&["day(created_at)", "hour(created_at)"], &events());
    assert!(matches!(twice, Err(PartitionError::NotPartitionable { .. })));
}

/// The hashes of the Iceberg spec, appendix B, as buckets of 1000.
#[test]
fn buckets_are_those_of_the_spec() {
    const MICROS: i64 = 1_510_871_468_000_000; // 2017-11-16T22:31:08
    let uuid: [u8; 16] = 0xf79c_3e09_677c_4bbd_a479_3f34_9cb7_85e7_u128.to_be_bytes();
    let fixed = |bytes: &[u8]| -> ArrayRef {
        Arc::new(FixedSizeBinaryArray::try_from_iter(std::iter::once(bytes.to_vec())).unwrap())
    };
    let decimal = Decimal128Array::from(vec![1420])
        .with_precision_and_scale(9, 2)
        .unwrap();
    let cases: Vec<(PrimitiveType, ArrayRef, i32)> = vec![
        (
            PrimitiveType::Int,
            Arc::new(Int32Array::from(vec![34])),
            2_017_239_379,
        ),
        (
            PrimitiveType::Long,
            Arc::new(Int64Array::from(vec![34])),
            2_017_239_379,
        ),
        (
            PrimitiveType::Decimal {
                precision: 9,
                scale: 2,
            },
            Arc::new(decimal),
            -500_754_589,
        ),
        (
            PrimitiveType::Date,
            Arc::new(Date32Array::from(vec![17_486])),
            -653_330_422,
        ),
        (
            PrimitiveType::Time,
            Arc::new(Time64MicrosecondArray::from(vec![81_068_000_000])),
            -662_762_989,
        ),
        (
            PrimitiveType::Timestamp,
            Arc::new(TimestampMicrosecondArray::from(vec![MICROS])),
            -2_047_944_441,
        ),
        (
            PrimitiveType::Timestamptz,
            timestamps(vec![Some(MICROS + 1)]),
            -1_207_196_810,
        ),
        (
            PrimitiveType::TimestampNs,
            Arc::new(TimestampNanosecondArray::from(vec![MICROS * 1000 + 1001])),
            -1_207_196_810,
        ),
        (
            PrimitiveType::String,
            Arc::new(StringArray::from(vec!["iceberg"])),
            1_210_000_089,
        ),
        (PrimitiveType::Uuid, fixed(&uuid), 1_488_055_340),
        (PrimitiveType::Fixed(4), fixed(&[0, 1, 2, 3]), -188_683_207),
        (
            PrimitiveType::Binary,
            Arc::new(LargeBinaryArray::from_vec(vec![&[0, 1, 2, 3]])),
            -188_683_207,
        ),
    ];
    for (ty, value, hash) in cases {
        let expected = Some(Literal::int((hash & i32::MAX) % 1000));
        assert_eq!(
            partition_of(ty.clone(), "bucket(1000, x)", value),
            expected,
            "{ty}"
        );
    }
}

#[test]
fn times_before_1970_round_down() {
    let at =
        |micros, text: &str| partition_of(PrimitiveType::Timestamptz, text, timestamps(vec![Some(micros)]));
    assert_eq!(at(-1, "day(x)"), Some(Literal::date(-1)));
    for text in ["hour(x)", "month(x)", "year(x)"] {
        assert_eq!(at(-1, text), Some(Literal::int(-1)), "{text}");
    }
    assert_eq!(at(-86_400_000_000, "day(x)"), Some(Literal::date(-1)));
    for micros in [-86_400_000_001, -86_400_500_000, -86_401_000_000, -86_401_000_001] {
        assert_eq!(at(micros, "day(x)"), Some(Literal::date(-2)), "{micros}");
    }
    assert_eq!(at(0, "month(x)"), Some(Literal::int(0)));

    let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-1]));
    assert_eq!(
        partition_of(PrimitiveType::TimestampNs, "hour(x)", nanos.clone()),
        Some(Literal::int(-1))
    );
    let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![-1]));
    assert_eq!(
        partition_of(PrimitiveType::TimestampNs, "bucket(1000, x)", nanos),
        partition_of(PrimitiveType::Timestamp, "bucket(1000, x)", micros)
    );
}

#[test]
fn a_batch_of_one_partition_passes_through_uncopied() {
    let schema = events();
    let splitter = Splitter::new(&spec(&schema, &["day(created_at)", "country"]), &schema).unwrap();
    let day = 86_400_000_000;
    let input = batch(
        &schema,
        vec![
            timestamps(vec![Some(20 * day), Some(21 * day - 1), Some(20 * day + 5)]),
            Arc::new(Int64Array::from(vec![1, 2, 3])),
            Arc::new(StringArray::from(vec!["no", "no", "no"])),
        ],
    );
    let parts = splitter.split(&input).unwrap();
    assert_eq!(parts.len(), 1);
    assert_eq!(
        parts[0].0,
        Struct::from_iter([Some(Literal::date(20)), Some(Literal::string("no"))])
    );
    assert!(Arc::ptr_eq(parts[0].1.column(1), input.column(1)));
    assert!(splitter.split(&input.slice(0, 0)).unwrap().is_empty());
}

#[test]
fn nulls_and_null_parents_go_to_the_null_partition() {
    let inner = StructType::new(vec![
        NestedField::optional(9, "at", PrimitiveType::Timestamptz.into()).into(),
    ]);
    let schema = table(vec![("meta", Type::Struct(inner))]);
    let splitter = Splitter::new(&spec(&schema, &["day(meta.at)"]), &schema).unwrap();
    let DataType::Struct(fields) = arrow_schema(&schema).unwrap().field(0).data_type().clone() else {
        panic!()
    };
    // The third has a time below a null parent, and must not be filed under it.
    let parents = NullBuffer::from(vec![true, true, false]);
    let meta = StructArray::new(
        fields,
        vec![timestamps(vec![Some(0), None, Some(0)])],
        Some(parents),
    );
    let parts = splitter.split(&batch(&schema, vec![Arc::new(meta)])).unwrap();
    let summary: Vec<_> = parts
        .iter()
        .map(|(value, rows)| (value.fields()[0].clone(), rows.num_rows()))
        .collect();
    assert_eq!(summary, [(Some(Literal::date(0)), 1), (None, 2)]);
}

#[test]
fn times_beyond_every_calendar_are_refused() {
    let schema = events();
    for text in ["hour(created_at)", "month(created_at)"] {
        let splitter = Splitter::new(&spec(&schema, &[text]), &schema).unwrap();
        let input = batch(
            &schema,
            vec![
                timestamps(vec![Some(0), Some(i64::MAX)]),
                Arc::new(Int64Array::from(vec![1, 2])),
                Arc::new(StringArray::from(vec!["", ""])),
            ],
        );
        let error = splitter.split(&input).unwrap_err();
        assert!(
            matches!(&error, PartitionError::OutOfRange { column, .. } if column == "created_at"),
            "{error}"
        );
    }
}

#[test]
fn rows_that_no_partition_can_hold_are_told_by_row() {
    let schema = events();
    let splitter = Splitter::new(&spec(&schema, &["day(created_at)", "truncate(10, id)"]), &schema).unwrap();
    let input = |times: Vec<Option<i64>>, ids: Vec<i64>| {
        let texts = StringArray::from(vec![""; ids.len()]);
        batch(
            &schema,
            vec![
                timestamps(times),
                Arc::new(Int64Array::from(ids)),
                Arc::new(texts),
            ],
        )
    };
    let sound = input(vec![Some(0), None], vec![i64::MIN + 10, i64::MAX]);
    assert!(splitter.refused(&sound).unwrap().is_empty());
    assert!(splitter.split(&sound).is_ok());

    let mixed = input(
        vec![Some(0), Some(i64::MAX), None, Some(i64::MIN), Some(1)],
        vec![1, 2, i64::MIN, i64::MIN + 9, 5],
    );
    let refused = splitter.refused(&mixed).unwrap();
    let columns = refused.iter().map(|(row, error)| match error {
        PartitionError::OutOfRange { column, .. } => (*row, column.as_str()),
        other => panic!("{other}"),
    });
    assert_eq!(
        columns.collect::<Vec<_>>(),
        [(1, "created_at"), (2, "id"), (3, "created_at")]
    );
}

#[test]
fn paths_read_as_iceberg_writes_them() {
    let schema = events();
    let path = |text: &str, value: Option<Literal>| {
        partition_path(&spec(&schema, &[text]), &schema, &Struct::from_iter([value])).unwrap()
    };
    assert_eq!(
        path("day(created_at)", Some(Literal::date(20_454))),
        "created_at_day=2026-01-01"
    );
    assert_eq!(
        path("hour(created_at)", Some(Literal::int(-1))),
        "created_at_hour=1969-12-31-23"
    );
    assert_eq!(
        path("month(created_at)", Some(Literal::int(-1))),
        "created_at_month=1969-12"
    );
    assert_eq!(
        path("year(created_at)", Some(Literal::int(56))),
        "created_at_year=2026"
    );
    assert_eq!(path("bucket(16, id)", Some(Literal::int(7))), "id_bucket=7");
    assert_eq!(path("id", Some(Literal::long(-5))), "id=-5");
    assert_eq!(
        path("country", Some(Literal::string("a/b c=é"))),
        "country=a%2Fb+c%3D%C3%A9"
    );
    assert_eq!(path("country", None), "country=null");
    assert_eq!(
        path("created_at", Some(Literal::timestamptz(1_510_871_468_000_001))),
        "created_at=2017-11-16T22%3A31%3A08.000001%2B00%3A00"
    );
    let long = path("country", Some(Literal::string("é".repeat(300))));
    assert!(
        long.len() <= 200 && (long.len() - "country=".len()).is_multiple_of(3),
        "{long}"
    );
    assert_eq!(
        partition_path(&PartitionSpec::unpartition_spec(), &schema, &Struct::empty()).unwrap(),
        ""
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The parts hold every row once, and each where iceberg's transform of its own values says; a day is counted here, because
    /// the crate rounds the last second of each day before 1970 up.
    #[test]
    fn every_row_lands_in_its_partition(
        rows in prop::collection::vec(
            (prop::option::weighted(0.9, -200_000_000_000_i64..200_000_000_000), prop::option::of("[a-d]{0,3}")),
            1..200,
        ),
        time in prop::sample::select(vec!["hour", "day", "month", "year"]),
    ) {
        let schema = events();
        let texts = [format!("{time}(created_at)"), "bucket(3, id)".to_owned(), "truncate(1, country)".to_owned()];
        let spec = spec(&schema, &[&texts[0], &texts[1], &texts[2]]);
        let splitter = Splitter::new(&spec, &schema).unwrap();
        let input = batch(&schema, vec![
            timestamps(rows.iter().map(|row| row.0).collect()),
            Arc::new(Int64Array::from_iter_values(0..rows.len() as i64)),
            Arc::new(StringArray::from_iter(rows.iter().map(|row| row.1.as_deref()))),
        ]);
        let parts = splitter.split(&input).unwrap();

        let distinct: std::collections::HashSet<_> = parts.iter().map(|(value, _)| value.clone()).collect();
        prop_assert_eq!(distinct.len(), parts.len());
        for (value, part) in &parts {
            let ids = part.column(1).as_primitive::<Int64Type>();
            prop_assert!(ids.values().is_sorted(), "rows keep their order");
            for id in ids.values() {
                let (at, country) = &rows[*id as usize];
                let datums =
                    [at.map(Datum::timestamptz_micros), Some(Datum::long(*id)), country.as_deref().map(Datum::string)];
                let day = |at: i64| Literal::int(i32::try_from(at.div_euclid(86_400_000_000)).unwrap());
                let expected: Struct = spec.fields().iter().zip(datums).map(|(field, datum)| {
                    if field.transform == Transform::Day {
                        return at.map(day);
                    }
                    let function = create_transform_function(&field.transform).unwrap();
                    datum.and_then(|datum| function.transform_literal(&datum).unwrap()).map(Literal::from)
                }).collect();
                prop_assert_eq!(value, &expected);
            }
        }
        let union = concat_batches(&input.schema(), parts.iter().map(|(_, part)| part)).unwrap();
        let ids = arrow::compute::sort_to_indices(union.column(1), None, None).unwrap();
        prop_assert_eq!(arrow::compute::take_record_batch(&union, &ids).unwrap(), input);
    }
}

fn metadata(schema: &Schema, partition_by: &[&str]) -> TableMetadata {
    let spec = parse_partition_by(partition_by, schema).unwrap();
    let (order, version) = (SortOrder::unsorted_order(), FormatVersion::V2);
    let builder = TableMetadataBuilder::new(
        schema.clone(),
        spec,
        order,
        "memory:///t".to_owned(),
        version,
        Default::default(),
    );
    builder.unwrap().build().unwrap().metadata
}

/// The table after its `partition_by` was changed, and the names and ids of its partition fields.
fn repartitioned(metadata: &TableMetadata, partition_by: &[&str]) -> (TableMetadata, Vec<(String, i32)>) {
    let spec = changed_spec(partition_by, metadata).unwrap().expect("a change");
    let builder = metadata.clone().into_builder(None);
    let metadata = builder
        .add_default_partition_spec(spec)
        .unwrap()
        .build()
        .unwrap()
        .metadata;
    let fields = metadata.default_partition_spec().fields().iter();
    let fields = fields.map(|field| (field.name.clone(), field.field_id)).collect();
    (metadata, fields)
}

#[test]
fn a_changed_spec_keeps_what_it_has_in_common_with_any_before() {
    let first = metadata(&events(), &["day(created_at)", "bucket(8, id)"]);
    assert!(
        changed_spec(&["day(created_at)", "bucket(8, id)"], &first)
            .unwrap()
            .is_none()
    );

    let (second, fields) = repartitioned(&first, &["bucket(16, id)", "day(created_at)"]);
    assert_eq!(
        fields,
        [
            ("id_bucket_16".to_owned(), 1002),
            ("created_at_day".to_owned(), 1000)
        ]
    );
    let (third, fields) = repartitioned(&second, &[]);
    assert_eq!(fields, []);
    let (fourth, fields) = repartitioned(&third, &["day(created_at)", "bucket(8, id)"]);
    assert_eq!(
        fields,
        [
            ("created_at_day".to_owned(), 1000),
            ("id_bucket".to_owned(), 1001)
        ]
    );
    assert_eq!(
        fourth.default_partition_spec_id(),
        first.default_partition_spec_id()
    );
    assert_eq!(fourth.partition_specs_iter().count(), 3);
}

#[test]
fn a_changed_spec_finds_columns_by_the_names_that_they_had() {
    let before = metadata(&events(), &["day(created_at)"]);
    let renamed = table(vec![
        ("made_at", PrimitiveType::Timestamptz.into()),
        ("id", PrimitiveType::Long.into()),
    ]);
    let builder = before.clone().into_builder(None);
    let after = builder
        .add_current_schema((*renamed).clone())
        .unwrap()
        .build()
        .unwrap()
        .metadata;
    for same in ["day(created_at)", "day(made_at)"] {
        assert!(changed_spec(&[same], &after).unwrap().is_none(), "{same}");
    }
    let (_, fields) = repartitioned(&after, &["hour(created_at)"]);
    assert_eq!(fields, [("created_at_hour".to_owned(), 1001)]);
    // A column that is gone is no longer known by any name.
    for gone in ["country", "day(nowhere)"] {
        assert!(
            matches!(
                changed_spec(&[gone], &after),
                Err(PartitionError::NoSuchColumn { .. })
            ),
            "{gone}"
        );
    }
}
