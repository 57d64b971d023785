//! Bytes that somebody chose: each is one bad record of a known reason, or a row after all, and memory stays in bounds.

use tabletopic_decode::Reason;

use crate::short_run::within_bounds;
use crate::targets::{self, AVRO_ORDER, Outcome, PROTOBUF_ORDER};

const MIB: usize = 1 << 20;

/// The same bytes over and over.
fn times(count: usize, bytes: &[u8]) -> Vec<u8> {
    bytes.repeat(count)
}

fn between(before: &[u8], middle: Vec<u8>, after: &[u8]) -> Vec<u8> {
    [before, &middle, after].concat()
}

/// An order up to its arrays.
fn avro_before_arrays() -> &'static [u8] {
    &AVRO_ORDER[..AVRO_ORDER.len() - 3]
}

/// A field of a Protobuf message with this length in front; all five bytes of it are written.
fn delimited(number: u8, length: usize) -> Vec<u8> {
    let seven = |at: usize| (length >> (7 * at) & 0x7f) as u8;
    vec![
        number << 3 | 2,
        seven(0) | 0x80,
        seven(1) | 0x80,
        seven(2) | 0x80,
        seven(3) | 0x80,
        seven(4),
    ]
}

/// `levels` JSON lists within each other, as `google.protobuf.Struct` has them: each is the only member of the one
/// around it.
fn nested_struct(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..levels {
        // A Value that is a list (6) of one value (1).
        bytes = between(&delimited(1, bytes.len()), bytes, &[]);
        bytes = between(&delimited(6, bytes.len()), bytes, &[]);
    }
    // Struct.fields, an entry of key "x" and this value; and that in the order's field 11.
    let entry = [&[0x0a, 1, b'x'][..], &delimited(2, bytes.len()), &bytes].concat();
    let whole = between(&delimited(1, entry.len()), entry, &[]);
    between(&delimited(11, whole.len()), whole, &[])
}

#[test]
fn json_that_is_large_or_deep() {
    let expected = [
        // Less than the limit for a record: it is one.
        (
            between(b"{\"note\": \"", vec![b'x'; 10 * MIB], b"\"}"),
            Outcome::Row,
        ),
        (
            between(b"{\"note\": \"", vec![b'x'; 17 * MIB], b"\"}"),
            Outcome::Bad(Reason::TooLarge),
        ),
        (
            between(b"{\"deep\": ", times(10_000, b"["), b""),
            Outcome::Bad(Reason::TooDeep),
        ),
        (times(10_000, b"{\"deep\":"), Outcome::Bad(Reason::TooDeep)),
        (times(10_000, b"["), Outcome::Bad(Reason::TooDeep)),
        (
            between(b"{\"x\": ", times(10_000, b"{\"x\":"), b""),
            Outcome::Bad(Reason::TooDeep),
        ),
        (
            between(b"{\"items\": [", times(200_000, b"{},"), b"{}]}"),
            Outcome::Bad(Reason::TooManyFields),
        ),
        (
            between(b"{\"x\": [", times(200_000, b"[],"), b"[]]}"),
            Outcome::Bad(Reason::TooManyFields),
        ),
        (
            between(b"{\"amount\": ", times(MIB, b"9"), b"}"),
            Outcome::Bad(Reason::OutOfRange),
        ),
        (
            between(b"{\"amount\": 1e", times(1_000, b"9"), b"}"),
            Outcome::Bad(Reason::OutOfRange),
        ),
    ];
    for (data, outcome) in expected {
        assert_eq!(within_bounds(targets::json, &data), outcome, "{:?}", &data[..20]);
    }
}

#[test]
fn avro_that_claims_what_is_not_there() {
    let before = avro_before_arrays();
    let with_arrays = |arrays: &[u8]| [before, arrays].concat();
    let expected = [
        // A string of 4 GiB, and one of 2^62 bytes; a negative length.
        (vec![2, 2, 0x80, 0x80, 0x80, 0x80, 0x20, b'x'], Reason::NotAvro),
        (
            vec![2, 2, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, b'x'],
            Reason::NotAvro,
        ),
        (vec![2, 2, 3, b'x'], Reason::NotAvro),
        // 2^61 nulls; as many as the lowest number, which has no positive one; a block that is shorter than it says.
        (
            with_arrays(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0, 0, 0]),
            Reason::TooManyFields,
        ),
        (
            with_arrays(&[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 0, 0, 0,
            ]),
            Reason::NotAvro,
        ),
        (
            with_arrays(&[3, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0]),
            Reason::NotAvro,
        ),
        // Blocks without end, of one null each.
        (
            between(before, times(200_000, &[2]), &[0, 0, 0]),
            Reason::TooManyFields,
        ),
        (between(before, times(MIB, &[0x80]), &[]), Reason::NotAvro),
        (vec![0xff; 10 * MIB], Reason::NotAvro),
        (vec![0; 10 * MIB], Reason::InvalidValue),
        (vec![0; 17 * MIB], Reason::TooLarge),
    ];
    for (data, reason) in expected {
        let head = &data[..data.len().min(80)];
        assert_eq!(
            within_bounds(targets::avro, &data),
            Outcome::Bad(reason),
            "{head:?}"
        );
        if reason != Reason::TooLarge {
            assert_eq!(
                within_bounds(targets::key, &data),
                Outcome::Bad(reason),
                "{head:?}"
            );
        }
    }
}

#[test]
fn protobuf_that_claims_what_is_not_there() {
    let expected = [
        // A text of nearly 4 GiB; a length of 64 bits.
        (
            [&delimited(2, u32::MAX as usize)[..], b"x"].concat(),
            Outcome::Bad(Reason::NotProtobuf),
        ),
        (
            vec![18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            Outcome::Bad(Reason::NotProtobuf),
        ),
        // Groups and messages within each other.
        (times(10_000, &[15 << 3 | 3]), Outcome::Bad(Reason::TooDeep)),
        (nested_struct(10_000), Outcome::Bad(Reason::TooDeep)),
        (nested_struct(10), Outcome::Row),
        // Fields again and again: the last one counts, and lists grow.
        (times(2 * MIB, &[8, 1]), Outcome::Row),
        (times(200_000, &[34, 0]), Outcome::Bad(Reason::TooManyFields)),
        (times(200_000, &[50, 0]), Outcome::Bad(Reason::TooManyFields)),
        (
            between(&delimited(3, MIB), vec![1; MIB], &[]),
            Outcome::Bad(Reason::TooManyFields),
        ),
        (
            between(&delimited(2, 10 * MIB), vec![b'x'; 10 * MIB], &[]),
            Outcome::Row,
        ),
        (
            between(&delimited(2, 10 * MIB), vec![0xff; 10 * MIB], &[]),
            Outcome::Bad(Reason::InvalidUtf8),
        ),
        (
            between(&delimited(2, 17 * MIB), vec![b'x'; 17 * MIB], &[]),
            Outcome::Bad(Reason::TooLarge),
        ),
    ];
    for (data, outcome) in expected {
        let head = &data[..data.len().min(20)];
        assert_eq!(within_bounds(targets::protobuf, &data), outcome, "{head:?}");
    }
}

#[test]
fn frames_that_lead_nowhere() {
    let framed =
        |framing: u8, header: &[u8], value: &[u8]| [&[framing, header.len() as u8], header, value].concat();
    let order = |frame: &[u8]| [frame, PROTOBUF_ORDER].concat();
    let not_framed = Outcome::Bad(Reason::NotFramed);
    let expected = [
        (framed(0, &[], &order(&[0, 0, 0, 0, 1, 0])), Outcome::Row),
        (framed(0, &[], &order(&[0, 0, 0, 0, 9, 0])), Outcome::Awaits),
        // As many indexes as nobody has, and one that is written in ten bytes.
        (
            framed(0, &[], &order(&[0, 0, 0, 0, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f])),
            not_framed,
        ),
        (
            framed(0, &[], &between(&[0, 0, 0, 0, 1], times(MIB, &[0x80]), &[])),
            not_framed,
        ),
        (framed(1, &[0, 0, 0, 0, 1, 0], PROTOBUF_ORDER), Outcome::Row),
        (framed(1, &[1, 2, 3], PROTOBUF_ORDER), not_framed),
        // A name that is longer than the record, and one of a megabyte.
        (framed(2, &[], b"\0\0\0\0\x01\x07\x0a\x7fOrder"), not_framed),
        (
            framed(
                2,
                &[],
                &between(b"\0\0\0\0\x01\xff\xff\x3f\x0a\xfa\xff\x3f", times(MIB, b"x"), &[]),
            ),
            not_framed,
        ),
        (framed(2, b"x", PROTOBUF_ORDER), not_framed),
        (framed(2, &[0, 0, 0, 0, 0, 0, 0, 1], PROTOBUF_ORDER), not_framed),
    ];
    for (data, outcome) in expected {
        let head = &data[..data.len().min(20)];
        assert_eq!(within_bounds(targets::frame, &data), outcome, "{head:?}");
    }
}

#[test]
fn schemas_that_are_large_or_deep() {
    let nested_avro = |levels: usize| {
        let array = br#"{"type": "array", "items": "#;
        let deep = [times(levels, array), b"\"int\"".to_vec(), times(levels, b"}")].concat();
        between(
            br#"{"type": "record", "name": "R", "fields": [{"name": "x", "type": "#,
            deep,
            b"}]}",
        )
    };
    let doubling = (1..60).fold(String::new(), |text, n| {
        format!("{text} message M{n} {{ M{m} a = 1; M{m} b = 2; }}", m = n - 1)
    });
    let nested_messages = [times(10_000, b"message M { "), times(10_000, b"}")].concat();
    let avro = [
        nested_avro(40),
        nested_avro(10_000),
        times(MIB, b"["),
        b"\"R\"".to_vec(),
    ];
    for schema in avro {
        let outcome = within_bounds(targets::avro_schema, &schema);
        assert_eq!(
            outcome,
            Outcome::Bad(Reason::UnusableSchema),
            "{:?}",
            &schema[..3]
        );
    }
    let protobuf = [
        format!("syntax = \"proto3\"; message M0 {{ int64 id = 1; }} {doubling}").into_bytes(),
        between(b"syntax = \"proto3\"; ", nested_messages, b""),
        times(10_000, b"option x = {"),
        b"syntax = \"proto3\"; message A { A a = 1; }".to_vec(),
    ];
    for schema in &protobuf[1..] {
        let outcome = within_bounds(targets::protobuf_schema, schema);
        assert_eq!(
            outcome,
            Outcome::Bad(Reason::UnusableSchema),
            "{:?}",
            &schema[..30]
        );
    }
    // Its first message is a good one.
    assert_eq!(
        within_bounds(targets::protobuf_schema, &protobuf[0]),
        Outcome::Row
    );
}
