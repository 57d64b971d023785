//! Fields that get other names while they are read, where the table's columns are not the records'.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use iceberg::spec::Schema;
use tabletopic_decode::{
    DecodeSettings, Evolution, Format, FormerNames, NamedColumns, WriterSchemas, create_schema,
};
use tabletopic_records::{NoHeaders, Record, SchemaId};
use tabletopic_shape::{Expression, Shape, Unwrap, decoder, infer, schema_change};
use tabletopic_table::schema::evolve;

/// A topic whose registry has these schemas, under ids from 1, and whose table follows all that they say.
fn settings(schemas: &[String]) -> DecodeSettings {
    let writers = WriterSchemas::of_registry();
    for (id, schema) in (1..).zip(schemas) {
        writers.learn_avro(SchemaId::Number(id), schema, &[]);
    }
    DecodeSettings {
        writers,
        evolution: Evolution {
            rename: true,
            ..Evolution::default()
        },
        ..DecodeSettings::new("orders", Format::Avro)
    }
}

fn record(name: &str, fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "{name}", "fields": [{fields}]}}"#)
}

/// A value of the schema `id`; numbers below 64 and short texts alone.
fn framed(id: u8, body: &[&[u8]]) -> Vec<u8> {
    [&[0, 0, 0, 0, id], &body.concat()[..]].concat()
}

fn long(value: u8) -> Vec<u8> {
    assert!(value < 64);
    vec![value << 1]
}

fn text(value: &str) -> Vec<u8> {
    [&long(u8::try_from(value.len()).unwrap()), value.as_bytes()].concat()
}

/// A table with all the names that its columns ever had.
struct Table {
    shape: Shape,
    settings: DecodeSettings,
    schemas: Vec<Schema>,
}

impl Table {
    fn new(shape: Shape, settings: DecodeSettings, first: &[u8]) -> Self {
        let fields = infer(Some(&shape), &records(&[first]), &settings).unwrap();
        let schema = create_schema(&fields, &settings).unwrap();
        Self {
            shape,
            settings,
            schemas: vec![schema],
        }
    }

    /// As a process does that has just started.
    fn read(&mut self, values: &[&[u8]]) -> RecordBatch {
        let records = records(values);
        loop {
            let schema = self.schemas.last().unwrap();
            let settings = DecodeSettings {
                former_names: FormerNames::of(schema, self.schemas.iter()),
                ..self.settings.clone()
            };
            let mut decoder = decoder(Some(&self.shape), &settings, schema).unwrap();
            let decoded = decoder.decode(&records).unwrap();
            if decoded.grown.is_empty() {
                assert_eq!((decoded.bad, decoded.unknown_fields), (vec![], 0));
                return decoded.batch;
            }
            let asked = decoded.grown.iter();
            let changes: Vec<_> = asked.map(|asked| schema_change(&asked.change)).collect();
            let grown = evolve(schema, schema.highest_field_id(), &changes).unwrap().0;
            assert!(self.schemas.len() < 20, "{changes:?}");
            self.schemas.push(grown);
        }
    }

    /// All but Kafka's.
    fn columns(&self) -> Vec<String> {
        let fields = self.schemas.last().unwrap().as_struct().fields().iter();
        let names = fields.map(|field| field.name.clone());
        names.filter(|name| !name.starts_with("_kafka_")).collect()
    }
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

fn column(batch: &RecordBatch, name: &str) -> Vec<String> {
    let array = batch.column_by_name(name).unwrap_or_else(|| panic!("no {name}"));
    let options = FormatOptions::default().with_null("-");
    let formatted = ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len())
        .map(|row| formatted.value(row).to_string())
        .collect()
}

/// Debezium's envelope around a row of these columns.
fn envelope(row: &str) -> String {
    let row = record("Row", row);
    record(
        "Envelope",
        &format!(
            r#"{{"name": "before", "type": ["null", {row}]}}, {{"name": "after", "type": ["null", "Row"]}},
               {{"name": "op", "type": "string"}}"#
        ),
    )
}

#[test]
fn a_renamed_field_of_change_events_renames_its_column_once() {
    let schemas = [
        envelope(
            r#"{"name": "id", "type": "long"}, {"name": "name", "type": "string"},
            {"name": "home", "type": {"type": "record", "name": "Home", "fields": [{"name": "city", "type": "string"}]}}"#,
        ),
        envelope(
            r#"{"name": "id", "type": "long"}, {"name": "title", "type": "string", "aliases": ["name"]},
            {"name": "home", "type": {"type": "record", "name": "Home", "fields": [
                {"name": "town", "type": "string", "aliases": ["city"]}]}}"#,
        ),
    ];
    let shape = Shape {
        unwrap: Some(Unwrap::Debezium),
        ..Shape::default()
    };
    let row = |id, name: &str| [long(id), text(name), text("Bern")].concat();
    let (none, some) = (long(0), long(1));
    let old = framed(1, &[&none, &some, &row(1, "Ada"), &text("c")]);
    let new = framed(2, &[&some, &row(1, "Ada"), &some, &row(1, "Eve"), &text("u")]);
    let gone = framed(2, &[&some, &row(1, "Eve"), &none, &text("d")]);
    let (old, new, gone) = (&old[..], &new[..], &gone[..]);
    let mut table = Table::new(shape, settings(&schemas), old);
    assert_eq!(table.columns(), ["id", "name", "home", "_op", "_ts_ms"]);
    for (values, names) in [
        ([old, new, gone], ["Ada", "Eve", "Eve"]),
        ([new, old, gone], ["Eve", "Ada", "Eve"]),
        ([old, old, old], ["Ada"; 3]),
    ] {
        let rows = table.read(&values);
        assert_eq!(table.columns(), ["id", "title", "home", "_op", "_ts_ms"]);
        assert_eq!(column(&rows, "title"), names);
        assert_eq!(column(&rows, "home"), ["{town: Bern}"; 3]);
    }
}

#[test]
fn what_the_configuration_names_keeps_its_name() {
    let place = |name: &str, city: &str| {
        format!(
            r#"{{"name": {name}, "type": {{"type": "record", "name": "Place", "fields": [
                {{"name": {city}, "type": "string"}}]}}}}"#
        )
    };
    let fields = |[id, state, shop]: [&str; 3], place: String| {
        record(
            "Order",
            &format!(
                r#"{{"name": {id}, "type": "long"}}, {{"name": {state}, "type": "string"}}, {place},
                {{"name": {shop}, "type": "string"}}"#
            ),
        )
    };
    let schemas = [
        fields(
            [r#""id""#, r#""status""#, r#""shop""#],
            place(r#""address""#, r#""city""#),
        ),
        fields(
            [
                r#""ident", "aliases": ["id"]"#,
                r#""state", "aliases": ["status"]"#,
                r#""store", "aliases": ["shop"]"#,
            ],
            place(
                r#""home", "aliases": ["address"]"#,
                r#""town", "aliases": ["city"]"#,
            ),
        ),
    ];
    let name = |name: &str| [name.to_owned()].into();
    let shape = || Shape {
        flatten: name("address"),
        rename: [
            ("id".to_owned(), "order_id".to_owned()),
            ("address_city".to_owned(), "city".to_owned()),
        ]
        .into(),
        keep: Some(Expression::parse("status = 'open'").unwrap()),
        ..Shape::default()
    };
    let settings = DecodeSettings {
        named: NamedColumns::new(vec![vec!["shop".to_owned()]]),
        ..settings(&schemas)
    };
    let value = |schema, id| {
        let texts = ["open", "Bern", "north"].map(text);
        framed(schema, &[&long(id), &texts.concat()])
    };
    let (old, new) = (value(1, 1), value(2, 2));
    let (old, new) = (&old[..], &new[..]);
    // Also if no record of the older schema is there any more when the table is made.
    for first in [old, new] {
        let mut table = Table::new(shape(), settings.clone(), first);
        for values in [[new, old], [old, new], [new, new]] {
            let rows = table.read(&values);
            assert_eq!(table.schemas.len(), 1, "{:?}", table.columns());
            let mut columns = table.columns();
            columns.sort();
            assert_eq!(columns, ["city", "order_id", "shop", "status"]);
            assert_eq!(column(&rows, "city"), ["Bern"; 2]);
            assert_eq!(column(&rows, "shop"), ["north"; 2]);
        }
    }
}

#[test]
fn of_two_fields_with_the_same_alias_one_is_the_column() {
    let order = |fields: &str| record("Order", &format!(r#"{fields}, {{"name": "n", "type": "long"}}"#));
    let schemas = [
        order(r#"{"name": "id", "type": "long"}"#),
        order(
            r#"{"name": "a", "type": "long", "aliases": ["id"]}, {"name": "b", "type": "long", "aliases": ["id"]}"#,
        ),
    ];
    let shape = Shape {
        rename: [("id".to_owned(), "order_id".to_owned())].into(),
        ..Shape::default()
    };
    let (one, two) = (framed(1, &[&[2, 4]]), framed(2, &[&[6, 8, 10]]));
    let mut table = Table::new(shape, settings(&schemas), &one);
    let rows = table.read(&[&one, &two]);
    assert_eq!(table.columns(), ["order_id", "n", "b"]);
    assert_eq!(column(&rows, "order_id"), ["1", "3"]);
    assert_eq!(column(&rows, "b"), ["-", "4"]);
}
