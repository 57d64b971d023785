//! Decoding by JSON Schema against independent expectations: the tables of `docs/json-schema.md`, and schemas as people
//! and generators write them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use arrow::array::{Array, AsArray};
use common::{column, decode, names, reasons, records, show, shown, table};
use tabletopic_decode::{
    DecodeSettings, Decoded, Evolution, Format, Import, OnBadRecord, Part, Reason, Recursive, WriterSchemas,
    create_schema, forecast, infer,
};
use tabletopic_records::SchemaId;

/// A topic whose registry has these schemas, under ids from 1.
fn registered(schemas: &[&str]) -> DecodeSettings {
    let writers = WriterSchemas::of_registry();
    for (id, schema) in (1..).zip(schemas) {
        writers.learn_json(SchemaId::Number(id), schema, &[]);
    }
    DecodeSettings {
        writers,
        ..DecodeSettings::new("orders", Format::JsonSchema)
    }
}

fn of_file(schema: &str) -> DecodeSettings {
    DecodeSettings {
        writers: WriterSchemas::of_json_schema(schema, &[]).unwrap(),
        ..DecodeSettings::new("orders", Format::JsonSchema)
    }
}

fn object(properties: &str) -> String {
    format!(
        r##"{{"type": "object", "properties": {{{properties}}},
        "$defs": {{"item": {{"type": "object", "properties": {{"sku": {{"type": "string"}}}}}}}}}}"##
    )
}

fn framed(id: u32, body: &str) -> Option<Vec<u8>> {
    Some([&[0][..], &id.to_be_bytes(), body.as_bytes()].concat())
}

fn plain(body: &str) -> Option<Vec<u8>> {
    Some(body.as_bytes().to_vec())
}

fn texts<'a>(decoded: &'a Decoded, name: &str) -> Vec<Option<&'a str>> {
    column(decoded, name).as_string::<i32>().iter().collect()
}

fn columns(settings: &DecodeSettings) -> Vec<String> {
    names(&infer(&[], settings).unwrap())
}

#[test]
fn every_row_of_the_page_is_so() {
    let page = include_str!("../../../docs/json-schema.md");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| JSON Schema |"))
        .skip(2);
    let mut count = 0;
    for line in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [schema, column_type, value, stored] = cells[..] else {
            panic!("{line}");
        };
        let settings = of_file(&object(&format!(r#""x": {}"#, schema.trim_matches('`'))));
        let fields = infer(&[], &settings).unwrap();
        assert_eq!(
            names(&fields),
            [format!("x {}", column_type.trim_matches('`'))],
            "{line}"
        );
        let table = create_schema(&fields, &settings).unwrap();
        let value = format!(r#"{{"x": {}}}"#, value.trim_matches('`'));
        let decoded = decode(&settings, &table, &[plain(&value)]);
        let got = match &decoded.bad[..] {
            [] if column(&decoded, "x").is_null(0) => "`NULL`".to_owned(),
            [] => format!("`{}`", show(column(&decoded, "x"), 0)),
            [bad] => format!("*{}*", bad.reason),
            more => panic!("{line}: {more:?}"),
        };
        assert_eq!(got, stored, "{line}: {:?}", decoded.bad);
        assert_eq!(decoded.grown, [], "{line}");
        count += 1;
    }
    assert_eq!(count, 43);
}

#[test]
fn each_record_is_read_by_its_own_schema() {
    let settings = registered(&[
        &object(r#""x": {"type": "string"}"#),
        &object(r#""x": {"type": ["string", "integer"]}"#),
    ]);
    let values = [
        framed(1, r#"{"x": "a"}"#),
        framed(2, r#"{"x": "a"}"#),
        framed(2, r#"{"x": 5}"#),
        framed(1, r#"{"x": "b"}"#),
        framed(1, r#"{"x": 5}"#),
    ];
    let decoded = decode(&settings, &table("x VARCHAR"), &values);
    assert_eq!(reasons(&decoded), [(4, Reason::WrongType)]);
    assert_eq!(
        texts(&decoded, "x"),
        [Some("a"), Some(r#""a""#), Some("5"), Some("b")]
    );
}

#[test]
fn the_first_good_record_of_a_schema_asks_for_what_the_table_lacks() {
    let first = object(
        r##""id": {"type": "integer"}, "tags": {"type": "array", "items": {"$ref": "#/$defs/item"}}"##,
    );
    let second = r#"{"properties": {"id": {"type": "integer"}, "note": {"type": "string"}, "NOTE": {"type": "string"},
        "_kafka_x": {"type": "string"},
        "tags": {"items": {"properties": {"sku": {"type": "string"}, "n": {"type": "integer"}}}}}}"#;
    let settings = registered(&[&first, second]);
    let table = create_schema(
        &infer(&records(&[framed(1, "{}")]), &settings).unwrap(),
        &settings,
    )
    .unwrap();
    let values = [
        framed(1, r#"{"id": 1, "note": "no property of its schema"}"#),
        framed(2, r#"{"id": "x"}"#),
        framed(2, r#"{"id": 2}"#),
    ];
    let decoded = decode(&settings, &table, &values);
    let grown: Vec<(String, usize)> = decoded
        .grown
        .iter()
        .map(|grown| (shown(&grown.change), grown.caused_by))
        .collect();
    assert_eq!(
        grown,
        [
            ("note string".to_owned(), 2),
            ("tags.element.n long".to_owned(), 2)
        ]
    );
    assert_eq!(decoded.unknown_fields, 1);
    assert_eq!(decoded.batch.num_rows(), 0);
}

#[test]
fn a_table_that_may_not_grow_refuses_just_the_fields_that_it_lacks() {
    let schema = object(
        r#""id": {"type": "integer"}, "at": {"properties": {"zip": {"type": "string"}, "city": {"type": "string"}}}"#,
    );
    let mut settings = registered(&[&schema]);
    settings.evolution = Evolution {
        add: false,
        ..Evolution::default()
    };
    let table = table("id BIGINT, at STRUCT<city VARCHAR>");
    let values = [
        framed(1, r#"{"id": 1, "other": 5, "at": {"city": "Bonn"}}"#),
        framed(1, r#"{"id": 2, "at": {"zip": "53111"}}"#),
    ];
    let decoded = decode(&settings, &table, &values);
    assert_eq!(reasons(&decoded), [(1, Reason::WrongType)]);
    assert_eq!(decoded.bad[0].field.as_deref(), Some("at.zip"));
    settings.on_bad_record = OnBadRecord::NullField;
    let decoded = decode(&settings, &table, &values);
    assert_eq!(decoded.batch.num_rows(), 2);
    assert!(decoded.bad[0].nulled);
}

#[test]
fn a_schema_that_is_not_known_yet_is_awaited() {
    let settings = registered(&[&object(r#""id": {"type": "integer"}"#)]);
    let decoded = decode(
        &settings,
        &table("id BIGINT"),
        &[framed(1, r#"{"id": 1}"#), framed(7, "{}"), None],
    );
    assert_eq!(
        decoded
            .awaits
            .iter()
            .map(|awaited| (awaited.index, awaited.id))
            .collect::<Vec<_>>(),
        [(1, SchemaId::Number(7))]
    );
}

#[test]
fn references_lead_to_other_schemas_by_name_or_id() {
    let imports = [
        Import {
            name: "item.json".to_owned(),
            text: r##"{"definitions": {"it~m/": {"$anchor": "it", "$ref": "more.json"}}}"##.to_owned(),
        },
        Import {
            name: "more.json".to_owned(),
            text: r#"{"$id": "https://shop.example/more", "properties": {"n": {"type": "integer"}}}"#
                .to_owned(),
        },
    ];
    for reference in [
        "item.json#/definitions/it~0m~1",
        "item.json#it",
        "more.json",
        "more.json#",
    ] {
        let schema = format!(r#"{{"properties": {{"x": {{"$ref": "{reference}"}}}}}}"#);
        let settings = DecodeSettings {
            writers: WriterSchemas::of_json_schema(&schema, &imports).unwrap(),
            ..DecodeSettings::new("orders", Format::JsonSchema)
        };
        assert_eq!(columns(&settings), ["x struct<n: long>"], "{reference}");
    }
    let by_id = r#"{"$id": "https://shop.example/order", "properties": {
        "x": {"$ref": "more"}, "y": {"$ref": "more.json"}}}"#;
    let both = DecodeSettings {
        writers: WriterSchemas::of_json_schema(
            by_id,
            &[
                imports[1].clone(),
                Import {
                    name: "more".to_owned(),
                    text: r#"{"type": "string"}"#.to_owned(),
                },
            ],
        )
        .unwrap(),
        ..DecodeSettings::new("orders", Format::JsonSchema)
    };
    assert_eq!(columns(&both)[1], "y struct<n: long>");
    for (schema, problem) in [
        (
            r#"{"properties": {"x": {"$ref": "none.json"}}}"#,
            "refers to none.json, which is not there",
        ),
        (
            r##"{"properties": {"x": {"$ref": "#/$defs/none"}}}"##,
            "leads nowhere",
        ),
    ] {
        let found = WriterSchemas::of_json_schema(schema, &imports).unwrap_err();
        assert!(found.contains(problem), "{found}");
    }
}

/// What a generator makes of a class: the schema itself is a reference.
#[test]
fn the_schema_may_be_a_reference_and_its_parts_may_be_shared() {
    let settings = of_file(
        r##"{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/Order", "definitions": {
            "Named": {"properties": {"name": {"type": "string"}}},
            "Person": {"allOf": [{"$ref": "#/definitions/Named"}], "properties": {"age": {"type": "integer"}}},
            "Order": {"type": "object", "required": ["buyer"], "if": {"required": ["seller"]},
                "allOf": [{"$ref": "#/definitions/Named"}, {"$ref": "#/definitions/Named"}],
                "anyOf": [{"required": ["buyer"]}, {"required": ["seller"]}],
                "properties": {"buyer": {"$ref": "#/definitions/Person"}, "seller": {"$ref": "#/definitions/Person"},
                    "limit": {"type": "integer", "maximum": 18446744073709551616}}}}}"##,
    );
    assert_eq!(
        columns(&settings),
        [
            "name string",
            "buyer struct<name: string, age: long>",
            "seller struct<name: string, age: long>",
            "limit long"
        ]
    );
}

#[test]
fn what_contains_itself_is_refused_or_kept_as_text() {
    let tree = r##"{"properties": {"id": {"type": "integer"}, "top": {"$ref": "#/$defs/node"}}, "$defs": {"node":
        {"properties": {"name": {"type": "string"}, "next": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}}}}}"##;
    let mut settings = registered(&[tree]);
    let values = [framed(
        1,
        r#"{"id": 1, "top": {"name": "a", "next": {"name": "b"}}}"#,
    )];
    let decoded = decode(&settings, &table("id BIGINT"), &values);
    assert_eq!(reasons(&decoded), [(0, Reason::UnusableSchema)]);
    let detail = &decoded.bad[0].detail;
    assert!(
        detail.contains("schema 1: field top.next contains itself") && detail.contains("schema.recursive"),
        "{detail}"
    );
    let file = WriterSchemas::of_json_schema(tree, &[]).unwrap();
    assert!(file.allowed(Recursive::Refuse).is_err());
    settings.recursive = Recursive::Json;
    let fields = infer(&records(&values), &settings).unwrap();
    assert_eq!(
        names(&fields),
        ["id long", "top struct<name: string, next: string>"]
    );
    let decoded = decode(&settings, &create_schema(&fields, &settings).unwrap(), &values);
    assert_eq!(
        show(column(&decoded, "top"), 0),
        r#"{name: a, next: {"name": "b"}}"#
    );
}

/// Each of these once had, or could have, a parser run away.
#[test]
fn schemas_are_read_within_limits() {
    let doubling: Vec<String> = (0..40)
        .map(|n| {
            format!(
                r##""d{n}": {{"allOf": [{{"$ref": "#/$defs/d{0}"}}, {{"$ref": "#/$defs/d{0}"}}]}}"##,
                n + 1
            )
        })
        .collect();
    let growing: Vec<String> = (0..40)
        .map(|n| {
            let next = format!(r##"{{"$ref": "#/$defs/d{}"}}"##, n + 1);
            format!(r#""d{n}": {{"properties": {{"a": {next}, "b": {next}}}}}"#)
        })
        .collect();
    let choosing: Vec<String> = (0..400)
        .map(|n| {
            let next = format!(r##"{{"$ref": "#/$defs/d{}"}}"##, n + 1);
            format!(r#""d{n}": {{"anyOf": [{next}, {{"type": "string"}}]}}"#)
        })
        .collect();
    let schema = |defs: &[String], last: usize| {
        format!(
            r##"{{"properties": {{"x": {{"$ref": "#/$defs/d0"}}}}, "$defs": {{{}, "d{last}": {{"type": "string"}}}}}}"##,
            defs.join(", ")
        )
    };
    assert_eq!(columns(&of_file(&schema(&doubling, 40))), ["x string"]);
    let refused = |text: &str| WriterSchemas::of_json_schema(text, &[]).unwrap_err();
    let found = refused(&schema(&growing, 40));
    assert!(
        found.contains("more than 32 deep") || found.contains("more than 10000"),
        "{found}"
    );
    let found = refused(&schema(&choosing, 400));
    assert!(found.contains("lead from one to the next"), "{found}");
    let deep = format!("{}{}", r#"{"items":"#.repeat(5_000), "1");
    assert!(refused(&deep).contains("not JSON"), "{}", refused(&deep));
    for (text, problem) in [
        ("5", "has to be an object"),
        (r#"{"type": "object"}"#, "with `properties`"),
        (r#"{"type": "array", "items": {}}"#, "with `properties`"),
        (r##"{"$ref": "#"}"##, "with `properties`"),
        (
            r#"{"properties": {"x": {"type": "int"}}}"#,
            "property x: there is no type \"int\"",
        ),
        (
            r##"{"properties": {"x": {"$dynamicRef": "#x"}}}"##,
            "`$dynamicRef`",
        ),
    ] {
        let found = refused(text);
        assert!(found.contains(problem), "{text}: {found}");
    }
}

#[test]
fn a_forecast_says_what_changes_and_what_can_not() {
    let schema = object(
        r#""id": {"type": "integer"}, "small": {"type": "integer"}, "name": {"type": "boolean"},
        "at": {"type": "string", "format": "date-time"}, "new": {"type": "number"}, "tags": {"items": {}},
        "_kafka_offset": {"type": "integer"}"#,
    );
    let settings = DecodeSettings {
        event_time: Some("seen".to_owned()),
        ..of_file(&schema)
    };
    let table = table(
        "id BIGINT, small INT, name VARCHAR, at TIMESTAMPTZ, tags BIGINT, seen TIMESTAMPTZ, must INT NOT NULL",
    );
    let found = forecast(&settings, Part::Value, &table).unwrap().unwrap();
    let changes: Vec<String> = found.changes.iter().map(shown).collect();
    assert_eq!(changes, ["small -> long", "new double"]);
    let misfits: Vec<(&str, &str)> = found
        .misfits
        .iter()
        .map(|misfit| (misfit.column.as_str(), misfit.why.as_str()))
        .collect();
    assert_eq!(
        misfits,
        [
            ("name", "it is a boolean, and the column is string"),
            ("tags", "it is a list, and the column is long"),
            ("seen", "the event time is missing"),
            ("must", "a required column is missing"),
        ]
    );
    assert_eq!(found.left_out, ["_kafka_offset"]);
}

#[test]
fn an_event_time_may_be_text_or_a_number() {
    let settings = DecodeSettings {
        event_time: Some("meta.at".to_owned()),
        ..of_file(&object(
            r#""meta": {"properties": {"at": {"type": ["integer", "string"]}}}"#,
        ))
    };
    let fields = infer(&[], &settings).unwrap();
    assert_eq!(names(&fields), ["meta struct<at: timestamptz>"]);
    let values = [
        plain(r#"{"meta": {"at": 1769851616123}}"#),
        plain(r#"{"meta": {"at": "2026-01-31T09:26:56.123Z"}}"#),
        plain(r#"{"meta": {}}"#),
    ];
    let decoded = decode(&settings, &create_schema(&fields, &settings).unwrap(), &values);
    assert_eq!(reasons(&decoded), [(2, Reason::MissingEventTime)]);
    assert_eq!(
        show(column(&decoded, "meta"), 0),
        show(column(&decoded, "meta"), 1)
    );
}
