//! Protobuf decoding against independent expectations: the tables of `docs/protobuf.md`, bytes written by hand, and
//! hostile ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{column, decode, longs, names, reasons, records, show, shown, table, unhex};
use iceberg::spec::Schema;
use proptest::prelude::*;
use tabletopic_decode::{
    DecodeSettings, Decoded, Evolution, Format, Import, OnBadRecord, Part, ProtobufEnums, Reason, Recursive,
    WriterSchemas, create_schema, forecast, infer,
};
use tabletopic_records::SchemaId;

/// A topic whose registry has these schemas, under ids from 1.
fn registered(schemas: &[&str]) -> DecodeSettings {
    let writers = WriterSchemas::of_registry();
    for (id, schema) in (1..).zip(schemas) {
        writers.learn_protobuf(SchemaId::Number(id), schema, &[]);
    }
    of(writers)
}

fn of(writers: WriterSchemas) -> DecodeSettings {
    DecodeSettings {
        writers,
        ..DecodeSettings::new("orders", Format::Protobuf)
    }
}

fn of_file(text: &str) -> DecodeSettings {
    of(WriterSchemas::of_proto_file(text, None, |_| None).unwrap())
}

const IMPORTS: &str = r#"
    import "google/protobuf/any.proto"; import "google/protobuf/duration.proto";
    import "google/protobuf/struct.proto"; import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";"#;

fn message(fields: &str) -> String {
    format!("syntax = \"proto3\"; package shop; {IMPORTS} message Order {{ {fields} }}")
}

/// Of the schema's first message.
fn framed(id: u32, body: &[u8]) -> Option<Vec<u8>> {
    Some([&[0][..], &id.to_be_bytes(), &[0], body].concat())
}

fn varint(mut bits: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bits > 0x7f {
        bytes.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    bytes.push(bits as u8);
    bytes
}

/// A field that is a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field that is text, bytes or a message.
fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [&varint(field << 3 | 2), &varint(value.len() as u64), value].concat()
}

/// The table that a sample makes.
fn table_for(settings: &DecodeSettings, values: &[Option<Vec<u8>>]) -> Schema {
    create_schema(&infer(&records(values), settings).unwrap(), settings).unwrap()
}

#[test]
fn every_row_of_the_page_is_so() {
    let page = include_str!("../../../docs/protobuf.md");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| Protobuf field |"))
        .skip(2);
    let mut count = 0;
    for line in rows.take_while(|line| line.starts_with('|')) {
        let cells = line.trim_matches('|').split('|').map(str::trim);
        let [field, column_type, hex, stored] = cells.collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let settings = of_file(&message(field.trim_matches('`')));
        let fields = infer(&[], &settings).unwrap();
        let x = format!("x {}", column_type.trim_matches('`'));
        assert_eq!(names(&fields)[0], x, "{line}");
        let table = create_schema(&fields, &settings).unwrap();
        let decoded = decode(&settings, &table, &[Some(unhex(hex.trim_matches('`')))]);
        let got = match &decoded.bad[..] {
            [] if column(&decoded, "x").is_null(0) => "`NULL`".to_owned(),
            [] => format!("`{}`", show(column(&decoded, "x"), 0)),
            [bad] => format!("*{}*", bad.reason),
            more => panic!("{line}: {more:?}"),
        };
        assert_eq!(got, stored, "{line}: {:?}", decoded.bad);
        count += 1;
    }
    assert_eq!(count, 59);
}

#[test]
fn a_record_says_which_of_the_schemas_messages_it_is() {
    let schema = r#"syntax = "proto3"; message First { int64 a = 1; }
        message Second { message Inner { int64 c = 1; } message Third { int64 d = 1; } int64 b = 1; }"#;
    let settings = registered(&[schema]);
    let table = table("a BIGINT, b BIGINT, d BIGINT");
    let of = |place: &[u8]| Some([&[0, 0, 0, 0, 1], place, &[8, 5]].concat());
    let values = [
        of(&[0]),
        of(&[2, 0]),
        of(&[2, 2]),
        of(&[4, 2, 2]),
        of(&[2, 4]),
        of(&[4, 2, 8]),
        of(&[1, 0]),
        of(&[0x80, 0]),
        of(&[2]),
        of(&[0xff; 10]),
    ];
    let decoded = decode(&settings, &table, &values);
    let not_framed = (4..8).map(|index| (index, Reason::NotFramed));
    let expected: Vec<_> = not_framed.chain([(9, Reason::NotFramed)]).collect();
    // The ninth's index is taken from its body, and is no message's either.
    assert_eq!(
        reasons(&decoded),
        [&expected[..4], &[(8, Reason::NotFramed)], &expected[4..]].concat()
    );
    assert!(
        decoded.bad[2].detail.contains("deprecated"),
        "{:?}",
        decoded.bad[2]
    );
    assert_eq!(longs(&decoded, "a"), [Some(5), Some(5), None, None]);
    assert_eq!(longs(&decoded, "b"), [None, None, Some(5), None]);
    assert_eq!(longs(&decoded, "d"), [None, None, None, Some(5)]);
}

#[test]
fn a_new_table_has_the_columns_of_the_newest_schema() {
    let settings = registered(&[
        &message("int64 id = 1; string note = 2;"),
        &message("int64 id = 1;"),
    ]);
    let sample = [framed(2, &number(1, 1)), framed(1, &number(1, 2)), None];
    assert_eq!(names(&infer(&records(&sample), &settings).unwrap()), ["id long"]);
    assert_eq!(names(&infer(&[], &settings).unwrap()), [] as [&str; 0]);
}

fn added(decoded: &Decoded) -> Vec<(String, usize)> {
    decoded
        .grown
        .iter()
        .map(|grown| (shown(&grown.change), grown.caused_by))
        .collect()
}

#[test]
fn the_table_follows_a_schema_wherever_it_grows() {
    let item = "message Item { int32 a = 1; optional int64 b = 2; }";
    let settings = registered(&[
        "syntax = \"proto3\"; message Order { int32 i = 1; float f = 2; }",
        &format!(
            "syntax = \"proto3\"; {item} message Order {{
                int64 i = 1; double f = 2; Item s = 3; repeated Item l = 4; map<string, Item> m = 5;
                repeated int64 n = 6; uint64 u = 7; }}"
        ),
    ]);
    let framed = |id, body: &[u8]| match id {
        1 => framed(1, body),
        // The second schema's second message.
        id => Some([&[0, 0, 0, 0, id][..], &[2, 2], body].concat()),
    };
    let old = framed(1, &[number(1, 7), vec![0x15, 0, 0, 0, 0x3f]].concat());
    let new = framed(
        2,
        &[number(1, 1 << 40), vec![0x11], 0.1f64.to_le_bytes().to_vec()].concat(),
    );
    let values = [old, new];
    let before = table(
        "i INT, f REAL, s STRUCT<a INT>, l ARRAY<STRUCT<a INT>>, m MAP(VARCHAR, STRUCT<a INT>), n ARRAY<INT>",
    );
    let decoded = decode(&settings, &before, &values);
    let expected = [
        "i -> long",
        "f -> double",
        "s.b long",
        "l.element.b long",
        "m.value.b long",
        "n.element -> long",
        "u decimal(20, 0)",
    ];
    assert_eq!(added(&decoded), expected.map(|change| (change.to_owned(), 1)));
    let decoded = decode(&settings, &table("i BIGINT, f DOUBLE"), &values[..1]);
    assert_eq!((added(&decoded), reasons(&decoded)), (vec![], vec![]));
    assert_eq!(longs(&decoded, "i"), [Some(7)]);
    assert_eq!(column(&decoded, "f").as_primitive::<Float64Type>().value(0), 0.5);

    let strict = DecodeSettings {
        evolution: Evolution {
            add: false,
            widen: false,
            ..Evolution::default()
        },
        ..settings
    };
    let more = framed(2, &bytes(3, &[]));
    let decoded = decode(
        &strict,
        &table("i BIGINT, f DOUBLE"),
        &[values[1].clone(), more.clone()],
    );
    assert_eq!(added(&decoded), []);
    assert_eq!(
        reasons(&decoded),
        [(1, Reason::WrongType)],
        "what is not written is not missed"
    );
    assert_eq!(decoded.bad[0].field.as_deref(), Some("s"));
    let lenient = DecodeSettings {
        on_bad_record: OnBadRecord::NullField,
        ..strict
    };
    let decoded = decode(&lenient, &table("i BIGINT, f DOUBLE"), &[more]);
    assert_eq!((decoded.batch.num_rows(), decoded.bad.len()), (1, 1));
}

#[test]
fn imports_are_what_the_registry_refers_to_and_nothing_else() {
    let address =
        r#"syntax = "proto3"; package shop; import "geo/zip.proto"; message Address { geo.Zip zip = 1; }"#;
    let zip = r#"syntax = "proto3"; package geo; message Zip { string code = 1; }"#;
    let order =
        r#"syntax = "proto3"; package shop; import "shop/address.proto"; message Order { Address to = 1; }"#;
    let import = |name: &str, text: &str| Import {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let writers = WriterSchemas::of_registry();
    let both = [
        import("shop/address.proto", address),
        import("geo/zip.proto", zip),
    ];
    writers.learn_protobuf(SchemaId::Number(1), order, &both);
    writers.learn_protobuf(SchemaId::Number(2), order, &both[..1]);
    let escaping = r#"syntax = "proto3"; import "Cargo.toml"; message Order { int64 id = 1; }"#;
    writers.learn_protobuf(SchemaId::Number(3), escaping, &[]);
    let settings = of(writers);
    let body = bytes(1, &bytes(1, &bytes(1, b"9000")));
    let values = [1, 2, 3].map(|id| framed(id, &body));
    assert_eq!(
        names(&infer(&records(&values), &settings).unwrap()),
        ["to struct<zip: struct<code: string>>"]
    );
    let decoded = decode(&settings, &table_for(&settings, &values), &values);
    assert_eq!(
        reasons(&decoded),
        [(1, Reason::UnusableSchema), (2, Reason::UnusableSchema)]
    );
    assert!(
        decoded.bad[0].detail.contains("geo/zip.proto"),
        "{:?}",
        decoded.bad
    );
    assert!(
        decoded.bad[1].detail.contains("'Cargo.toml' not found"),
        "{:?}",
        decoded.bad
    );
    assert_eq!(show(column(&decoded, "to"), 0), "{zip: {code: 9000}}");
}

#[test]
fn a_schema_may_be_compiled() {
    // name: "order.proto", a message Order with `optional int64 id = 1;`, of proto2.
    let field = [bytes(1, b"id"), number(3, 1), number(4, 1), number(5, 3)].concat();
    let order = [bytes(1, b"Order"), bytes(2, &field)].concat();
    let file = [bytes(1, b"order.proto"), bytes(4, &order)].concat();
    let writers = WriterSchemas::of_registry();
    writers.learn_protobuf(SchemaId::Number(1), &BASE64_STANDARD.encode(&file), &[]);
    let importing = r#"syntax = "proto3"; import "order.proto"; message Orders { repeated Order all = 1; }"#;
    let import = Import {
        name: "order.proto".to_owned(),
        text: BASE64_STANDARD.encode(&file),
    };
    writers.learn_protobuf(SchemaId::Number(2), importing, &[import]);
    let settings = of(writers);
    let values = [framed(1, &number(1, 5))];
    let decoded = decode(&settings, &table_for(&settings, &values), &values);
    assert_eq!(longs(&decoded, "id"), [Some(5)]);
    let values = [framed(2, &bytes(1, &number(1, 5)))];
    assert_eq!(
        names(&infer(&records(&values), &settings).unwrap()),
        ["all list<struct<id: long>>"]
    );
    let set = bytes(1, &file);
    let settings = of(WriterSchemas::of_descriptor_set(&set, None).unwrap());
    assert_eq!(names(&infer(&[], &settings).unwrap()), ["id long"]);
    let refusal = WriterSchemas::of_descriptor_set(&set, Some("Orders")).unwrap_err();
    assert_eq!(refusal, "it has no message Orders; it has Order");
    assert!(WriterSchemas::of_descriptor_set(b"syntax", None).is_err());
}

#[test]
fn a_file_with_several_messages_needs_to_be_told_which() {
    let text =
        r#"syntax = "proto3"; package shop; import "a/b.proto"; message One { B b = 1; } message Two {}"#;
    let import = |name: &str| {
        (name == "a/b.proto").then(|| r#"syntax = "proto3"; message B { int64 c = 1; }"#.to_owned())
    };
    let refusal = WriterSchemas::of_proto_file(text, None, import).unwrap_err();
    assert!(
        refusal.contains("message = \"shop.One\"; there are shop.One, shop.Two"),
        "{refusal}"
    );
    let refusal = WriterSchemas::of_proto_file(text, Some("shop.Three"), import).unwrap_err();
    assert_eq!(refusal, "it has no message shop.Three; it has shop.One, shop.Two");
    let settings = of(WriterSchemas::of_proto_file(text, Some("shop.One"), import).unwrap());
    assert_eq!(names(&infer(&[], &settings).unwrap()), ["b struct<c: long>"]);
}

#[test]
fn schemas_without_columns_are_refused_and_others_beside_them_are_not() {
    let refusal = |schema: &str| WriterSchemas::of_proto_file(schema, None, |_| None).unwrap_err();
    let contains = |schema: &str, part: &str| {
        let refusal = refusal(schema);
        assert!(refusal.contains(part), "{schema}: {refusal}");
    };
    contains(
        "syntax = \"proto3\"; message M { N n = 1; }",
        "'N' is not defined",
    );
    contains("{\"type\": \"record\"}", "does not compile");
    contains("syntax = \"proto3\";", "no message");
    contains(
        &format!("message M {}", "{ message M ".repeat(2_000)),
        "does not compile",
    );
    let options = format!("option (x) = {{ {} }};", "a {".repeat(100_000));
    contains(
        &format!("syntax = \"proto3\"; message M {{ {options} }}"),
        "more than 1000 brackets",
    );
    let mut deep = "message T0 { int64 a = 1; }".to_owned();
    for n in 1..40 {
        deep = format!("message T{n} {{ T{} a = 1; }} {deep}", n - 1);
    }
    contains(
        &message(&format!("{deep} T39 a = 1;")),
        "nested more than 32 deep",
    );
    // Each type uses the one before it twice.
    let mut wide = "message T0 { int64 a = 1; }".to_owned();
    for n in 1..25 {
        let inner = n - 1;
        wide = format!("message T{n} {{ T{inner} a = 1; T{inner} b = 2; }} {wide}");
    }
    contains(&message(&format!("{wide} T24 a = 1;")), "more than 10000 types");

    let schema = "syntax = \"proto3\"; message Node { Node next = 1; } message Order { int64 id = 1; }";
    let settings = registered(&[schema]);
    let order = Some([&[0, 0, 0, 0, 1, 2, 2][..], &number(1, 5)].concat());
    let decoded = decode(&settings, &table("id BIGINT"), &[framed(1, &[]), order]);
    assert_eq!(reasons(&decoded), [(0, Reason::UnusableSchema)]);
    assert!(
        decoded.bad[0]
            .detail
            .contains("schema 1: field next contains itself"),
        "{:?}",
        decoded.bad
    );
    assert_eq!(longs(&decoded, "id"), [Some(5)]);
}

#[test]
fn proto2_says_what_is_there() {
    let settings = of_file(
        r#"syntax = "proto2"; message Order {
            required int64 id = 1; optional int64 with_default = 2 [default = 9]; repeated int64 unpacked = 3;
            optional group Inner = 4 { optional int64 a = 1; repeated group Deep = 2 { optional string b = 1; } }
            enum E { X = 5; Y = 6; } map<string, E> m = 7; optional E e = 8; extensions 100 to 200; }"#,
    );
    let inner = [
        vec![0x23, 0x13],
        bytes(1, b"x"),
        vec![0x14, 0x13, 0x14],
        number(1, 3),
        vec![0x24],
    ]
    .concat();
    let body = [
        number(1, 1),
        bytes(3, &[1, 2]),
        number(3, 3),
        inner,
        bytes(7, &bytes(1, b"k")),
        number(8, 99),
        number(150, 1),
    ]
    .concat();
    let values = [Some(body), Some(vec![])];
    let decoded = decode(&settings, &table_for(&settings, &values), &values);
    assert_eq!(reasons(&decoded), []);
    let row = |row| {
        decoded.batch.columns()[..6]
            .iter()
            .map(|column| show(column, row))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        row(0),
        [
            "1",
            "",
            "[1, 2, 3]",
            "{a: 3, deep: [{b: x}, {b: }]}",
            "{k: X}",
            "99"
        ]
    );
    assert_eq!(row(1), ["", "", "[]", "", "{}", ""]);
    assert_eq!(decoded.unknown_fields, 1, "an extension");
}

#[test]
fn what_is_written_again_is_merged_or_replaced() {
    let settings = of_file(&message(
        r#"message M { int64 a = 1; repeated int64 b = 2; M2 c = 3; } message M2 { int64 d = 1; int64 e = 2; }
           M m = 1; oneof o { M2 left = 2; M2 right = 3; string text = 4; } int64 last = 5;
           google.protobuf.Timestamp at = 6; map<int32, M2> map = 7; google.protobuf.Int64Value w = 8;"#,
    ));
    let body = [
        number(5, 1),
        bytes(1, &[number(1, 1), number(2, 1), bytes(3, &number(1, 4))].concat()),
        bytes(2, &number(1, 7)),
        bytes(3, &number(1, 8)),
        bytes(2, &number(2, 9)),
        bytes(1, &[number(2, 2), bytes(3, &number(2, 5)), number(1, 2)].concat()),
        bytes(6, &number(1, 1_769_851_616)),
        bytes(6, &number(2, 123_456_000)),
        // Two entries of one key: the later replaces the earlier, also when the number is written longer.
        bytes(7, &[number(1, 1), bytes(2, &number(1, 1))].concat()),
        bytes(7, &[number(1, 2), bytes(2, &number(1, 2))].concat()),
        bytes(
            7,
            &[
                vec![0x08, 0x81, 0x00],
                bytes(2, &number(2, 3)),
                bytes(2, &number(1, 3)),
            ]
            .concat(),
        ),
        bytes(8, &number(1, 1)),
        bytes(8, &[]),
        number(5, 2),
    ]
    .concat();
    let values = [Some(body)];
    let decoded = decode(&settings, &table_for(&settings, &values), &values);
    assert_eq!(reasons(&decoded), []);
    let row: Vec<String> = decoded.batch.columns()[..8]
        .iter()
        .map(|column| show(column, 0))
        .collect();
    assert_eq!(
        row,
        [
            "{a: 2, b: [1, 2], c: {d: 4, e: 5}}",
            "{d: 0, e: 9}",
            "",
            "",
            "2",
            "2026-01-31T09:26:56.123456Z",
            "{2: {d: 2, e: 0}, 1: {d: 3, e: 3}}",
            "1"
        ]
    );
}

#[test]
fn numbers_and_enums_fit_the_columns_of_a_ddl_or_are_bad() {
    let mut settings = of_file(&message(
        r#"uint64 u = 1; fixed32 f = 2; enum E { A = 0; B = 1; } E e = 3; int64 at = 4; int32 i = 5; bytes b = 6;"#,
    ));
    settings.infer = false;
    settings.protobuf_enums = ProtobufEnums::Number;
    let table = table("u BIGINT, f DOUBLE, e INT, at TIMESTAMPTZ, i DECIMAL(12,0), b VARCHAR");
    let good = [
        number(1, i64::MAX as u64),
        vec![0x15, 0xff, 0xff, 0xff, 0xff],
        number(3, 7),
        number(4, 1_769_851_616_123),
        number(5, -5i64 as u64),
    ]
    .concat();
    let values = [
        Some(good.clone()),
        Some(number(1, u64::MAX)),
        Some(bytes(6, b"x")),
    ];
    let decoded = decode(&settings, &table, &values);
    let unfit = Reason::WrongType;
    assert_eq!(
        reasons(&decoded),
        [(0, unfit), (1, Reason::OutOfRange), (2, unfit)],
        "bytes are no text"
    );
    settings.on_bad_record = OnBadRecord::NullField;
    let decoded = decode(&settings, &table, &values);
    let row = |row| {
        decoded.batch.columns()[..6]
            .iter()
            .map(|column| show(column, row))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        row(0),
        [
            "9223372036854775807",
            "4294967295.0",
            "7",
            "2026-01-31T09:26:56.123Z",
            "-5",
            ""
        ]
    );
    assert_eq!(row(1)[0], "", "never a negative");
}

#[test]
fn an_event_time_that_is_not_written_is_missing() {
    for (field, body) in [
        ("int64 at = 1;", number(1, 1_769_851_616_123)),
        (
            "google.protobuf.Timestamp at = 1;",
            bytes(1, &number(1, 1_769_851_616)),
        ),
        (
            "google.protobuf.UInt64Value at = 1;",
            bytes(1, &number(1, 1_769_851_616_000)),
        ),
    ] {
        let settings = DecodeSettings {
            event_time: Some("at".to_owned()),
            ..of_file(&message(field))
        };
        let values = [Some(body), Some(vec![]), None];
        let decoded = decode(&settings, &table_for(&settings, &values), &values);
        assert_eq!(reasons(&decoded), [(1, Reason::MissingEventTime)], "{field}");
        assert!(show(column(&decoded, "at"), 0).starts_with("2026-01-31T09:26:56"));
        assert!(column(&decoded, "at").is_null(1), "a tombstone");
    }
}

#[test]
fn json_is_as_deep_as_it_may_be_and_the_last_value_counts() {
    let settings = of_file(&message("google.protobuf.Value x = 1; int64 id = 2;"));
    let mut deep = vec![];
    for _ in 0..40 {
        deep = bytes(6, &bytes(1, &deep));
    }
    let infinity = [vec![0x11], f64::INFINITY.to_le_bytes().to_vec()].concat();
    let entry = |key: &[u8], value: &[u8]| bytes(1, &[bytes(1, key), bytes(2, value)].concat());
    let object = [
        entry(b"a", &number(4, 1)),
        entry(b"b", &bytes(3, b"\"\n")),
        entry(b"a", &[]),
    ]
    .concat();
    let merged = [
        number(1, 0),
        bytes(5, &object),
        bytes(5, &entry(b"c", &number(1, 0))),
    ]
    .concat();
    let body = |value: &[u8]| Some([bytes(1, value), number(2, 1)].concat());
    let values = [body(&deep), body(&infinity), body(&merged), body(&number(5, 1))];
    let table = table_for(&settings, &values);
    let decoded = decode(&settings, &table, &values);
    assert_eq!(
        reasons(&decoded),
        [
            (0, Reason::TooDeep),
            (1, Reason::InvalidValue),
            (3, Reason::NotProtobuf)
        ]
    );
    assert_eq!(
        show(column(&decoded, "x"), 0),
        r#"{"b":"\"\n","a":null,"c":null}"#
    );
    let lenient = DecodeSettings {
        on_bad_record: OnBadRecord::NullField,
        ..settings
    };
    let decoded = decode(&lenient, &table, &values);
    assert_eq!(longs(&decoded, "id"), [Some(1); 3], "only the value is lost");
}

#[test]
fn hostile_bytes_are_one_bad_record_each() {
    let schema = message(
        r#"string s = 1; repeated int32 l = 2; map<string, int32> m = 3; message M { string a = 1; } M n = 4;
           fixed64 f = 5; repeated M r = 6;"#,
    );
    let settings = registered(&[&schema]);
    let groups = |depth: usize| [vec![0x7b; depth], vec![0x7c; depth]].concat();
    let hostile: &[(Vec<u8>, Reason)] = &[
        ([vec![0x0a], varint(4 << 30)].concat(), Reason::NotProtobuf),
        ([vec![0x0a], varint(u64::MAX)].concat(), Reason::NotProtobuf),
        (vec![0xff; 11], Reason::NotProtobuf),
        ([vec![0x10], vec![0xff; 10]].concat(), Reason::NotProtobuf),
        (vec![0x00, 0x00], Reason::NotProtobuf),
        (vec![0x0e], Reason::NotProtobuf),
        (vec![0x0c], Reason::NotProtobuf),
        (number(1, 5), Reason::NotProtobuf),
        (bytes(5, b"12345678"), Reason::NotProtobuf),
        (vec![0x29, 1, 2, 3], Reason::NotProtobuf),
        (bytes(4, &[0x0a, 5, b'x']), Reason::NotProtobuf),
        (bytes(2, &[0x80]), Reason::NotProtobuf),
        (bytes(3, &[0x0a, 9]), Reason::NotProtobuf),
        (bytes(3, &bytes(1, &[0xff])), Reason::InvalidUtf8),
        (groups(101), Reason::TooDeep),
        (vec![0x7b; 10_000], Reason::TooDeep),
        (vec![0x7b, 0x84, 0x01], Reason::NotProtobuf),
        (vec![0x7b], Reason::NotProtobuf),
        (bytes(3, &[]).repeat(100_001), Reason::TooManyFields),
        (bytes(6, &[]).repeat(60_000), Reason::TooManyFields),
        (number(2, 1).repeat(60_000), Reason::TooManyFields),
        (bytes(2, &vec![1; 100_001]), Reason::TooManyFields),
    ];
    let good = [
        bytes(1, b"x"),
        bytes(2, &[1, 2]),
        bytes(3, &[]),
        bytes(4, &[]),
        groups(100),
    ]
    .concat();
    let table = table_for(&settings, &[framed(1, &[])]);
    for (body, reason) in hostile {
        let values = [
            framed(1, &[bytes(2, &[7]), body.clone()].concat()),
            framed(1, &good),
        ];
        let decoded = decode(&settings, &table, &values);
        assert_eq!(
            reasons(&decoded),
            [(0, *reason)],
            "{:x?}",
            &body[..body.len().min(20)]
        );
        let row: Vec<String> = decoded.batch.columns()[..6]
            .iter()
            .map(|column| show(column, 0))
            .collect();
        assert_eq!(row, ["x", "[1, 2]", "{: 0}", "{a: }", "0", "[]"]);
    }
}

/// One field of every kind.
const EVERYTHING: &str = r#"
    bool a = 1; int32 b = 2; optional sint64 c = 3; double d = 4; enum E { A = 0; B = 1; } E e = 5;
    message M { map<string, string> v = 1; } repeated M f = 6; oneof g { int32 g1 = 7; string g2 = 8; }
    repeated fixed32 h = 9; google.protobuf.Timestamp i = 10; google.protobuf.Struct j = 11;
    google.protobuf.BytesValue k = 12; uint64 l = 13;"#;

fn everything() -> Vec<u8> {
    let pair = bytes(1, &[bytes(1, b"k"), bytes(2, b"v")].concat());
    let json = bytes(1, &[bytes(1, b"n"), bytes(2, &number(4, 1))].concat());
    [
        number(1, 1),
        number(2, -7i64 as u64),
        number(3, 17),
        vec![0x21],
        1.5f64.to_le_bytes().to_vec(),
        number(5, 1),
        bytes(6, &pair),
        bytes(6, &[]),
        bytes(8, b"text"),
        bytes(9, &[1, 0, 0, 0, 2, 0, 0, 0]),
        bytes(10, &number(1, 1_769_851_616)),
        bytes(11, &json),
        bytes(12, &bytes(1, b"\x00\xff")),
        number(13, u64::MAX),
    ]
    .concat()
}

const ROW: [&str; 14] = [
    "true",
    "-7",
    "-9",
    "1.5",
    "B",
    "[{v: {k: v}}, {v: {}}]",
    "",
    "text",
    "[1, 2]",
    "2026-01-31T09:26:56Z",
    r#"{"n":true}"#,
    "00ff",
    "18446744073709551615",
    "3",
];

fn table_of_everything() -> (DecodeSettings, Schema) {
    let settings = registered(&[&message(EVERYTHING)]);
    let table = table_for(&settings, &[framed(1, &[])]);
    (settings, table)
}

fn last_row(decoded: &Decoded) -> Vec<String> {
    let row = decoded.batch.num_rows() - 1;
    let columns = decoded.batch.columns()[..ROW.len()].iter();
    columns.map(|column| show(column, row)).collect()
}

#[test]
fn wherever_a_record_ends_early_the_next_one_is_whole() {
    let (settings, table) = table_of_everything();
    let whole = everything();
    for end in 0..whole.len() {
        let values = [framed(1, &whole[..end]), framed(1, &whole)];
        let decoded = decode(&settings, &table, &values);
        // A message may end after any of its fields.
        assert!(
            matches!(reasons(&decoded)[..], [] | [(0, Reason::NotProtobuf)]),
            "cut at {end}: {:?}",
            decoded.bad
        );
        assert_eq!(last_row(&decoded), ROW, "cut at {end}");
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
        prop_assert_eq!(last_row(&decoded), ROW);
    }
}

#[test]
fn a_large_batch_ends_before_it_is_too_large() {
    let settings = registered(&[&message("repeated int32 l = 1;")]);
    let value = framed(1, &bytes(1, &vec![1; 90_000]));
    let values: Vec<_> = std::iter::repeat_n(value, 60).collect();
    let decoded = decode(&settings, &table_for(&settings, &values), &values);
    assert!(decoded.taken < 60, "{}", decoded.taken);
    assert_eq!(decoded.batch.num_rows(), decoded.taken);
    assert_eq!(reasons(&decoded), []);
}

#[test]
fn a_schema_of_another_format_is_unusable() {
    let settings = registered(&[]);
    let avro = r#"{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}"#;
    settings.writers.learn_avro(SchemaId::Number(1), avro, &[]);
    settings.writers.learn_absent(SchemaId::Number(2));
    let decoded = decode(&settings, &table("id BIGINT"), &[framed(1, &[]), framed(2, &[])]);
    assert_eq!(
        reasons(&decoded),
        [(0, Reason::UnusableSchema), (1, Reason::UnknownSchema)]
    );
    assert_eq!(
        decoded.bad[0].detail,
        "schema 1: it is registered as AVRO, and not as PROTOBUF"
    );
    let waiting = decode(&settings, &table("id BIGINT"), &[framed(3, &[])]);
    assert_eq!(waiting.awaits[0].id, SchemaId::Number(3));
}

#[test]
fn a_forecast_says_what_changes_and_what_can_not() {
    let schema = message(
        "int64 id = 1; int64 small = 2; bool name = 3; double new = 4; message At { string zip = 1; int32 city = 2; } \
         At at = 5; repeated string tags = 6; string _kafka_offset = 7;",
    );
    let mut settings = of(WriterSchemas::of_first_message(&schema, |_| None).unwrap());
    settings.event_time = Some("seen".to_owned());
    let table = table(
        "id BIGINT, small INT, name VARCHAR, at STRUCT<city VARCHAR>, tags BIGINT, seen TIMESTAMPTZ, must INT NOT NULL",
    );
    let found = forecast(&settings, Part::Value, &table).unwrap().unwrap();
    let mut changes: Vec<String> = found.changes.iter().map(shown).collect();
    changes.sort();
    assert_eq!(changes, ["at.zip string", "new double", "small -> long"]);
    let mut misfits: Vec<String> = found
        .misfits
        .iter()
        .map(|misfit| format!("{}: {}", misfit.column, misfit.why))
        .collect();
    misfits.sort();
    assert_eq!(
        misfits,
        [
            "at.city: written as what would be int, and the column is string",
            "must: a required column is missing",
            "name: written as what would be boolean, and the column is string",
            "seen: the event time is missing",
            "tags: written as what would be list, and the column is long",
        ]
    );
    assert_eq!(found.left_out, ["_kafka_offset"]);
}

const TREE: &str = r#"syntax = "proto3"; import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
    import "google/protobuf/struct.proto";
    message Order { Node top = 1; int64 id = 2; }
    message Node { string name = 1; Node next = 2; repeated sint32 counts = 3; map<int32, Kind> kinds = 4;
        google.protobuf.Timestamp at = 5; google.protobuf.Int64Value wrapped = 6; google.protobuf.Value any = 7;
        optional bool maybe = 8; bytes raw = 9; repeated Leaf leaves = 10; oneof one { float a = 11; uint64 b = 12; } }
    enum Kind { NONE = 0; SOME = 1; }
    message Leaf { Node back = 1; }"#;

#[test]
fn what_contains_itself_is_refused_or_kept_as_text() {
    let refused = WriterSchemas::of_proto_file(TREE, Some("Order"), |_| None).unwrap();
    let refused = refused.allowed(Recursive::Refuse).unwrap_err();
    assert!(refused.contains("field top.next contains itself"), "{refused}");

    let inner = [
        bytes(1, "\"b\"".as_bytes()),
        bytes(3, &[1, 2]),
        number(3, 3),
        bytes(4, &[number(1, 7), number(2, 1)].concat()),
        bytes(4, &number(1, 8)),
        bytes(4, &[number(1, 7), number(2, 9)].concat()),
        bytes(5, &[number(1, 1_769_851_616), number(2, 123_000_000)].concat()),
        bytes(6, &number(1, 5)),
        bytes(7, &bytes(3, b"v")),
        bytes(9, &[0, 255]),
        bytes(10, &bytes(1, &bytes(1, b"c"))),
        number(12, u64::MAX),
    ]
    .concat();
    let top = [bytes(1, b"a"), bytes(2, &inner), bytes(2, &bytes(1, b"b"))].concat();
    let values = [framed(1, &[bytes(1, &top), number(2, 7)].concat())];
    let mut settings = registered(&[TREE]);
    assert_eq!(
        reasons(&decode(&settings, &table("id BIGINT"), &values)),
        [(0, Reason::UnusableSchema)]
    );
    settings.recursive = Recursive::Json;
    let fields = infer(&records(&values), &settings).unwrap();
    let columns = names(&fields);
    assert!(
        columns[0].starts_with("top struct<name: string, next: string, counts: list<int>,")
            && columns[0].contains("leaves: list<struct<back: string>>"),
        "{columns:?}"
    );
    let decoded = decode(&settings, &create_schema(&fields, &settings).unwrap(), &values);
    assert_eq!(reasons(&decoded), []);
    assert_eq!(longs(&decoded, "id"), [Some(7)]);
    let next = column(&decoded, "top")
        .as_struct()
        .column_by_name("next")
        .unwrap();
    // Written twice, and merged: the last of scalars counts.
    let leaf = r#"{"back":{"name":"c","counts":[],"kinds":{},"raw":"","leaves":[]}}"#;
    assert_eq!(
        next.as_string::<i32>().value(0),
        format!(
            r#"{{"name":"b","counts":[-1,1,-2],"kinds":{{"7":9,"8":"NONE"}},"at":"2026-01-31T09:26:56.123000000Z","wrapped":5,"any":"v","raw":"AP8=","leaves":[{leaf}],"b":18446744073709551615}}"#
        )
    );
}

/// Each message alone has the columns that it would have if it were the only one.
#[test]
fn messages_that_contain_each_other_have_their_own_columns() {
    let schema =
        "syntax = \"proto3\"; message A { B b = 1; int64 x = 2; } message B { A a = 1; int64 y = 2; }";
    let columns = |message: &str| {
        let settings = of(WriterSchemas::of_proto_file(schema, Some(message), |_| None).unwrap());
        names(
            &infer(
                &[],
                &DecodeSettings {
                    recursive: Recursive::Json,
                    ..settings
                },
            )
            .unwrap(),
        )
    };
    assert_eq!(columns("A"), ["b struct<a: string, y: long>", "x long"]);
    assert_eq!(columns("B"), ["a struct<b: string, x: long>", "y long"]);
    let settings = DecodeSettings {
        recursive: Recursive::Json,
        ..registered(&[schema])
    };
    let second = Some([&[0, 0, 0, 0, 1, 2, 2][..], &number(2, 5)].concat());
    let fields = infer(&records(&[second]), &settings).unwrap();
    assert_eq!(names(&fields), columns("B"));
}

#[test]
fn what_contains_itself_is_read_within_limits() {
    let schema = "syntax = \"proto3\"; message Node { Node next = 1; int64 id = 2; }";
    let chain = |links: usize| (0..links).fold(number(2, 1), |inner, _| bytes(1, &inner));
    let settings = DecodeSettings {
        recursive: Recursive::Json,
        ..registered(&[schema])
    };
    let values = [
        framed(1, &chain(3_000)),
        framed(1, &chain(20)),
        framed(1, &number(2, 5)),
    ];
    let decoded = decode(&settings, &table("id BIGINT, next VARCHAR"), &values);
    assert_eq!(reasons(&decoded), [(0, Reason::TooDeep)]);
    assert_eq!(longs(&decoded, "id"), [Some(0), Some(5)]);
}
