//! Keys that are decoded, beside their values.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use iceberg::spec::{Schema, Type};
use tabletopic_decode::{
    Awaited, Change, DecodeError, DecodeSettings, Decoded, Format, Key, OnBadRecord, Part, Reason,
    WriterSchemas, create_schema, decoder, infer, parse_ddl,
};
use tabletopic_records::{NoHeaders, Record, SchemaId};

/// Key and value.
type Pair<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

fn records<'a>(pairs: &[Pair<'a>]) -> Vec<Record<'a>> {
    let record = |(offset, (key, value)): (i64, &Pair<'a>)| Record {
        partition: 0,
        offset,
        timestamp: Some(1_769_851_616_123),
        key: *key,
        value: *value,
        headers: &NoHeaders,
    };
    (0..).zip(pairs).map(record).collect()
}

/// Values in JSON, keys in `format`.
fn settings(format: Format, writers: WriterSchemas) -> DecodeSettings {
    DecodeSettings {
        key: Some(Key {
            column: "key".to_owned(),
            format,
            writers,
        }),
        ..DecodeSettings::new("orders", Format::Json)
    }
}

fn json() -> DecodeSettings {
    settings(Format::Json, WriterSchemas::default())
}

fn table(columns: &str) -> Schema {
    let columns = parse_ddl(&format!("CREATE TABLE t ({columns})")).unwrap();
    create_schema(&columns, &json()).unwrap()
}

fn new_table(settings: &DecodeSettings, records: &[Record<'_>]) -> Schema {
    create_schema(&infer(records, settings).unwrap(), settings).unwrap()
}

fn decode(settings: &DecodeSettings, table: &Schema, pairs: &[Pair<'_>]) -> Decoded {
    decoder(settings, table).unwrap().decode(&records(pairs)).unwrap()
}

/// The rows of these columns, as text.
fn rows(batch: &RecordBatch, columns: &[&str]) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let column =
        |name: &&str| ArrayFormatter::try_new(batch.column_by_name(name).unwrap(), &options).unwrap();
    let columns: Vec<ArrayFormatter<'_>> = columns.iter().map(column).collect();
    let row = |row: usize| {
        let cells = columns.iter().map(|column| column.value(row).to_string());
        cells.collect::<Vec<_>>().join(" ")
    };
    (0..batch.num_rows()).map(row).collect()
}

#[test]
fn a_new_table_has_the_key_in_a_column_of_its_own() {
    let pairs: [Pair<'_>; 3] = [
        (Some(br#"{"id": 1}"#), Some(br#"{"id": "a"}"#)),
        (None, Some(br#"{"id": "b"}"#)),
        (Some(br#"{"id": 3, "region": "eu"}"#), None),
    ];
    let table = new_table(&json(), &records(&pairs));
    let names: Vec<&str> = table
        .as_struct()
        .fields()
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "id",
            "key",
            "_kafka_partition",
            "_kafka_offset",
            "_kafka_timestamp"
        ]
    );
    let decoded = decode(&json(), &table, &pairs);
    assert_eq!(
        rows(&decoded.batch, &["_kafka_offset", "id", "key"]),
        ["0 a {id: 1, region: -}", "1 b -", "2 - {id: 3, region: eu}"]
    );
    assert!(decoded.bad.is_empty());
}

#[test]
fn a_record_is_one_bad_record_whichever_part_is_to_blame() {
    let table = table("id BIGINT, \"key\" STRUCT<id BIGINT>");
    let pairs: [Pair<'_>; 5] = [
        (Some(br#"{"id": 1}"#), Some(br#"{"id": 10}"#)),
        (Some(br#"{"id": "x"}"#), Some(br#"{"id": 11}"#)),
        (Some(br#"{"id": 2}"#), Some(br#"{"id": "x"}"#)),
        (Some(b"{"), Some(b"[")),
        (Some(br#"{"id": 4}"#), Some(br#"{"id": 14}"#)),
    ];
    let decoded = decode(&json(), &table, &pairs);
    assert_eq!(
        rows(&decoded.batch, &["_kafka_offset", "id", "key"]),
        ["0 10 {id: 1}", "4 14 {id: 4}"]
    );
    let bad: Vec<_> = decoded
        .bad
        .iter()
        .map(|bad| {
            (
                bad.index,
                bad.reason,
                bad.field.as_deref(),
                bad.detail.starts_with("the key: "),
            )
        })
        .collect();
    assert_eq!(
        bad,
        [
            (1, Reason::WrongType, Some("key.id"), true),
            (2, Reason::WrongType, Some("id"), false),
            (3, Reason::NotJson, None, false),
        ]
    );

    let lenient = DecodeSettings {
        on_bad_record: OnBadRecord::NullField,
        ..json()
    };
    let decoded = decode(&lenient, &table, &pairs);
    assert_eq!(
        rows(&decoded.batch, &["_kafka_offset", "id", "key"]),
        ["0 10 {id: 1}", "1 11 {id: -}", "2 - {id: 2}", "4 14 {id: 4}"]
    );
    let bad: Vec<_> = decoded.bad.iter().map(|bad| (bad.index, bad.nulled)).collect();
    assert_eq!(bad, [(1, true), (2, true), (3, false)]);
}

#[test]
fn the_keys_column_grows_by_keys_and_by_nothing_else() {
    let asked = |table: &Schema, pairs: &[Pair<'_>]| -> Vec<String> {
        let grown = decode(&json(), table, pairs).grown;
        let shown = |change: &Change| match change {
            Change::AddColumn { parent, name, ty } => {
                let members = match ty {
                    Type::Struct(members) => members.fields(),
                    _ => &[],
                };
                let members: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
                format!("{}+{name} {}", parent.join("."), members.join(" "))
            }
            other => format!("{other:?}"),
        };
        let grown = grown.iter();
        grown
            .map(|proposal| format!("{} {}", proposal.caused_by, shown(&proposal.change)))
            .collect()
    };
    let pairs: [Pair<'_>; 3] = [
        (None, Some(br#"{"id": 1}"#)),
        (Some(br#"{"id": 1}"#), Some(br#"{"id": 1}"#)),
        (Some(br#"{"region": "eu"}"#), Some(br#"{"id": 1}"#)),
    ];
    assert_eq!(asked(&table("id BIGINT"), &pairs), ["1 +key id region"]);
    assert_eq!(
        asked(&table("id BIGINT, \"key\" STRUCT<id BIGINT>"), &pairs),
        ["2 key+region "]
    );

    let of_value: [Pair<'_>; 1] = [(None, Some(br#"{"id": 1, "KEY": {"x": 1}}"#))];
    for columns in ["id BIGINT", "id BIGINT, \"key\" STRUCT<id BIGINT>"] {
        let decoded = decode(&json(), &table(columns), &of_value);
        assert_eq!(
            (
                decoded.grown.len(),
                decoded.batch.num_rows(),
                decoded.unknown_fields
            ),
            (0, 1, 1)
        );
    }
}

#[test]
fn names_that_clash_and_columns_that_do_not_fit_are_refused() {
    let pairs: [Pair<'_>; 1] = [(Some(br#"{"id": 1}"#), Some(br#"{"Key": 1}"#))];
    let problem = |error: DecodeError| error.to_string();
    let clash = infer(&records(&pairs), &json()).map_err(problem).unwrap_err();
    assert!(
        clash.contains("column key") && clash.contains("`key.column`"),
        "{clash}"
    );
    for (columns, words) in [
        ("\"key\" BIGINT", "has to be a struct"),
        ("\"key\" STRUCT<id BIGINT> NOT NULL", "has to be optional"),
    ] {
        let refusal = decoder(&json(), &table(columns))
            .map(drop)
            .map_err(problem)
            .unwrap_err();
        assert!(
            refusal.contains("column key") && refusal.contains(words),
            "{refusal}"
        );
    }
}

#[test]
fn keys_have_schemas_of_their_own() {
    let writers = WriterSchemas::of_registry();
    writers.learn_avro(SchemaId::Number(1), r#""string""#, &[]);
    writers.learn_avro(
        SchemaId::Number(2),
        r#"{"type": "record", "name": "Id", "fields": [{"name": "id", "type": "long"}]}"#,
        &[],
    );
    let settings = settings(Format::Avro, writers.clone());
    let pairs: [Pair<'_>; 4] = [
        (Some(b"\x00\x00\x00\x00\x01\x04eu"), Some(b"{}")),
        (Some(b"\x00\x00\x00\x00\x02\x0e"), Some(b"{}")),
        (Some(b"\x00\x00\x00\x00\x03\x0e"), Some(b"{}")),
        (None, Some(b"{}")),
    ];
    assert_eq!(settings.missing(&records(&pairs)), [SchemaId::Number(3)]);
    let table = new_table(&settings, &records(&pairs));
    let waiting = decode(&settings, &table, &pairs);
    let id = SchemaId::Number(3);
    assert_eq!(waiting.awaits, [Awaited { index: 2, id }]);
    writers.learn_absent(id);
    let decoded = decode(&settings, &table, &pairs);
    // The columns of the newest schema first, as for values.
    assert_eq!(decoded.grown.len(), 1);
    let table = self::table("\"key\" STRUCT<id BIGINT, value VARCHAR>");
    let decoded = decode(&settings, &table, &pairs);
    assert_eq!(
        rows(&decoded.batch, &["_kafka_offset", "key"]),
        ["0 {id: -, value: eu}", "1 {id: 7, value: -}", "3 -"]
    );
    assert_eq!(decoded.bad[0].reason, Reason::UnknownSchema);
    let key = decoded.batch.column_by_name("key").unwrap().as_struct();
    assert_eq!(key.column(0).as_primitive::<Int64Type>().null_count(), 2);
}

#[test]
fn values_are_records_and_keys_need_not_be() {
    assert!(WriterSchemas::of_avro_file(r#""string""#, Part::Key).is_ok());
    let refusal = WriterSchemas::of_avro_file(r#""string""#, Part::Value).unwrap_err();
    assert!(refusal.contains("has to be an Avro record"), "{refusal}");
    let writers = WriterSchemas::of_registry();
    writers.learn_avro(SchemaId::Number(1), r#""string""#, &[]);
    let settings = DecodeSettings {
        writers,
        ..DecodeSettings::new("orders", Format::Avro)
    };
    let table = table("value STRING");
    let decoded = decode(&settings, &table, &[(None, Some(b"\x00\x00\x00\x00\x01\x04eu"))]);
    assert_eq!(decoded.bad[0].reason, Reason::UnusableSchema);
}
