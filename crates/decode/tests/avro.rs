//! Avro decoding against independent expectations: the tables of `docs/avro.md`, bytes written by hand, and hostile
//! ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int32Type};
use common::{column, decode, longs, names, reasons, records, show, table, type_name, unhex};
use iceberg::spec::Schema;
use proptest::prelude::*;
use tabletopic_decode::{
    Awaited, Change, DecodeSettings, Decoded, Evolution, Forecast, Format, FormerNames, Ignored, OnBadRecord,
    Part, Reason, Recursive, WriterSchemas, create_schema, decoder, forecast, infer,
};
use tabletopic_records::SchemaId;

/// A topic whose registry has these schemas, under ids from 1.
fn registered(schemas: &[&str]) -> DecodeSettings {
    let writers = WriterSchemas::of_registry();
    for (id, schema) in (1..).zip(schemas) {
        writers.learn_avro(SchemaId::Number(id), schema, &[]);
    }
    DecodeSettings {
        writers,
        ..DecodeSettings::new("orders", Format::Avro)
    }
}

fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "Order", "namespace": "shop", "fields": [{fields}]}}"#)
}

fn framed(id: u32, body: &[u8]) -> Option<Vec<u8>> {
    Some([&[0][..], &id.to_be_bytes(), body].concat())
}

fn long(value: i64) -> Vec<u8> {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    while bits > 0x7f {
        bytes.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    bytes.push(bits as u8);
    bytes
}

fn text(value: &str) -> Vec<u8> {
    [long(value.len() as i64), value.as_bytes().to_vec()].concat()
}

#[test]
fn every_row_of_the_page_is_so() {
    let page = include_str!("../../../docs/avro.md");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| Avro type |"))
        .skip(2);
    let mut count = 0;
    for line in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [ty, column_type, bytes, stored] = cells[..] else {
            panic!("{line}");
        };
        let schema = record(&format!(r#"{{"name": "x", "type": {}}}"#, ty.trim_matches('`')));
        let settings = DecodeSettings {
            writers: WriterSchemas::of_avro_file(&schema, Part::Value).unwrap(),
            ..DecodeSettings::new("orders", Format::Avro)
        };
        let fields = infer(&[], &settings).unwrap();
        assert_eq!(
            names(&fields),
            [format!("x {}", column_type.trim_matches('`'))],
            "{line}"
        );
        let table = create_schema(&fields, &settings).unwrap();
        let decoded = decode(&settings, &table, &[Some(unhex(bytes.trim_matches('`')))]);
        let got = match &decoded.bad[..] {
            [] if column(&decoded, "x").is_null(0) => "`NULL`".to_owned(),
            [] => format!("`{}`", show(column(&decoded, "x"), 0)),
            [bad] => format!("*{}*", bad.reason),
            more => panic!("{line}: {more:?}"),
        };
        assert_eq!(got, stored, "{line}: {:?}", decoded.bad);
        count += 1;
    }
    assert_eq!(count, 43);
}

const ID: &str = r#"{"name": "id", "type": "long"}"#;
const NOTE: &str = r#"{"name": "note", "type": "string", "default": "none"}"#;

#[test]
fn a_new_table_has_the_columns_of_the_newest_schema() {
    let settings = registered(&[&record(&format!("{ID}, {NOTE}")), &record(ID)]);
    let sample = [
        framed(2, &long(1)),
        framed(1, &[long(2), text("x")].concat()),
        None,
    ];
    assert_eq!(names(&infer(&records(&sample), &settings).unwrap()), ["id long"]);
    assert_eq!(names(&infer(&[], &settings).unwrap()), [] as [&str; 0]);
    let settings = DecodeSettings {
        event_time: Some("meta.at".to_owned()),
        ..settings
    };
    assert_eq!(
        names(&infer(&[], &settings).unwrap()),
        ["meta struct<at: timestamptz>"]
    );
}

#[test]
fn records_of_two_schemas_in_turns_each_have_their_own_fields() {
    let settings = registered(&[
        &record(&format!("{ID}, {NOTE}")),
        &record(&format!("{NOTE}, {ID}")),
        &record(ID),
    ]);
    let table = table("id BIGINT, note VARCHAR");
    let values = [
        framed(1, &[long(1), text("a")].concat()),
        framed(3, &long(2)),
        framed(2, &[text("c"), long(3)].concat()),
        framed(1, &[long(4), text("d")].concat()),
    ];
    let decoded = decode(&settings, &table, &values);
    assert_eq!(reasons(&decoded), []);
    assert_eq!(longs(&decoded, "id"), [Some(1), Some(2), Some(3), Some(4)]);
    let notes: Vec<Option<&str>> = column(&decoded, "note").as_string::<i32>().iter().collect();
    assert_eq!(
        notes,
        [Some("a"), None, Some("c"), Some("d")],
        "a default is no value of a record"
    );
}

fn shown(change: &Change) -> String {
    match change {
        Change::AddColumn { parent, name, ty } => {
            let parent = parent.iter().map(|part| format!("{part}.")).collect::<String>();
            format!("{parent}{name} {}", type_name(ty))
        }
        Change::Widen { path, to } => format!("{} -> {to}", path.join(".")),
        Change::MakeOptional { path } => format!("optional {}", path.join(".")),
        Change::Rename { path, to } => format!("rename {} to {to}", path.join(".")),
    }
}

fn added(decoded: &Decoded) -> Vec<(String, usize)> {
    let grown = decoded.grown.iter();
    grown
        .map(|grown| (shown(&grown.change), grown.caused_by))
        .collect()
}

#[test]
fn the_first_good_record_of_a_schema_asks_for_what_the_table_lacks() {
    let settings = registered(&[&record(ID), &record(&format!("{ID}, {NOTE}"))]);
    let values = [
        framed(1, &long(1)),
        framed(2, &[1, 4, 3]),
        framed(2, &[long(2), text("b")].concat()),
    ];
    let decoded = decode(&settings, &table("id BIGINT"), &values);
    assert_eq!(added(&decoded), [("note string".to_owned(), 2)]);
    assert_eq!(decoded.batch.num_rows(), 0);
    let only_bad = decode(&settings, &table("id BIGINT"), &values[..2]);
    assert_eq!(added(&only_bad), []);
    assert_eq!(reasons(&only_bad), [(1, Reason::NotAvro)]);
}

#[test]
fn one_schema_is_followed_at_a_time() {
    let text_note = record(r#"{"name": "note", "type": "string"}"#);
    let long_note = record(r#"{"name": "note", "type": "long"}"#);
    let settings = registered(&[&text_note, &long_note]);
    let values = [framed(2, &long(7)), framed(1, &text("x"))];
    let decoded = decode(&settings, &table("id BIGINT"), &values);
    assert_eq!(added(&decoded), [("note long".to_owned(), 0)]);
    let decoded = decode(&settings, &table("id BIGINT, note BIGINT"), &values);
    assert_eq!(reasons(&decoded), [(1, Reason::WrongType)]);
    assert_eq!(longs(&decoded, "note"), [Some(7)]);
}

#[test]
fn columns_are_added_wherever_a_record_may_stand() {
    let inner = |fields: &str| format!(r#"{{"type": "record", "name": "I", "fields": [{fields}]}}"#);
    let new = inner(r#"{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "long"]}"#);
    let settings = registered(&[&record(&format!(
        r#"{{"name": "s", "type": {new}}}, {{"name": "l", "type": {{"type": "array", "items": "I"}}}},
           {{"name": "m", "type": {{"type": "map", "values": ["null", "I"]}}}},
           {{"name": "u", "type": ["null", "int", "string", "boolean"]}}"#
    ))]);
    let table = table(
        "s STRUCT<a INT>, l ARRAY<STRUCT<a INT>>, m MAP(VARCHAR, STRUCT<a INT>), u STRUCT<int INT, string VARCHAR>",
    );
    let member = [long(1), long(0)].concat();
    let list = [long(1), member.clone(), long(0)].concat();
    let map = [long(1), text("k"), long(1), member.clone(), long(0)].concat();
    let body = [member, list, map, vec![6, 1]].concat();
    let decoded = decode(&settings, &table, &[framed(1, &body)]);
    let expected = [
        "s.b long",
        "l.element.b long",
        "m.value.b long",
        "u.boolean boolean",
    ];
    assert_eq!(added(&decoded), expected.map(|change| (change.to_owned(), 0)));
}

#[test]
fn columns_are_widened_and_narrower_values_fit() {
    let wide = record(
        r#"{"name": "i", "type": "long"}, {"name": "f", "type": "double"},
           {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}"#,
    );
    let narrow = record(
        r#"{"name": "i", "type": "int"}, {"name": "f", "type": "float"},
           {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}}"#,
    );
    let settings = registered(&[&narrow, &wide]);
    let new = framed(
        2,
        &[long(1 << 40), 0.1f64.to_le_bytes().to_vec(), vec![2, 1]].concat(),
    );
    let old = framed(1, &[long(7), 0.5f32.to_le_bytes().to_vec(), vec![2, 2]].concat());
    let values = [old, new];
    let decoded = decode(&settings, &table("i INT, f REAL, d DECIMAL(5,2)"), &values);
    assert_eq!(
        added(&decoded),
        ["i -> long", "f -> double", "d -> decimal(9, 2)"].map(|change| (change.to_owned(), 1))
    );
    let decoded = decode(&settings, &table("i BIGINT, f DOUBLE, d DECIMAL(9,2)"), &values);
    assert_eq!(reasons(&decoded), []);
    assert_eq!(longs(&decoded, "i"), [Some(7), Some(1 << 40)]);
    let floats: Vec<_> = column(&decoded, "f")
        .as_primitive::<Float64Type>()
        .values()
        .to_vec();
    assert_eq!(floats, [0.5, 0.1]);
    assert_eq!(
        [0, 1].map(|row| show(column(&decoded, "d"), row)),
        ["0.02", "0.01"]
    );
}

#[test]
fn what_evolution_leaves_out_is_bad() {
    let settings = registered(&[&record(&format!("{ID}, {NOTE}")), &record(ID)]);
    let values = [framed(1, &[long(1), text("a")].concat()), framed(2, &long(2))];
    let strict = DecodeSettings {
        evolution: Evolution {
            add: false,
            widen: false,
            ..Evolution::default()
        },
        ..settings
    };
    let decoded = decode(&strict, &table("id BIGINT"), &values);
    assert_eq!(added(&decoded), []);
    assert_eq!(reasons(&decoded), [(0, Reason::WrongType)]);
    assert_eq!(decoded.bad[0].field.as_deref(), Some("note"));
    assert_eq!(longs(&decoded, "id"), [Some(2)]);
    let decoded = decode(&strict, &table("id INT"), &values);
    assert_eq!(
        reasons(&decoded),
        [(0, Reason::WrongType), (1, Reason::WrongType)]
    );
    let lenient = DecodeSettings {
        on_bad_record: OnBadRecord::NullField,
        ..strict
    };
    let decoded = decode(&lenient, &table("id BIGINT"), &values);
    assert_eq!(longs(&decoded, "id"), [Some(1), Some(2)]);
    assert!(decoded.bad.iter().all(|bad| bad.nulled));
}

/// What a decoder asks for.
fn asked(decoded: &Decoded) -> Vec<String> {
    decoded.grown.iter().map(|grown| shown(&grown.change)).collect()
}

/// A table with other names for its columns, by id.
fn renamed(schema: &Schema, names: &[(i32, &str)]) -> Schema {
    let fields = schema.as_struct().fields().iter().map(|field| {
        let mut field = (**field).clone();
        if let Some((_, name)) = names.iter().find(|(id, _)| *id == field.id) {
            field.name = (*name).to_owned();
        }
        field.into()
    });
    Schema::builder().with_fields(fields).build().unwrap()
}

fn following(settings: DecodeSettings, evolution: Evolution) -> DecodeSettings {
    DecodeSettings {
        evolution,
        ..settings
    }
}

const RENAME: Evolution = Evolution {
    add: true,
    widen: true,
    optional: false,
    rename: true,
};

#[test]
fn a_column_takes_the_name_of_a_field_that_has_it_as_an_alias() {
    const TITLE: &str = r#"{"name": "title", "type": "string", "aliases": ["subject", "note"]}"#;
    let schemas = [
        record(&format!("{ID}, {NOTE}")),
        record(&format!("{ID}, {TITLE}")),
    ];
    let settings = registered(&[&schemas[0], &schemas[1]]);
    let before = table("id BIGINT, note VARCHAR");
    let values = [
        framed(1, &[long(1), text("a")].concat()),
        framed(2, &[long(2), text("b")].concat()),
    ];
    let add = decode(&settings, &before, &values);
    assert_eq!(asked(&add), ["title string"], "unless it is told to");

    let settings = following(settings, RENAME);
    let decoded = decode(&settings, &before, &values);
    assert_eq!(asked(&decoded), ["rename note to title"]);
    assert_eq!(decoded.grown[0].caused_by, 1);

    // Both fill it from then on, in whichever order they come, also where nothing but the table remembers.
    let after = renamed(&before, &[(2, "title")]);
    let settings = DecodeSettings {
        former_names: FormerNames::of(&after, [&before, &after].into_iter()),
        ..settings
    };
    for turn in [[0, 1], [1, 0]] {
        let values = turn.map(|number: usize| values[number].clone());
        let decoded = decode(&settings, &after, &values);
        assert_eq!((asked(&decoded), reasons(&decoded)), (vec![], vec![]));
        let titles: Vec<_> = column(&decoded, "title")
            .as_string::<i32>()
            .iter()
            .flatten()
            .collect();
        assert_eq!(titles, turn.map(|number| ["a", "b"][number]));
    }
}

#[test]
fn a_column_that_got_a_name_never_gets_its_former_one_back() {
    const BACK: &str = r#"{"name": "note", "type": "string", "aliases": ["title"]}"#;
    const NEWEST: &str = r#"{"name": "text", "type": "string", "aliases": ["note"]}"#;
    let schemas = [
        record(&format!("{ID}, {BACK}")),
        record(&format!("{ID}, {NEWEST}")),
    ];
    let settings = following(registered(&[&schemas[0], &schemas[1]]), RENAME);
    let before = table("id BIGINT, note VARCHAR");
    let after = renamed(&before, &[(2, "title")]);
    let settings = DecodeSettings {
        former_names: FormerNames::of(&after, [&before].into_iter()),
        ..settings
    };
    for id in [1, 2] {
        let decoded = decode(&settings, &after, &[framed(id, &[long(1), text("a")].concat())]);
        assert_eq!(
            (asked(&decoded), reasons(&decoded)),
            (vec![], vec![]),
            "schema {id}"
        );
        assert_eq!(show(column(&decoded, "title"), 0), "a");
    }
}

#[test]
fn a_rename_goes_as_deep_as_the_table_and_stops_at_names_that_are_not_free() {
    let inner = r#"{"type": "record", "name": "R", "fields": [
        {"name": "street", "type": "string", "aliases": ["road"]}, {"name": "floor", "type": "long"}
    ]}"#;
    let schema = record(&format!(
        r#"{ID}, {{"name": "places", "type": {{"type": "array", "items": {inner}}}, "aliases": ["stops"]}},
           {{"name": "_kafka_offset", "type": "string", "aliases": ["a"]}},
           {{"name": "ID", "type": "string", "aliases": ["b"]}},
           {{"name": "made", "type": "long", "aliases": ["at"]}}"#
    ));
    let settings = DecodeSettings {
        event_time: Some("at".to_owned()),
        ..following(registered(&[&schema]), RENAME)
    };
    let before = table("id BIGINT, stops STRUCT<road VARCHAR>[], a VARCHAR, b VARCHAR, at TIMESTAMPTZ");
    let body = [
        long(1),
        long(1),
        text("x"),
        long(3),
        long(0),
        text("no"),
        text("no"),
        long(1_769_851_616_123),
    ];
    let decoded = decode(&settings, &before, &[framed(1, &body.concat())]);
    assert_eq!(reasons(&decoded), []);
    assert_eq!(
        asked(&decoded),
        [
            "rename stops.element.road to street",
            "stops.element.floor long",
            "rename stops to places"
        ]
    );
    assert_eq!(decoded.unknown_fields, 2, "{decoded:?}");
}

#[test]
fn a_required_column_takes_nulls_once_its_field_may_be_one_or_is_gone() {
    let schemas = [
        record(ID),
        record(&format!(
            r#"{ID}, {{"name": "n", "type": ["null", "long"]}}, {{"name": "m", "type": "long"}}"#
        )),
    ];
    let values = [
        framed(1, &long(1)),
        framed(2, &[long(1), long(0), long(5)].concat()),
    ];
    let settings = registered(&[&schemas[0], &schemas[1]]);
    let strict = table("id BIGINT, n BIGINT NOT NULL, m BIGINT NOT NULL");
    let decoded = decode(&settings, &strict, &values);
    assert_eq!(
        (asked(&decoded), reasons(&decoded)),
        (
            vec![],
            vec![(0, Reason::MissingRequired), (1, Reason::MissingRequired)]
        )
    );
    let settings = following(
        settings,
        Evolution {
            optional: true,
            ..Evolution::default()
        },
    );
    assert_eq!(
        asked(&decode(&settings, &strict, &values[..1])),
        ["optional n", "optional m"]
    );
    assert_eq!(asked(&decode(&settings, &strict, &values[1..])), ["optional n"]);
}

#[test]
fn a_schema_is_judged_before_any_record_has_it() {
    let judged = |evolution, columns: &str, fields: &str| {
        let settings = DecodeSettings {
            writers: WriterSchemas::of_avro_file(&record(fields), Part::Value).unwrap(),
            event_time: Some("at".to_owned()),
            evolution,
            ..DecodeSettings::new("orders", Format::Avro)
        };
        let Forecast {
            changes,
            misfits,
            left_out,
        } = forecast(&settings, Part::Value, &table(columns))
            .unwrap()
            .unwrap();
        let misfits: Vec<String> = misfits.iter().map(|misfit| misfit.column.clone()).collect();
        (changes.len(), misfits, left_out)
    };
    let none = Vec::<String>::new;
    let columns = "at TIMESTAMPTZ, id BIGINT, n INT NOT NULL, r STRUCT<a INT>";
    const AT: &str = r#"{"name": "at", "type": "long"}"#;
    const N: &str = r#"{"name": "n", "type": "int"}"#;
    assert_eq!(
        judged(RENAME, columns, &format!("{AT}, {N}")),
        (0, none(), none())
    );
    let fields = format!(
        r#"{ID}, {{"name": "n", "type": ["null", "string"]}}, {{"name": "_kafka_x", "type": "int"}},
           {{"name": "r", "type": {{"type": "record", "name": "R", "fields": [
               {{"name": "a", "type": ["int", "string"]}}, {{"name": "b", "type": "int"}}
           ]}}}}"#
    );
    let bad = ["n", "n", "r.a", "at"].map(str::to_owned).to_vec();
    assert_eq!(
        judged(RENAME, columns, &fields),
        (1, bad, vec!["_kafka_x".to_owned()])
    );
    let strict = Evolution {
        add: false,
        ..Evolution::default()
    };
    let added = format!("{AT}, {N}, {NOTE}");
    assert_eq!(
        judged(strict, columns, &added),
        (0, vec!["note".to_owned()], none())
    );
    let json = DecodeSettings::new("orders", Format::Json);
    assert!(forecast(&json, Part::Value, &table(columns)).unwrap().is_none());
}

#[test]
fn a_value_of_another_type_is_bad_or_null_and_its_null_fits() {
    let schema = record(
        r#"{"name": "a", "type": ["null", {"type": "array", "items": "string"}]}, {"name": "id", "type": "long"}"#,
    );
    let settings = registered(&[&schema]);
    let list = [vec![2], long(2), text("x"), text("y"), long(0)].concat();
    let values = [
        framed(1, &[list, long(1)].concat()),
        framed(1, &[vec![0], long(2)].concat()),
    ];
    let table = table("a BIGINT, id BIGINT");
    let decoded = decode(&settings, &table, &values);
    assert_eq!(reasons(&decoded), [(0, Reason::WrongType)]);
    assert_eq!(decoded.bad[0].field.as_deref(), Some("a"));
    assert_eq!(longs(&decoded, "id"), [Some(2)]);
    let lenient = DecodeSettings {
        on_bad_record: OnBadRecord::NullField,
        ..settings
    };
    let decoded = decode(&lenient, &table, &values);
    assert_eq!(
        longs(&decoded, "id"),
        [Some(1), Some(2)],
        "it is read on behind the value"
    );
    assert_eq!(longs(&decoded, "a"), [None, None]);
}

#[test]
fn a_ddl_table_takes_what_it_has_columns_for() {
    let mut settings = registered(&[&record(&format!("{ID}, {NOTE}"))]);
    settings.infer = false;
    let decoded = decode(
        &settings,
        &table("extra INT, id BIGINT"),
        &[framed(1, &[long(1), text("a")].concat())],
    );
    assert_eq!(
        (longs(&decoded, "id"), decoded.unknown_fields),
        (vec![Some(1)], 1)
    );
    assert!(column(&decoded, "extra").as_primitive::<Int32Type>().is_null(0));
    let decoded = decode(
        &settings,
        &table("id BIGINT, must INT NOT NULL"),
        &[framed(1, &[long(1), text("a")].concat()), None],
    );
    assert_eq!(
        reasons(&decoded),
        [(0, Reason::MissingRequired), (1, Reason::MissingRequired)]
    );
}

#[test]
fn names_that_no_table_can_have_are_left_out() {
    let settings = registered(&[&record(
        r#"{"name": "Id", "type": "long"}, {"name": "id", "type": "long"}, {"name": "_kafka_offset", "type": "long"},
           {"name": "_Kafka_x", "type": "long"}, {"name": "nothing", "type": "null"}"#,
    )]);
    let value = framed(1, &[long(1), long(2), long(3), long(4)].concat());
    let fields = infer(&records(std::slice::from_ref(&value)), &settings).unwrap();
    assert_eq!(names(&fields), ["Id long"]);
    let decoded = decode(&settings, &create_schema(&fields, &settings).unwrap(), &[value]);
    assert_eq!(
        (longs(&decoded, "Id"), decoded.unknown_fields),
        (vec![Some(1)], 3)
    );
    assert_eq!(longs(&decoded, "_kafka_offset"), [Some(0)]);
}

#[test]
fn an_event_time_may_be_a_plain_number() {
    let schema = record(
        r#"{"name": "m", "type": {"type": "record", "name": "M", "fields": [{"name": "at", "type": ["null", "long"]}]}}"#,
    );
    let settings = DecodeSettings {
        event_time: Some("m.at".to_owned()),
        ..registered(&[&schema])
    };
    let at = |millis: i64| framed(1, &[vec![2], long(millis)].concat());
    let values = [
        at(1_769_851_616_123),
        at(1),
        at(9_999_999_999_999),
        framed(1, &[0]),
        None,
    ];
    let fields = infer(&records(&values), &settings).unwrap();
    assert_eq!(names(&fields), ["m struct<at: timestamptz>"]);
    let decoded = decode(&settings, &create_schema(&fields, &settings).unwrap(), &values);
    assert_eq!(
        reasons(&decoded),
        [(2, Reason::AbsurdEventTime), (3, Reason::MissingEventTime)]
    );
    assert_eq!(show(column(&decoded, "m"), 0), "{at: 2026-01-31T09:26:56.123Z}");
}

#[test]
fn a_record_waits_for_its_schema_and_is_not_bad() {
    let settings = registered(&[&record(ID)]);
    let values = [
        framed(1, &long(1)),
        framed(9, &long(2)),
        framed(1, &long(3)),
        framed(8, &long(4)),
    ];
    assert_eq!(
        settings.missing(&records(&values)),
        [SchemaId::Number(8), SchemaId::Number(9)]
    );
    let table = table("id BIGINT");
    let mut decoder = decoder(&settings, &table).unwrap();
    let decoded = decoder.decode(&records(&values)).unwrap();
    let awaited = |index, id| Awaited {
        index,
        id: SchemaId::Number(id),
    };
    assert_eq!(decoded.awaits, [awaited(1, 9), awaited(3, 8)]);
    assert_eq!((decoded.batch.num_rows(), reasons(&decoded)), (0, vec![]));
    settings.writers.learn_avro(SchemaId::Number(9), &record(ID), &[]);
    settings.writers.learn_absent(SchemaId::Number(8));
    let decoded = decoder.decode(&records(&values)).unwrap();
    assert_eq!(decoded.awaits, []);
    assert_eq!(longs(&decoded, "id"), [Some(1), Some(2), Some(3)]);
    assert_eq!(reasons(&decoded), [(3, Reason::UnknownSchema)]);
    settings.writers.forget_absent(SchemaId::Number(9));
    settings.writers.forget_absent(SchemaId::Number(8));
    assert_eq!(settings.missing(&records(&values)), [SchemaId::Number(8)]);
}

#[test]
fn frames_and_schemas_that_are_none_are_told_apart() {
    let settings = registered(&[&record(ID), "{", r#""string""#]);
    settings
        .writers
        .learn_unusable(SchemaId::Number(4), "it is registered as PROTOBUF".to_owned());
    let values = [
        Some(vec![]),
        Some(vec![0, 0, 0, 0]),
        Some(b"{\"id\": 1}".to_vec()),
        framed(2, &[]),
        framed(3, &[]),
        framed(4, &[]),
        framed(1, &[]),
        framed(1, &[2, 2]),
        framed(1, &long(5)),
        None,
    ];
    let decoded = decode(&settings, &table("id BIGINT"), &values);
    let expected = [
        Reason::NotFramed,
        Reason::NotFramed,
        Reason::NotFramed,
        Reason::UnusableSchema,
        Reason::UnusableSchema,
        Reason::UnusableSchema,
        Reason::NotAvro,
        Reason::NotAvro,
    ];
    assert_eq!(reasons(&decoded), (0..).zip(expected).collect::<Vec<_>>());
    assert_eq!(longs(&decoded, "id"), [Some(5), None]);
}

#[test]
fn schemas_may_refer_to_others() {
    let writers = WriterSchemas::of_registry();
    let address = r#"{"type": "record", "name": "Address", "namespace": "c", "fields": [{"name": "zip", "type": "Zip"}]}"#;
    let zip = r#"{"type": "fixed", "name": "c.Zip", "size": 2}"#;
    let order =
        record(r#"{"name": "from", "type": "c.Address"}, {"name": "to", "type": ["null", "c.Address"]}"#);
    writers.learn_avro(SchemaId::Number(1), &order, &[address.to_owned(), zip.to_owned()]);
    let settings = DecodeSettings {
        writers,
        ..DecodeSettings::new("orders", Format::Avro)
    };
    let value = framed(1, b"ab\x02cd");
    let fields = infer(&records(std::slice::from_ref(&value)), &settings).unwrap();
    assert_eq!(
        names(&fields),
        ["from struct<zip: fixed(2)>", "to struct<zip: fixed(2)>"]
    );
    let decoded = decode(&settings, &create_schema(&fields, &settings).unwrap(), &[value]);
    assert_eq!(show(column(&decoded, "to"), 0), "{zip: 6364}");
}

const TREE: &str = r#"{"name": "top", "type": {"type": "record", "name": "Node", "fields": [
    {"name": "name", "type": "string"}, {"name": "next", "type": ["null", "Node"]},
    {"name": "kinds", "type": {"type": "array", "items": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}},
    {"name": "more", "type": {"type": "map", "values": ["boolean", "float", "bytes", "Node"]}}]}}"#;

/// A node without `next`, or around one.
fn node(name: &str, next: Option<Vec<u8>>, more: &[u8]) -> Vec<u8> {
    let next = next.map_or_else(|| long(0), |next| [long(1), next].concat());
    let kinds = [long(2), long(1), long(0), long(0)].concat();
    let price = [long(1), vec![0x96]].concat();
    [
        text(name),
        next,
        kinds,
        long(1_769_851_616_123),
        price,
        more.to_vec(),
    ]
    .concat()
}

#[test]
fn what_is_passed_over_asks_for_nothing_and_refuses_nothing() {
    let schema = record(r#"{"name": "id", "type": "long"}, {"name": "secret", "type": "string"}"#);
    let mut settings = registered(&[&schema]);
    let values = [framed(1, &[long(7), text("x")].concat())];
    settings.evolution.add = false;
    let decoded = decode(&settings, &table("id BIGINT"), &values);
    assert_eq!(reasons(&decoded), [(0, Reason::WrongType)]);
    settings.ignored = Ignored::new(&[vec!["secret".to_owned()]], &[], &[], &[]);
    let decoded = decode(&settings, &table("id BIGINT"), &values);
    assert_eq!(
        (reasons(&decoded), longs(&decoded, "id")),
        (vec![], vec![Some(7)])
    );
    assert_eq!(decoded.unknown_fields, 0);
}

#[test]
fn what_contains_itself_is_refused_or_kept_as_text() {
    let schema = record(&format!(r#"{TREE}, {{"name": "id", "type": "long"}}"#));
    let refused = WriterSchemas::of_avro_file(&schema, Part::Value)
        .unwrap()
        .allowed(Recursive::Refuse);
    assert!(refused.unwrap_err().contains("type shop.Node contains itself"));
    let more = [
        [long(3), text("f"), long(1), 0.1f32.to_le_bytes().to_vec()].concat(),
        [text("b"), long(2), long(2), vec![0, 255]].concat(),
        [text("t"), long(0), vec![1], long(0)].concat(),
    ]
    .concat();
    let tree = node("a", Some(node("\"b\"", None, &more)), &long(0));
    let values = [framed(1, &[tree, long(7)].concat())];
    let mut settings = registered(&[&schema]);
    let decoded = decode(&settings, &table("id BIGINT"), &values);
    assert_eq!(reasons(&decoded), [(0, Reason::UnusableSchema)]);
    assert!(
        decoded.bad[0].detail.contains("schema.recursive = \"json\""),
        "{:?}",
        decoded.bad
    );

    settings.recursive = Recursive::Json;
    let fields = infer(&records(&values), &settings).unwrap();
    let columns = names(&fields);
    assert!(
        columns[0].starts_with("top struct<name: string, next: string, kinds: list<string>,")
            && columns[0].ends_with(
                "more: map<string, struct<boolean: boolean, float: float, bytes: binary, Node: string>>>"
            ),
        "{columns:?}"
    );
    let decoded = decode(&settings, &create_schema(&fields, &settings).unwrap(), &values);
    assert_eq!(reasons(&decoded), []);
    assert_eq!(longs(&decoded, "id"), [Some(7)]);
    let next = column(&decoded, "top")
        .as_struct()
        .column_by_name("next")
        .unwrap();
    assert_eq!(
        next.as_string::<i32>().value(0),
        r#"{"name":"\"b\"","next":null,"kinds":["B","A"],"at":"2026-01-31T09:26:56.123Z","price":-1.06,"#
            .to_owned()
            + r#""more":{"f":0.1,"b":"AP8=","t":true}}"#
    );
    // What has no column is read past.
    settings.infer = false;
    let decoded = decode(&settings, &table("id BIGINT"), &values);
    assert_eq!(
        (longs(&decoded, "id"), decoded.unknown_fields),
        (vec![Some(7)], 1)
    );
}

#[test]
fn what_contains_itself_is_read_within_limits() {
    let endless = record(r#"{"name": "id", "type": "long"}, {"name": "next", "type": "Order"}"#);
    let chain = record(r#"{"name": "id", "type": "long"}, {"name": "next", "type": ["null", "Order"]}"#);
    let deep = |links: usize| {
        let links = [long(0), long(1)].concat().repeat(links);
        [links, long(0), long(0)].concat()
    };
    let settings = DecodeSettings {
        recursive: Recursive::Json,
        ..registered(&[&endless, &chain])
    };
    let values = [
        framed(1, &vec![0; 10_000]),
        framed(2, &deep(10_000)),
        framed(2, &deep(20)),
    ];
    let decoded = decode(&settings, &table("id BIGINT, next VARCHAR"), &values);
    assert_eq!(reasons(&decoded), [(0, Reason::TooDeep), (1, Reason::TooDeep)]);
    assert_eq!(longs(&decoded, "id"), [Some(0)]);
}

#[test]
fn schemas_without_columns_are_refused() {
    let refusal = |schema: &str| WriterSchemas::of_avro_file(schema, Part::Value).unwrap_err();
    let contains = |schema: &str, part: &str| {
        let refusal = refusal(schema);
        assert!(refusal.contains(part), "{schema}: {refusal}");
    };
    contains(
        &record(r#"{"name": "x", "type": "Missing"}"#),
        "uses shop.Missing",
    );
    contains(&record(&format!("{ID}, {ID}")), "field id twice");
    contains(r#"["null", "string"]"#, "has to be an Avro record");
    contains(
        r#"{"type": "record", "name": "r", "fields": [{"name": "x", "type": {"type": "fixed", "name": "f", "size": 1e9}}]}"#,
        "between 1 and 1024",
    );
    contains(
        &record(
            r#"{"name": "x", "type": {"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 2}}"#,
        ),
        "38",
    );
    let mut deep = r#""int""#.to_owned();
    for _ in 0..40 {
        deep = format!(r#"{{"type": "array", "items": {deep}}}"#);
    }
    contains(
        &record(&format!(r#"{{"name": "x", "type": {deep}}}"#)),
        "more than 32 deep",
    );
    // Each type uses the one before it twice.
    let mut fields =
        vec![r#"{"name": "f0", "type": {"type": "record", "name": "T0", "fields": []}}"#.to_owned()];
    for n in 1..25 {
        let inner = n - 1;
        fields.push(format!(
            r#"{{"name": "f{n}", "type": {{"type": "record", "name": "T{n}", "fields": [{{"name": "a", "type": "T{inner}"}}, {{"name": "b", "type": "T{inner}"}}]}}}}"#
        ));
    }
    contains(&record(&fields.join(", ")), "more than 10000 types");
}

#[test]
fn lengths_are_not_believed() {
    let schema = record(
        r#"{"name": "n", "type": {"type": "array", "items": "null"}}, {"name": "s", "type": ["null", "string"]},
           {"name": "m", "type": {"type": "map", "values": {"type": "record", "name": "E", "fields": []}}}"#,
    );
    let settings = registered(&[&schema]);
    let table = table("s VARCHAR");
    let hostile: &[(&[Vec<u8>], Reason)] = &[
        (&[long(1 << 60)], Reason::TooManyFields),
        (&[long(i64::MIN), long(0)], Reason::NotAvro),
        (&[long(-1), long(-1)], Reason::NotAvro),
        (&[long(-1), long(i64::MAX)], Reason::NotAvro),
        (&[long(0), vec![2], long(4 << 30)], Reason::NotAvro),
        (&[long(0), vec![2], long(i64::MAX)], Reason::NotAvro),
        (&[long(0), vec![2], long(-1)], Reason::NotAvro),
        (&[long(0), vec![4]], Reason::NotAvro),
        (&[long(0), vec![0xff; 10]], Reason::NotAvro),
        (&[long(0), vec![0], long(1 << 60)], Reason::TooManyFields),
    ];
    for (parts, reason) in hostile {
        let values = [framed(1, &parts.concat()), framed(1, &[0, 2, 2, b'x', 0])];
        let decoded = decode(&settings, &table, &values);
        assert_eq!(reasons(&decoded), [(0, *reason)], "{parts:?}");
        assert_eq!(show(column(&decoded, "s"), 0), "x");
    }
    // The same where the table has the columns.
    let schema = record(r#"{"name": "l", "type": {"type": "array", "items": ["null", "int"]}}"#);
    let settings = registered(&[&schema]);
    let fields = infer(&records(&[framed(1, &[0])]), &settings).unwrap();
    let table = create_schema(&fields, &settings).unwrap();
    for (body, reason) in [
        (long(1 << 60), Reason::TooManyFields),
        ([long(i64::MIN), long(8)].concat(), Reason::TooManyFields),
        (
            [long(50_000), vec![0; 50_000], long(50_001)].concat(),
            Reason::TooManyFields,
        ),
        ([long(3), vec![0, 0]].concat(), Reason::NotAvro),
    ] {
        let decoded = decode(&settings, &table, &[framed(1, &body), framed(1, &[2, 2, 2, 0])]);
        assert_eq!(reasons(&decoded), [(0, reason)]);
        assert_eq!(show(column(&decoded, "l"), 0), "[1]");
    }
}

/// One field of every kind.
const EVERYTHING: &str = r#"
    {"name": "a", "type": "boolean"}, {"name": "b", "type": "int"}, {"name": "c", "type": ["null", "long"]},
    {"name": "d", "type": "double"}, {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
    {"name": "f", "type": {"type": "array", "items": {"type": "map", "values": ["null", "string"]}}},
    {"name": "g", "type": ["null", "int", "string", {"type": "fixed", "name": "F", "size": 3}]},
    {"name": "h", "type": {"type": "array", "items": {"type": "record", "name": "R", "fields": [
        {"name": "x", "type": {"type": "fixed", "name": "P", "size": 12, "logicalType": "duration"}},
        {"name": "y", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9}}]}}},
    {"name": "i", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "j", "type": {"type": "long", "logicalType": "timestamp-millis"}}"#;

fn everything() -> Vec<u8> {
    [
        vec![1],
        long(-7),
        vec![2],
        long(9),
        1.5f64.to_le_bytes().to_vec(),
        vec![2],
        [
            long(2),
            long(1),
            text("k"),
            vec![2],
            text("v"),
            long(0),
            long(0),
            long(0),
        ]
        .concat(),
        [vec![6], b"abc".to_vec()].concat(),
        [long(-1), long(15), vec![1; 12], vec![4, 1, 2], long(0)].concat(),
        text("01234567-89ab-cdef-0123-456789abcdef"),
        long(1_769_851_616_123),
    ]
    .concat()
}

fn table_of_everything() -> (DecodeSettings, Schema) {
    let settings = registered(&[&record(EVERYTHING)]);
    let fields = infer(&records(&[framed(1, &[])]), &settings).unwrap();
    let table = create_schema(&fields, &settings).unwrap();
    (settings, table)
}

#[test]
fn wherever_a_record_ends_early_the_next_one_is_whole() {
    let (settings, table) = table_of_everything();
    let whole = everything();
    for end in 0..whole.len() {
        let values = [framed(1, &whole[..end]), framed(1, &whole)];
        let decoded = decode(&settings, &table, &values);
        assert_eq!(reasons(&decoded), [(0, Reason::NotAvro)], "cut at {end}");
        let row: Vec<String> = decoded.batch.columns()[..10]
            .iter()
            .map(|column| show(column, 0))
            .collect();
        assert_eq!(
            row,
            [
                "true",
                "-7",
                "9",
                "1.5",
                "B",
                "[{k: v}, {}]",
                "{int: , string: , F: 616263}",
                "[{x: {months: 16843009, days: 16843009, millis: 16843009}, y: 258}]",
                "0123456789abcdef0123456789abcdef",
                "2026-01-31T09:26:56.123Z"
            ]
        );
    }
}

proptest! {
    /// Any bytes, and good ones with some changed: every record is a row or bad, and the good one behind is a row.
    #[test]
    fn no_bytes_do_harm(
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        changes in proptest::collection::vec((0usize..120, any::<u8>()), 1..4),
        null_field in any::<bool>(),
    ) {
        let (mut settings, table) = table_of_everything();
        if null_field {
            settings.on_bad_record = OnBadRecord::NullField;
        }
        let mut changed = everything();
        let length = changed.len();
        for (at, byte) in changes {
            changed[at % length] = byte;
        }
        let values = [framed(1, &noise), framed(1, &changed), framed(1, &everything())];
        let decoded = decode(&settings, &table, &values);
        let lost = decoded.bad.iter().filter(|bad| !bad.nulled).count();
        prop_assert_eq!(decoded.taken, 3);
        prop_assert_eq!(decoded.batch.num_rows() + lost, 3);
        prop_assert!(decoded.bad.iter().all(|bad| bad.index < 2));
    }
}

#[test]
fn a_large_batch_ends_before_it_is_too_large() {
    let schema = record(
        r#"{"name": "l", "type": {"type": "array", "items": "null"}}, {"name": "e", "type": {"type": "array", "items": ["null", "int"]}}"#,
    );
    let settings = registered(&[&schema]);
    let value = framed(1, &[long(0), long(90_000), vec![0; 90_000], long(0)].concat());
    let values: Vec<_> = std::iter::repeat_n(value, 60).collect();
    let fields = infer(&records(&values), &settings).unwrap();
    let decoded = decode(&settings, &create_schema(&fields, &settings).unwrap(), &values);
    assert!(decoded.taken < 60, "{}", decoded.taken);
    assert_eq!(decoded.batch.num_rows(), decoded.taken);
    assert_eq!(reasons(&decoded), []);
}
