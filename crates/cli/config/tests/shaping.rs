//! `docs/shaping.md` against what it says: each row of its tables is read, configured and decoded.

use std::collections::BTreeMap;

use iceberg::spec::{PrimitiveType, Schema, Type};
use serde_json::{Value, json};
use tabletopic_decode::kafka_columns::KafkaColumn;
use tabletopic_decode::{Decoded, create_schema};
use tabletopic_records::{NoHeaders, Record};
use tabletopic_shape::{decoder, infer, schema_change};
use tabletopic_table::schema::evolve;

use super::*;

const PAGE: &str = include_str!("../../../../docs/shaping.md");

const RECORD: &str = r#"{"id": 1, "email": "ada@example.com", "price": 1.5, "quantity": 2, "address": {"city": "Bern", "zip": "3000"}}"#;

/// The rows of the table with this heading: what stands in backquotes, and the rest, of each cell.
fn rows(heading: &str) -> Vec<Vec<(Vec<&'static str>, &'static str)>> {
    let (_, table) = PAGE.split_once(heading).unwrap_or_else(|| panic!("no {heading}"));
    let rows: Vec<_> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells
                .map(|cell| (cell.split('`').skip(1).step_by(2).collect(), cell.trim()))
                .collect()
        })
        .collect();
    assert!(rows.len() >= 5, "{heading}");
    rows
}

/// What the table's schema is in the end, and what becomes of a record: its row, nothing, or the reason why it is bad.
fn shaped(settings: &str, value: Option<&str>) -> (Schema, Result<Option<Value>, String>) {
    let config = parse(&format!("{SMALLEST}{settings}")).unwrap_or_else(|problem| panic!("{problem}"));
    let topic = &config.topics[0];
    let records = [Record {
        partition: 0,
        offset: 0,
        timestamp: Some(0),
        key: None,
        value: value.map(str::as_bytes),
        headers: &NoHeaders,
    }];
    let fields = infer(topic.shape.as_ref(), &records, &topic.decode).unwrap();
    let mut schema = create_schema(&fields, &topic.decode).unwrap();
    let decoded = loop {
        let mut decoder = decoder(topic.shape.as_ref(), &topic.decode, &schema).unwrap();
        let decoded = decoder.decode(&records).unwrap();
        if decoded.grown.is_empty() {
            break decoded;
        }
        let changes: Vec<_> = decoded
            .grown
            .iter()
            .map(|asked| schema_change(&asked.change))
            .collect();
        schema = evolve(&schema, schema.highest_field_id(), &changes).unwrap().0;
    };
    let Decoded {
        batch, bad, filtered, ..
    } = decoded;
    let outcome = match (bad.first(), filtered.as_slice()) {
        (Some(bad), _) => Err(bad.reason.to_string()),
        (None, [_, ..]) => Ok(None),
        (None, []) => {
            let mut json = Vec::new();
            let mut writer = arrow::json::LineDelimitedWriter::new(&mut json);
            writer.write(&batch).unwrap();
            writer.finish().unwrap();
            let mut row: Value = serde_json::from_slice(&json).unwrap();
            let columns = row.as_object_mut().unwrap();
            columns.retain(|name, _| KafkaColumn::by_name(name).is_none());
            Ok(Some(row))
        }
    };
    (schema, outcome)
}

#[test]
fn the_pages_columns_are_what_it_says() {
    for row in rows("| `[topic.columns]` | row |") {
        let settings = format!("[topic.columns]\n{}", row[0].0.join("\n"));
        let expected: Value = serde_json::from_str(row[1].0[0]).unwrap();
        assert_eq!(
            shaped(&settings, Some(RECORD)).1,
            Ok(Some(expected)),
            "{settings}"
        );
    }
}

#[test]
fn the_pages_expressions_have_their_types_and_results() {
    for row in rows("| expression | type | result |") {
        let (sql, ty) = (row[0].0[0], row[1].0[0]);
        let (schema, outcome) = shaped(
            &format!("[topic.columns]\ncompute = {{ it = {sql:?} }}"),
            Some(RECORD),
        );
        let column = schema.field_by_name("it").unwrap();
        assert_eq!(column.field_type.to_string(), ty, "{sql}");
        match row[2].0.first() {
            Some(expected) => {
                let row = outcome.unwrap().unwrap();
                let expected: Value = serde_json::from_str(expected).unwrap();
                assert_eq!(row.get("it").unwrap_or(&Value::Null), &expected, "{sql}");
            }
            None => assert_eq!(
                outcome,
                Err(row[2].1.trim_matches(['*', ' ', '|']).to_owned()),
                "{sql}"
            ),
        }
    }
}

#[test]
fn the_pages_conditions_keep_what_it_says() {
    for row in rows("| `where` | |") {
        let sql = row[0].0[0];
        let kept = shaped(&format!("where = {sql:?}\n"), Some(RECORD))
            .1
            .unwrap()
            .is_some();
        assert_eq!(kept, row[1].1.trim_matches([' ', '|']) == "kept", "{sql}");
    }
}

#[test]
fn the_pages_change_events_become_its_rows() {
    for row in rows("| event | row |") {
        let event = Some(row[0].0[0]).filter(|event| *event != "null");
        let outcome = shaped("unwrap = \"debezium\"\n", event).1;
        let expected = match (row[1].0.first(), row[1].1.trim_matches(['*', ' ', '|'])) {
            (Some(row), _) => Ok(Some(serde_json::from_str(row).unwrap())),
            (None, "left out") => Ok(None),
            (None, reason) => Err(reason.to_owned()),
        };
        assert_eq!(outcome, expected, "{event:?}");
    }
}

#[test]
fn a_field_that_has_the_name_of_another_column_is_counted() {
    for (settings, value) in [
        (
            "columns.rename = { id = \"order_id\" }",
            r#"{"id": 1, "order_id": 2}"#,
        ),
        (
            "unwrap = \"debezium\"",
            r#"{"op": "c", "after": {"id": 1, "_op": "x"}, "ts_ms": 0}"#,
        ),
    ] {
        let config = parse(&format!("{SMALLEST}{settings}")).unwrap();
        let topic = &config.topics[0];
        let records = [Record {
            partition: 0,
            offset: 0,
            timestamp: Some(0),
            key: None,
            value: Some(value.as_bytes()),
            headers: &NoHeaders,
        }];
        let fields = infer(topic.shape.as_ref(), &records, &topic.decode).unwrap();
        let schema = create_schema(&fields, &topic.decode).unwrap();
        let mut decoder = decoder(topic.shape.as_ref(), &topic.decode, &schema).unwrap();
        let decoded = decoder.decode(&records).unwrap();
        assert_eq!(
            (
                decoded.grown.len(),
                decoded.batch.num_rows(),
                decoded.unknown_fields
            ),
            (0, 1, 1),
            "{settings}"
        );
    }
}

#[test]
fn shapes_that_can_not_be_are_refused() {
    let refusals = [
        ("where = \"price >\"", "14: topic.where"),
        ("where = \"now() > created_at\"", "otherwise each time"),
        (
            "where = \"dropped\"\ncolumns.drop = [\"dropped\"]",
            "topic.columns.types: is missing `dropped`",
        ),
        (
            "otherwise = \"dead-letter\"",
            "is for records that `where` does not keep",
        ),
        ("where = \"a\"\notherwise = \"dead-letter\"", "add on_bad_record"),
        ("columns.hash = [\"email\"]", "add hash_key"),
        (
            "columns.hash_key = \"0123456789abcdef\"",
            "is for the columns of `hash`",
        ),
        (
            "columns.hash = [\"email\"]\ncolumns.hash_key = \"secret\"",
            "fewer than 16 characters",
        ),
        (
            "columns.drop = [\"a.b\"]",
            "write flatten = [\"a\"] and call it `a_b`",
        ),
        ("columns.drop = [\"_kafka_key\"]", "Kafka's own"),
        (
            "schema.file = \"x.avsc\"\nschema.evolution = [\"add\", \"rename\"]\ncolumns.drop = [\"a\"]",
            "topic.columns.drop: cannot hold beside \"rename\"",
        ),
        (
            "columns.drop = [\"a\"]\ncolumns.rename = { a = \"b\" }",
            "two things",
        ),
        (
            "columns.rename = { a = \"c\", b = \"C\" }",
            "two columns would be called",
        ),
        (
            "columns.compute = { a = \"b + 1\", b = \"c\" }",
            "which is computed itself",
        ),
        ("columns.compute = { _kafka_x = \"1\" }", "Kafka's own"),
        ("columns.types = { a = \"BIGINT\" }", "nothing reads it"),
        (
            "columns.hash = [\"a\"]\ncolumns.hash_key = \"0123456789abcdef\"\ncolumns.types = { a = \"BIGINTS\" }",
            "is no type",
        ),
        ("unwrap = \"debezium\"\nevent_time = \"at\"", "change events"),
        (
            "unwrap = \"debezium\"\nddl = \"x.sql\"",
            "make the table beforehand",
        ),
        (
            "unwrap = \"debezium\"\ncolumns.compute = { _op = \"1\" }",
            "unwrapping makes a column",
        ),
        (
            "event_time = \"at\"\ncolumns.drop = [\"at\"]",
            "has to be a column of the table",
        ),
        (
            "key.format = \"json\"\nunwrap = \"debezium\"",
            "can't be decoded where `unwrap`",
        ),
        (
            "key.format = \"json\"\ncolumns.drop = [\"key\"]",
            "write another `column` for the key",
        ),
        (
            "key.format = \"json\"\ncolumns = { flatten = [\"key\"], drop = [\"key_id\"] }\nwhere = \"key_id > 1\"",
            "topic.columns.types: is missing `key_id`",
        ),
        ("columns.dorp = [\"at\"]", "did you mean `drop`"),
        (
            "schema.file = \"x.avsc\"\nschema.evolution = [\"widen\"]\nunwrap = \"debezium\"",
            "write \"add\" into schema.evolution as well",
        ),
    ];
    for (settings, expected) in refusals {
        let smallest = match settings.contains("schema.") {
            true => SMALLEST.replace("\"json\"", "\"avro\""),
            false => SMALLEST.to_owned(),
        };
        let problem = parse(&format!("{smallest}{settings}")).unwrap_err();
        assert!(problem.contains(expected), "{settings}: {problem}");
        assert!(!problem.contains("0123456789abcdef"), "{problem}");
    }
}

/// What decides the type of a column that is only read: the schema of its own part of the record, or the configuration.
#[test]
fn members_of_a_key_have_their_types_by_the_format_of_keys() {
    let parsed = |value: &str, key: &str, more: &str| {
        let smallest = SMALLEST.replace("format = \"json\"", &format!("format = \"{value}\""));
        let file = |format: &str, line: &'static str| if format == "json" { "" } else { line };
        parse(&format!(
            "{smallest}{more}{}key.format = \"{key}\"\n{}[topic.columns]\nflatten = [\"key\"]\n\
             hash = [\"key_id\", \"id\"]\nhash_key = \"0123456789abcdef\"\ndrop = [\"key_region\"]\n",
            file(value, "schema.file = \"order.avsc\"\n"),
            file(key, "key.file = \"key.avsc\"\n"),
        ))
    };
    let text: Type = PrimitiveType::String.into();
    for (value, key, as_text) in [
        ("json", "avro", Some("id")),
        ("avro", "json", Some("key_id")),
        ("avro", "avro", None),
    ] {
        let config = parsed(value, key, "").unwrap();
        let shape = config.topics[0].shape.as_ref().unwrap();
        let told: BTreeMap<String, Type> = as_text
            .map(|name| (name.to_owned(), text.clone()))
            .into_iter()
            .collect();
        assert_eq!(shape.types, told, "{value} {key}");
        let problem = parsed(value, key, "where = \"key_region = 'eu'\"\n").err();
        let refused = problem.is_some_and(|problem| problem.contains("is missing `key_region`"));
        assert_eq!(refused, key == "json", "{value} {key}");
    }
}

#[test]
fn the_example_works_and_its_key_is_never_shown() {
    let example = include_str!("../../../../examples/shaping/tabletopic.toml");
    let key = "0123456789abcdef";
    let config = parse_with(example, &|name| (name == "HASH_KEY").then(|| key.to_owned())).unwrap();
    assert_eq!(config.topics.len(), 3);
    let shown = format!("{config:?}");
    assert!(shown.contains("order_id") && !shown.contains(key), "{shown}");
    let usual = json!(config.topics[2].partition_by.fields());
    assert_eq!(usual, json!(["day(_source_ts_ms)"]));
}
