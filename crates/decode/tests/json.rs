//! JSON decoding against independent expectations: the tables of `docs/json.md`, and serde_json.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use common::{decode, records, show, type_name};
use iceberg::spec::{NestedFieldRef, Schema, Type};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tabletopic_decode::{
    Change, DecodeSettings, Decoded, Format, Ignored, MAX_BATCH_VALUES, OnBadRecord, Reason, create_schema,
    decoder, infer, parse_ddl,
};

fn settings() -> DecodeSettings {
    DecodeSettings {
        infer: false,
        ..DecodeSettings::new("orders", Format::Json)
    }
}

fn table(columns: &str, settings: &DecodeSettings) -> Schema {
    create_schema(
        &parse_ddl(&format!("CREATE TABLE t ({columns})")).unwrap(),
        settings,
    )
    .unwrap()
}

fn texts(values: &[&str]) -> Vec<Option<Vec<u8>>> {
    values
        .iter()
        .map(|value| Some(value.as_bytes().to_vec()))
        .collect()
}

/// The cells of the rows under the header line that starts like this.
fn rows_of(header: &str) -> Vec<Vec<String>> {
    let page = include_str!("../../../docs/json.md");
    let rows = page.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        line.trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    rows.map(cells).collect()
}

#[test]
fn the_page_says_what_a_column_stores() {
    let rows = rows_of("| column | JSON value |");
    assert!(rows.len() > 60);
    for row in rows {
        let code = |cell: &str| cell.trim_matches('`').to_owned();
        let (column, value) = (code(&row[0]), code(&row[1]));
        let schema = table(&format!("v {column}"), &settings());
        let decoded = decode(&settings(), &schema, &texts(&[&format!("{{\"v\": {value}}}")]));
        let got = match decoded.bad.first() {
            Some(bad) => format!("*{}*", bad.reason),
            None if decoded.batch.column(0).is_null(0) => "`NULL`".to_owned(),
            None => format!("`{}`", show(decoded.batch.column(0), 0)),
        };
        assert_eq!(got, row[2], "{column} {value} {:?}", decoded.bad);
    }
}

#[test]
fn the_page_says_what_is_inferred() {
    let rows = rows_of("| values, in their order |");
    assert!(rows.len() > 15);
    let settings = DecodeSettings::new("orders", Format::Json);
    for row in rows {
        let objects: Vec<String> = row[0]
            .split(" then ")
            .map(|value| format!("{{\"v\": {}}}", value.trim_matches('`')))
            .collect();
        let values = texts(&objects.iter().map(String::as_str).collect::<Vec<_>>());
        let fields = infer(&records(&values), &settings).unwrap();
        let got = fields.first().map_or("none".into(), |field| {
            format!("`{}`", type_name(&field.field_type))
        });
        assert_eq!(got, row[1], "{}", row[0]);
        // A table without the column asks for the same.
        let grown = decode(&settings, &create_schema(&[], &settings).unwrap(), &values).grown;
        let asked = grown
            .first()
            .map_or("none".into(), |proposal| match &proposal.change {
                Change::AddColumn {
                    parent,
                    name: column,
                    ty,
                } if parent.is_empty() && column == "v" => {
                    format!("`{}`", type_name(ty))
                }
                other => format!("{other:?}"),
            });
        assert_eq!(asked, row[1], "{}", row[0]);
    }
}

#[test]
fn the_whole_record_can_be_at_fault() {
    let mut settings = settings();
    settings.event_time = Some("meta.at".into());
    settings.limits.max_record_bytes = 11 << 20;
    let schema = table("v VARCHAR, meta STRUCT<at TIMESTAMPTZ>", &settings);
    let nested = |depth: usize| format!("{{\"x\": {}{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    let at = br#", "meta": {"at": "2026-01-31T00:00:00Z"}}"#;
    let with = |start: &[u8]| [start, at].concat();
    let long = with(format!("{{\"v\": \"{}\"", "x".repeat(10 << 20)).as_bytes());
    type Fault = Option<(Reason, Option<&'static str>)>;
    let cases: Vec<(Vec<u8>, Fault)> = vec![
        (with(br#"{"v": "a""#), None),
        (long, None),
        (vec![b' '; (11 << 20) + 1], Some((Reason::TooLarge, None))),
        (vec![], Some((Reason::NotJson, None))),
        (b"{".to_vec(), Some((Reason::NotJson, None))),
        (
            [with(br#"{"v": "a""#), b"{}".to_vec()].concat(),
            Some((Reason::NotJson, None)),
        ),
        (with(b"{\"v\": \"\xff\""), Some((Reason::InvalidUtf8, Some("v")))),
        (with(b"{\"x\": \"\xff\""), Some((Reason::InvalidUtf8, None))),
        (b"[1]".to_vec(), Some((Reason::NotAnObject, None))),
        (b"[1".to_vec(), Some((Reason::NotJson, None))),
        // The object is one level.
        (nested(32), Some((Reason::TooDeep, None))),
        (nested(10_000), Some((Reason::TooDeep, None))),
        (vec![b'['; 100_000], Some((Reason::TooDeep, None))),
        (
            format!("{{\"x\": [{}0]}}", "0,".repeat(100_001)).into_bytes(),
            Some((Reason::TooManyFields, None)),
        ),
        (b"{}".to_vec(), Some((Reason::MissingEventTime, Some("meta")))),
        (
            br#"{"meta": null}"#.to_vec(),
            Some((Reason::MissingEventTime, Some("meta"))),
        ),
        (
            br#"{"meta": {}}"#.to_vec(),
            Some((Reason::MissingEventTime, Some("meta.at"))),
        ),
        (
            br#"{"meta": {"at": null}}"#.to_vec(),
            Some((Reason::MissingEventTime, Some("meta.at"))),
        ),
        (
            br#"{"meta": {"at": -1}}"#.to_vec(),
            Some((Reason::AbsurdEventTime, Some("meta.at"))),
        ),
        (
            br#"{"meta": {"at": "2201-01-01"}}"#.to_vec(),
            Some((Reason::AbsurdEventTime, Some("meta.at"))),
        ),
        (
            br#"{"meta": {"at": "2200-12-31 23:59:59.999999"}}"#.to_vec(),
            None,
        ),
        (br#"{"meta": {"at": 0}}"#.to_vec(), None),
    ];
    let (values, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let values: Vec<_> = values.into_iter().map(Some).collect();
    for on_bad_record in [OnBadRecord::DeadLetter, OnBadRecord::NullField] {
        settings.on_bad_record = on_bad_record;
        let decoded = decode(&settings, &schema, &values);
        for (i, expected) in expected.iter().enumerate() {
            let bad = decoded.bad.iter().find(|bad| bad.index == i);
            assert_eq!(
                bad.map(|bad| (bad.reason, bad.field.as_deref())),
                *expected,
                "case {i}"
            );
        }
        let good = expected.iter().filter(|case| case.is_none()).count();
        assert_eq!(decoded.batch.num_rows(), good);
        assert_eq!(
            decoded.batch.column(0).as_string::<i32>().value(1).len(),
            10 << 20
        );
    }
}

#[test]
fn a_tombstone_is_a_row_of_its_kafka_columns() {
    let mut settings = settings();
    settings.event_time = Some("at".into());
    let schema = table("v VARCHAR, at TIMESTAMPTZ", &settings);
    let decoded = decode(&settings, &schema, &[None]);
    assert!(decoded.bad.is_empty());
    let shown: Vec<String> = decoded
        .batch
        .columns()
        .iter()
        .map(|column| show(column, 0))
        .collect();
    assert_eq!(shown, ["", "", "3", "0", "2026-01-31T09:26:56.123Z"]);

    let strict = table("v VARCHAR NOT NULL, at TIMESTAMPTZ", &settings);
    let decoded = decode(&settings, &strict, &[None]);
    assert_eq!(decoded.bad[0].reason, Reason::MissingRequired);
    assert_eq!(decoded.batch.num_rows(), 0);
}

#[test]
fn null_field_keeps_the_rest_of_the_record() {
    let settings = DecodeSettings {
        on_bad_record: OnBadRecord::NullField,
        ..settings()
    };
    let schema = table(
        "a BIGINT, s STRUCT<b INT, c VARCHAR>, l ARRAY<INT>, r INT NOT NULL",
        &settings,
    );
    let values = texts(&[
        r#"{"a": "x", "s": {"b": 1.5, "c": "kept"}, "l": [1, [2], 3], "r": 1}"#,
        r#"{"a": "x", "r": "y"}"#,
    ]);
    let decoded = decode(&settings, &schema, &values);
    let bad: Vec<_> = decoded
        .bad
        .iter()
        .map(|bad| (bad.index, bad.field.as_deref().unwrap(), bad.nulled))
        .collect();
    assert_eq!(
        bad,
        [
            (0, "a", true),
            (0, "s.b", true),
            (0, "l.element", true),
            (1, "r", false)
        ]
    );
    let shown: Vec<String> = decoded
        .batch
        .columns()
        .iter()
        .take(4)
        .map(|column| show(column, 0))
        .collect();
    assert_eq!(shown, ["", "{b: , c: kept}", "[1, , 3]", "1"]);
    assert_eq!(decoded.batch.num_rows(), 1);
}

#[test]
fn growth_names_paths_and_refuses_collisions() {
    let settings = DecodeSettings::new("orders", Format::Json);
    let schema = table(
        "i INT, d DECIMAL(3,1), s STRUCT<x BIGINT>, l ARRAY<STRUCT<y BIGINT>>",
        &settings,
    );
    let values = texts(&[
        r#"{"i": 1, "s": {"x": 1}}"#,
        r#"{"i": 3000000000, "d": "12345.5", "s": {"x": 1, "new": "a"}, "l": [{"z": true}]}"#,
        r#"{"d": 123.5}"#,
    ]);
    let decoded = decode(&settings, &schema, &values);
    assert_eq!(decoded.batch.num_rows(), 0);
    let grown: Vec<String> = decoded
        .grown
        .iter()
        .map(|proposal| match &proposal.change {
            Change::AddColumn { parent, name, ty } => {
                format!("{} + {name} {ty} @{}", parent.join("."), proposal.caused_by)
            }
            Change::Widen { path, to } => format!("{} -> {to} @{}", path.join("."), proposal.caused_by),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "i -> long @1",
        "d -> decimal(6, 1) @1",
        "s + new string @1",
        "l.element + z boolean @1",
    ];
    assert_eq!(grown, expected);

    let refused = texts(&[r#"{"I": 1, "s.x": 1, "_kafka_offset": 7, "_kafka_mine": 1, "": 1, "i": 1}"#]);
    let decoded = decode(&settings, &schema, &refused);
    assert_eq!(
        (decoded.grown, decoded.unknown_fields, decoded.batch.num_rows()),
        (vec![], 5, 1)
    );
    let offset = decoded.batch.column_by_name("_kafka_offset").unwrap();
    assert_eq!(offset.as_primitive::<Int64Type>().value(0), 0);

    // A record that is bad in itself asks for nothing.
    let broken = texts(&[r#"{"new": 1, "i": "x"}"#, r#"{"new": 1"#]);
    assert!(decode(&settings, &schema, &broken).grown.is_empty());
}

// ---- properties -----------------------------------------------------------------------------

const COLUMNS: &str = "a BIGINT, b DOUBLE, c VARCHAR, d BOOLEAN, s STRUCT<a INT, l ARRAY<VARCHAR>>, \
                       l ARRAY<STRUCT<b DOUBLE>>, m MAP(VARCHAR, BIGINT)";

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-5i64..5).prop_map(Value::from),
        (i64::MAX as u64 + 1..).prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON", |float| float.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[abcdslmAé]", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Value> {
    let scalar = |value: BoxedStrategy<Value>| prop_oneof![6 => value, 1 => any_value().boxed()];
    let text = any::<String>().prop_map(Value::from).boxed();
    let long = any::<i64>().prop_map(Value::from).boxed();
    (
        scalar(long.clone()),
        scalar(
            any::<f64>()
                .prop_filter("JSON", |float| float.is_finite())
                .prop_map(Value::from)
                .boxed(),
        ),
        scalar(text.clone()),
        scalar(any::<bool>().prop_map(Value::from).boxed()),
        scalar(
            (any::<i32>(), prop::collection::vec(text, 0..3))
                .prop_map(|(a, l)| json!({"a": a, "l": l}))
                .boxed(),
        ),
        scalar(
            prop::collection::hash_map(any::<String>(), long, 0..3)
                .prop_map(|map| json!(map))
                .boxed(),
        ),
        prop::option::weighted(0.3, any_value()),
        any::<u8>(),
    )
        .prop_map(|(a, b, c, d, s, m, unknown, left_out)| {
            let mut object = Map::new();
            let fields = [("a", a), ("b", b), ("c", c), ("d", d), ("s", s), ("m", m)];
            for (i, (name, value)) in fields.into_iter().enumerate() {
                if left_out >> i & 1 == 0 || left_out > 200 {
                    object.insert(name.into(), value);
                }
            }
            object.extend(unknown.map(|value| ("unknown".to_owned(), value)));
            Value::Object(object)
        })
}

/// The text of an object that is plain, nearly plain, or damaged in one byte.
fn nearly_plain() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        4 => "-?[0-9]{1,20}",
        4 => "-?[0-9]{1,5}(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?",
        1 => "-?0?[0-9]{0,20}\\.?[0-9]{0,20}",
        1 => "\"-?[0-9]{1,5}\\.[0-9]{1,4}\"",
        1 => "\"20[0-9]{2}-[01][0-9]-[0-3][0-9]\"",
        1 => "\"[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?\"",
        4 => "\"[a-z é]{0,8}\"",
        1 => "\"[a-z\\\\\"\t]{0,4}\"",
        1 => "\"2026-01-31T09:26:56(\\.[0-9]{3,9})?Z\"",
        2 => "true|false|null|nul|1\\.5|1e3|\\[\\]|\\{\\}",
    ];
    let field = (
        "[aicdtefmyo]|a b|x",
        prop_oneof![4 => Just(":"), 1 => Just(" : ")],
        value,
    )
        .prop_map(|(key, colon, value)| format!("\"{key}\"{colon}{value}"));
    let fields = prop::collection::vec(field, 0..7);
    let damage = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
    (fields, prop_oneof![Just(","), Just(", ")], damage).prop_map(|(fields, comma, damage)| {
        let mut text = format!("{{{}}}", fields.join(comma)).into_bytes();
        if let Some((at, byte)) = damage {
            let at = at.index(text.len());
            text[at] = byte;
        }
        text
    })
}

fn bytes(values: &[Value]) -> Vec<Option<Vec<u8>>> {
    values
        .iter()
        .map(|value| Some(value.to_string().into_bytes()))
        .collect()
}

/// What a column must hold for a value, from the page and not from the decoder; `None` is a bad value.
fn expected(ty: &Type, value: &Value) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    match ty {
        Type::Primitive(primitive) => match primitive.to_string().as_str() {
            "boolean" => value.is_boolean(),
            "string" => value.is_string(),
            "long" => value.is_i64(),
            "int" => value.as_i64().is_some_and(|long| i32::try_from(long).is_ok()),
            "double" => return value.as_f64().map(Value::from),
            other => unreachable!("{other}"),
        }
        .then(|| value.clone()),
        Type::List(list) => {
            let element = |value| expected(&list.element_field.field_type, value);
            value
                .as_array()?
                .iter()
                .map(element)
                .collect::<Option<Vec<_>>>()
                .map(Value::from)
        }
        Type::Map(map) => {
            let entry = |(key, value): (&String, &Value)| {
                Some((key.clone(), expected(&map.value_field.field_type, value)?))
            };
            value
                .as_object()?
                .iter()
                .map(entry)
                .collect::<Option<Map<_, _>>>()
                .map(Value::Object)
        }
        Type::Struct(ty) => expected_fields(ty.fields(), value),
    }
}

fn expected_fields(fields: &[NestedFieldRef], value: &Value) -> Option<Value> {
    let object = value.as_object()?;
    let field = |field: &NestedFieldRef| {
        let value = object.get(&field.name).unwrap_or(&Value::Null);
        Some((field.name.clone(), expected(&field.field_type, value)?))
    };
    fields
        .iter()
        .map(field)
        .collect::<Option<Map<_, _>>>()
        .map(Value::Object)
}

fn stored(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            (0..elements.len()).map(|i| stored(&elements, i)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let entry = |i| {
                (
                    entries.column(0).as_string::<i32>().value(i).to_owned(),
                    stored(entries.column(1), i),
                )
            };
            Value::Object((0..entries.len()).map(entry).collect())
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            Value::Object(
                columns
                    .map(|(field, column)| (field.name().clone(), stored(column, row)))
                    .collect(),
            )
        }
        other => unreachable!("{other}"),
    }
}

/// The record's own columns of a row, and its offset.
fn row(batch: &RecordBatch, row: usize) -> (Value, i64) {
    let schema = batch.schema();
    let own = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| !field.name().starts_with("_kafka_"));
    let object = own
        .map(|(field, column)| (field.name().clone(), stored(column, row)))
        .collect();
    let offset = batch
        .column_by_name("_kafka_offset")
        .unwrap()
        .as_primitive::<Int64Type>()
        .value(row);
    (Value::Object(object), offset)
}

fn rows(batch: &RecordBatch) -> Vec<(Value, i64)> {
    (0..batch.num_rows()).map(|i| row(batch, i)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every row is what serde_json and the page make of it, and every other record is bad.
    #[test]
    fn rows_are_what_an_independent_reader_expects(values in prop::collection::vec(any_object(), 0..12)) {
        let schema = table(COLUMNS, &settings());
        let own = parse_ddl(&format!("CREATE TABLE t ({COLUMNS})")).unwrap();
        let decoded = decode(&settings(), &schema, &bytes(&values));
        let wanted: Vec<_> = (0i64..)
            .zip(&values)
            .filter_map(|(offset, value)| Some((expected_fields(&own, value)?, offset)))
            .collect();
        prop_assert_eq!(rows(&decoded.batch), wanted);
        prop_assert_eq!(decoded.batch.num_rows() + decoded.bad.len(), values.len());
    }

    /// Bad records anywhere leave the other rows as they are without them.
    #[test]
    fn bad_records_leave_the_others_intact(
        values in prop::collection::vec((any_object(), prop::option::weighted(0.3, 0usize..200)), 0..12)
    ) {
        let schema = table(COLUMNS, &settings());
        // A cut-off object is never an object.
        let cut = |(value, cut): &(Value, Option<usize>)| {
            let mut text = value.to_string().into_bytes();
            if let Some(cut) = cut { text.truncate(*cut % text.len()); }
            Some(text)
        };
        let mixed = decode(&settings(), &schema, &values.iter().map(cut).collect::<Vec<_>>());
        let alone: Vec<_> = values
            .iter()
            .enumerate()
            .filter(|(_, (_, cut))| cut.is_none())
            .flat_map(|(i, (value, _))| {
                let single = decode(&settings(), &schema, &bytes(std::slice::from_ref(value)));
                rows(&single.batch).into_iter().map(move |(row, _)| (row, i as i64))
            })
            .collect();
        prop_assert_eq!(rows(&mixed.batch), alone);
    }

    /// The quick way of plain records and the way of all others say the same: a line break before a record keeps it
    /// off the quick way, and means nothing.
    #[test]
    fn layout_does_not_matter(
        values in prop::collection::vec(nearly_plain(), 0..12),
        null_field in any::<bool>(),
        infers in any::<bool>(),
        event_time in prop::option::of(Just("t".to_owned())),
        max_fields in prop_oneof![Just(100), Just(11), Just(4)],
        required in prop_oneof![4 => Just(""), 1 => Just(" NOT NULL")],
    ) {
        let mut settings = DecodeSettings { infer: infers, event_time, ..settings() };
        settings.limits.max_fields = max_fields;
        settings.on_bad_record = if null_field { OnBadRecord::NullField } else { OnBadRecord::Halt };
        let columns = "a BIGINT, i INT, c VARCHAR, d BOOLEAN, t TIMESTAMPTZ, e DOUBLE, f FLOAT, m DECIMAL(9, 3), y DATE, \
                       o TIME, \"a b\" VARCHAR";
        let schema = table(&format!("{columns}{required}"), &settings);
        let broken = |value: &Vec<u8>| Some([b"\n", value.as_slice()].concat());
        let quick = decode(&settings, &schema, &values.iter().cloned().map(Some).collect::<Vec<_>>());
        let slow = decode(&settings, &schema, &values.iter().map(broken).collect::<Vec<_>>());
        // Details tell lines and columns of the text.
        let faults = |decoded: &Decoded| -> Vec<_> {
            decoded.bad.iter().map(|bad| (bad.index, bad.reason, bad.field.clone(), bad.nulled)).collect()
        };
        prop_assert_eq!(faults(&quick), faults(&slow));
        prop_assert_eq!(&quick.batch, &slow.batch);
        prop_assert_eq!(&quick.grown, &slow.grown);
        prop_assert_eq!(quick.unknown_fields, slow.unknown_fields);
    }

    /// Decoding two slices, by one decoder, is decoding them in one.
    #[test]
    fn slices_concatenate(values in prop::collection::vec(any_object(), 0..12), at in 0usize..12) {
        let schema = table(COLUMNS, &settings());
        let values = bytes(&values);
        let records = records(&values);
        let (left, right) = records.split_at(at.min(records.len()));
        let mut decoder = decoder(&settings(), &schema).unwrap();
        let (left, right) = (decoder.decode(left).unwrap(), decoder.decode(right).unwrap());
        let whole = decoder.decode(&records).unwrap();
        let parts = arrow::compute::concat_batches(&whole.batch.schema(), [&left.batch, &right.batch]).unwrap();
        prop_assert_eq!(parts, whole.batch);
        prop_assert_eq!(left.bad.len() + right.bad.len(), whole.bad.len());
    }

    /// A table made from a sample lacks nothing that the sample has, whatever it is, under each policy.
    #[test]
    fn an_inferred_table_needs_no_growth(
        values in prop::collection::vec(prop_oneof![any_value(), any_object()], 0..8),
        null_field in any::<bool>(),
    ) {
        let mut settings = DecodeSettings::new("orders", Format::Json);
        settings.on_bad_record = if null_field { OnBadRecord::NullField } else { OnBadRecord::DeadLetter };
        let values = bytes(&values);
        let fields = infer(&records(&values), &settings).unwrap();
        let schema = create_schema(&fields, &settings).unwrap();
        let decoded = decode(&settings, &schema, &values);
        prop_assert_eq!(decoded.grown, vec![]);
        let dead = decoded.bad.iter().filter(|bad| !bad.nulled).count();
        prop_assert_eq!(decoded.batch.num_rows() + dead, values.len());
    }

    /// No bytes make the decoder fail or panic, and each record is a row or a bad record.
    #[test]
    fn bytes_of_any_kind_are_survived(
        values in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            // Damaged JSON reaches further than noise.
            (any_object(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, at, byte)| {
                let mut text = value.to_string().into_bytes();
                let at = at.index(text.len());
                text[at] = byte;
                text
            }),
            "\\{\"(a|b|m|u)\": ?-?[0-9.eE+-]{1,30}\\}".prop_map(String::into_bytes),
        ], 0..8),
        null_field in any::<bool>(),
        infers in any::<bool>(),
    ) {
        let mut settings = DecodeSettings { infer: infers, ..settings() };
        settings.on_bad_record = if null_field { OnBadRecord::NullField } else { OnBadRecord::Halt };
        let schema = table(COLUMNS, &settings);
        let sound = |text: &[u8]| serde_json::from_slice::<Value>(text).is_ok();
        let values: Vec<_> = values.into_iter().map(Some).collect();
        let decoded = decode(&settings, &schema, &values);
        let dead: Vec<usize> = decoded.bad.iter().filter(|bad| !bad.nulled).map(|bad| bad.index).collect();
        if decoded.grown.is_empty() {
            prop_assert_eq!(decoded.batch.num_rows() + dead.len(), values.len());
        }
        // serde_json refuses numbers that no double holds; here they are only out of range.
        for (i, value) in values.iter().enumerate() {
            let bad = decoded.bad.iter().find(|bad| bad.index == i && !bad.nulled);
            if !dead.contains(&i) && !sound(value.as_deref().unwrap()) {
                let number = String::from_utf8_lossy(value.as_deref().unwrap()).contains(['e', 'E']);
                prop_assert!(number, "{bad:?} {value:?}");
            }
        }
    }
}

#[test]
fn a_batch_ends_before_it_takes_too_much_memory() {
    let settings = settings();
    let columns = (0..1_500)
        .map(|i| format!("c{i} BIGINT"))
        .collect::<Vec<_>>()
        .join(", ");
    let schema = table(&format!("v ARRAY<STRUCT<{columns}>>"), &settings);
    // 60 elements of 1,500 nulls each, in less than 200 bytes.
    let value = format!("{{\"v\": [{}]}}", vec!["{}"; 60].join(",")).into_bytes();
    let values = vec![Some(value); 150];
    let all = records(&values);
    let mut decoder = decoder(&settings, &schema).unwrap();
    let (mut left, mut rows) = (&all[..], 0);
    while !left.is_empty() {
        let decoded = decoder.decode(left).unwrap();
        assert!(decoded.taken > 0 && decoded.bad.is_empty(), "{:?}", decoded.bad);
        assert_eq!(decoded.batch.num_rows(), decoded.taken);
        // One record may go above the bound.
        assert!(decoded.taken * 60 * 1_500 < MAX_BATCH_VALUES + 200_000);
        rows += decoded.taken;
        left = &left[decoded.taken..];
    }
    assert_eq!(rows, 150);
}

#[test]
fn ignored_fields_are_passed_over_whatever_they_hold() {
    let path = |dotted: &str| -> Vec<String> { dotted.split('.').map(str::to_owned).collect() };
    let settings = DecodeSettings {
        ignored: Ignored::new(
            &[path("secret"), path("a.secret")],
            &[path("taken"), path("a.taken")],
            &[path("closed")],
            &[path("closed.open")],
        ),
        ..DecodeSettings::new("orders", Format::Json)
    };
    let schema = table(
        "id BIGINT, a STRUCT<b BIGINT>, closed STRUCT<c BIGINT>",
        &settings,
    );
    // The first two are plain, and are read on the quick way.
    let values = texts(&[
        r#"{"id": 1, "secret": "x"}"#,
        r#"{"SECRET": 7, "id": 2}"#,
        r#"{"id": 3, "secret": {"x": [1]}, "a": {"b": 1, "Secret": true}}"#,
        r#"{"id": 4, "closed": {"c": 1, "new": 2}}"#,
    ]);
    let decoded = decode(&settings, &schema, &values);
    assert_eq!((decoded.grown.len(), decoded.unknown_fields), (0, 0));
    assert_eq!(decoded.batch.num_rows(), 4);
    let ids = decoded.batch["id"].as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(ids, [1, 2, 3, 4]);
    let taken = texts(&[
        r#"{"id": 1, "taken": "x"}"#,
        r#"{"id": 2, "TAKEN": {}, "a": {"taken": 1}}"#,
    ]);
    let decoded = decode(&settings, &schema, &taken);
    assert_eq!((decoded.grown.len(), decoded.unknown_fields), (0, 3));
    let more = texts(&[r#"{"secret": 1, "a": {"new": 1}, "closed": {"open": 1}}"#]);
    let grown = decode(&settings, &schema, &more).grown;
    let names: Vec<&str> = grown
        .iter()
        .map(|asked| match &asked.change {
            Change::AddColumn { name, .. } => name.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["new", "open"]);
}
