//! Shapes against tables that are there: whose types hold, what is refused, and events in Protobuf.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use iceberg::spec::Schema;
use tabletopic_decode::{
    DecodeError, DecodeSettings, Decoded, Format, Key, OnBadRecord, WriterSchemas, create_schema, parse_ddl,
};
use tabletopic_records::{NoHeaders, Record};
use tabletopic_shape::{Expression, HashKey, Shape, Unwrap, decoder, infer, schema_change};
use tabletopic_table::schema::evolve;

fn table(columns: &str, settings: &DecodeSettings) -> Schema {
    let fields = parse_ddl(&format!("CREATE TABLE t ({columns})")).unwrap();
    create_schema(&fields, settings).unwrap()
}

fn records<'v>(values: &[&'v [u8]]) -> Vec<Record<'v>> {
    let record = |(value, offset): (&&'v [u8], i64)| Record {
        partition: 0,
        offset,
        timestamp: Some(0),
        key: None,
        value: Some(*value),
        headers: &NoHeaders,
    };
    values.iter().zip(0..).map(record).collect()
}

/// Decodes, growing the schema as a worker has the table grow.
fn decode(
    shape: &Shape,
    settings: &DecodeSettings,
    schema: &mut Schema,
    records: &[Record<'_>],
) -> Result<Decoded, DecodeError> {
    loop {
        let decoded = decoder(Some(shape), settings, schema)?.decode(records)?;
        if decoded.grown.is_empty() {
            return Ok(decoded);
        }
        let changes: Vec<_> = decoded
            .grown
            .iter()
            .map(|asked| schema_change(&asked.change))
            .collect();
        *schema = evolve(schema, schema.highest_field_id(), &changes).unwrap().0;
    }
}

fn column(batch: &RecordBatch, name: &str) -> Vec<String> {
    let array = batch.column_by_name(name).unwrap_or_else(|| panic!("no {name}"));
    let options = FormatOptions::default().with_null("-");
    let formatted = ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len())
        .map(|row| formatted.value(row).to_string())
        .collect()
}

fn problem(shape: &Shape, schema: &mut Schema, value: &str) -> String {
    let settings = DecodeSettings::new("orders", Format::Json);
    let failed = decode(shape, &settings, schema, &records(&[value.as_bytes()]));
    failed.map(|decoded| decoded.batch).unwrap_err().to_string()
}

#[test]
fn the_tables_own_types_hold_under_the_records_names() {
    let settings = DecodeSettings::new("orders", Format::Json);
    let shape = Shape {
        rename: [("at".to_owned(), "day".to_owned())].into(),
        flatten: ["a".to_owned()].into(),
        ..Shape::default()
    };
    let mut schema = table("day DATE, a_price DECIMAL(9, 2), a_in STRUCT<x INT>", &settings);
    let before = schema.clone();
    let value = br#"{"at": "2026-01-31", "a": {"price": 1.25, "in": {"x": 7}}}"#;
    let decoded = decode(&shape, &settings, &mut schema, &records(&[value])).unwrap();
    assert_eq!(schema, before);
    assert_eq!(column(&decoded.batch, "day"), ["2026-01-31"]);
    assert_eq!(column(&decoded.batch, "a_price"), ["1.25"]);
    assert_eq!(column(&decoded.batch, "a_in"), ["{x: 7}"]);
    assert_eq!(
        decoded.batch.schema(),
        tabletopic_table::schema::arrow_schema(&schema).unwrap()
    );
}

#[test]
fn columns_of_another_type_stop_the_job_with_what_to_do() {
    let settings = DecodeSettings::new("orders", Format::Json);
    let hash = Shape {
        hash: ["id".to_owned()].into(),
        hash_key: Some(HashKey::new("0123456789abcdef")),
        types: [("id".to_owned(), iceberg::spec::PrimitiveType::Long.into())].into(),
        ..Shape::default()
    };
    let said = problem(&hash, &mut table("id BIGINT", &settings), r#"{"id": 1}"#);
    assert!(
        said.contains("column `id` of the table is long, and what the configuration makes is string"),
        "{said}"
    );
    let compute = |sql: &str| Shape {
        compute: [("it".to_owned(), Expression::parse(sql).unwrap())].into(),
        ..Shape::default()
    };
    let said = problem(
        &compute("id * 0.5"),
        &mut table("id BIGINT, it BIGINT", &settings),
        r#"{"id": 1}"#,
    );
    assert!(said.contains("column `it` of the table is long"), "{said}");
    let said = problem(
        &compute("id AND true"),
        &mut table("id BIGINT", &settings),
        r#"{"id": 1}"#,
    );
    assert!(said.contains("columns.compute.it"), "{said}");
    let flatten = Shape {
        flatten: ["a".to_owned()].into(),
        ..Shape::default()
    };
    let said = problem(
        &flatten,
        &mut table("id BIGINT", &settings),
        r#"{"id": 1, "a": 7}"#,
    );
    assert!(said.contains("`a` is long, which has no members"), "{said}");
}

#[test]
fn a_computed_column_is_widened_and_one_that_is_required_must_have_a_value() {
    let settings = DecodeSettings {
        on_bad_record: OnBadRecord::NullField,
        ..DecodeSettings::new("orders", Format::Json)
    };
    let shape = Shape {
        compute: [
            ("wide".to_owned(), Expression::parse("id + 1").unwrap()),
            ("must".to_owned(), Expression::parse("10 / id").unwrap()),
            ("may".to_owned(), Expression::parse("10 / (id - 1)").unwrap()),
        ]
        .into(),
        ..Shape::default()
    };
    let mut schema = table("id BIGINT, wide INT, must BIGINT NOT NULL", &settings);
    let values: [&[u8]; 4] = [
        br#"{"id": 2}"#,
        br#"{"id": 0}"#,
        br#"{"id": null}"#,
        br#"{"id": 1}"#,
    ];
    let decoded = decode(&shape, &settings, &mut schema, &records(&values)).unwrap();
    assert_eq!(
        schema.field_by_name("wide").unwrap().field_type.to_string(),
        "long"
    );
    assert_eq!(column(&decoded.batch, "wide"), ["3", "2"]);
    assert_eq!(column(&decoded.batch, "may"), ["10", "-"]);
    let bad: Vec<_> = decoded
        .bad
        .iter()
        .map(|bad| (bad.index, bad.reason.as_str(), bad.field.as_deref(), bad.nulled))
        .collect();
    assert_eq!(
        bad,
        [
            (1, "expression_failed", Some("must"), false),
            (2, "missing_required", Some("must"), false),
            (3, "expression_failed", Some("may"), true),
        ]
    );
}

#[test]
fn members_of_a_flattened_key_have_the_types_that_are_said_whichever_key_comes_first() {
    let settings = DecodeSettings {
        key: Some(Key {
            column: "key".to_owned(),
            format: Format::Json,
            writers: WriterSchemas::default(),
        }),
        ..DecodeSettings::new("orders", Format::Json)
    };
    let text = |name: &str| (name.to_owned(), iceberg::spec::PrimitiveType::String.into());
    let shape = Shape {
        flatten: ["key".to_owned()].into(),
        hash: ["key_email".to_owned()].into(),
        hash_key: Some(HashKey::new("0123456789abcdef")),
        drop: ["key_region".to_owned()].into(),
        keep: Some(Expression::parse("key_region = 'eu'").unwrap()),
        types: [text("key_email"), text("key_region")].into(),
        ..Shape::default()
    };
    let keys: [&[u8]; 4] = [
        br#"{"email": 7, "region": "eu", "shard": 1}"#,
        br#"{"email": "ada@example.com", "region": "eu", "shard": 2}"#,
        br#"{"email": "bob@example.com", "region": "us", "shard": 3}"#,
        br#"{"email": "bob@example.com", "region": 1, "shard": 4}"#,
    ];
    let mut records = records(&[&b"{\"id\": 1}"[..]; 4]);
    for (record, key) in records.iter_mut().zip(keys) {
        record.key = Some(key);
    }
    let fields = infer(Some(&shape), &records, &settings).unwrap();
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["id", "key_shard", "key_email"]);
    let mut schema = create_schema(&fields, &settings).unwrap();
    let decoded = decode(&shape, &settings, &mut schema, &records).unwrap();
    // HMAC-SHA-256, as Python's `hmac` has it.
    let hash = "512383176ce1b4c279ee430548cf07ec0b58efa588517b611c1f0da6d2b9e577";
    assert_eq!(column(&decoded.batch, "key_email"), [hash]);
    assert_eq!(column(&decoded.batch, "key_shard"), ["2"]);
    assert_eq!(decoded.filtered, [2]);
    let bad: Vec<_> = decoded
        .bad
        .iter()
        .map(|bad| (bad.index, bad.reason.as_str(), bad.field.as_deref()))
        .collect();
    assert_eq!(
        bad,
        [
            (0, "wrong_type", Some("key.email")),
            (3, "wrong_type", Some("key.region")),
        ]
    );
}

const ENVELOPE: &str = r#"syntax = "proto3";
message Customer { int64 id = 1; optional string name = 2; }
message Source { string connector = 1; int64 ts_ms = 2; optional int64 lsn = 3; }
message Envelope {
  Customer before = 1;
  Customer after = 2;
  Source source = 3;
  string op = 4;
  optional int64 ts_ms = 5;
}"#;

fn number(field: u8, value: u8) -> Vec<u8> {
    assert!(value < 128);
    vec![field << 3, value]
}

fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    [&[field << 3 | 2, u8::try_from(value.len()).unwrap()], value].concat()
}

#[test]
fn change_events_may_be_protobuf() {
    let settings = DecodeSettings {
        writers: WriterSchemas::of_proto_file(ENVELOPE, Some("Envelope"), |_| None).unwrap(),
        ..DecodeSettings::new("customers", Format::Protobuf)
    };
    let shape = Shape {
        unwrap: Some(Unwrap::Debezium),
        ..Shape::default()
    };
    let ada = [number(1, 1), bytes(2, b"Ada")].concat();
    let source = [bytes(1, b"postgresql"), number(2, 9), number(3, 77)].concat();
    let created = [bytes(2, &ada), bytes(3, &source), bytes(4, b"c"), number(5, 10)].concat();
    let deleted = [bytes(1, &ada), bytes(3, &source), bytes(4, b"d"), number(5, 11)].concat();
    let empty = bytes(4, b"c");
    let records = records(&[&created, &deleted, &empty]);
    let fields = infer(Some(&shape), &records, &settings).unwrap();
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(
        names,
        ["id", "name", "_op", "_ts_ms", "_source_ts_ms", "_source_lsn"]
    );
    let mut schema = create_schema(&fields, &settings).unwrap();
    let decoded = decode(&shape, &settings, &mut schema, &records).unwrap();
    assert_eq!(column(&decoded.batch, "name"), ["Ada", "Ada"]);
    assert_eq!(column(&decoded.batch, "_op"), ["c", "d"]);
    assert_eq!(column(&decoded.batch, "_source_lsn"), ["77", "77"]);
    assert_eq!(
        column(&decoded.batch, "_ts_ms"),
        ["1970-01-01T00:00:00.010Z", "1970-01-01T00:00:00.011Z"]
    );
    let bad: Vec<_> = decoded
        .bad
        .iter()
        .map(|bad| (bad.index, bad.reason.as_str()))
        .collect();
    assert_eq!(bad, [(2, "not_debezium")]);
}
