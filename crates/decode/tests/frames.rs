//! How records say which schema they were written with: Confluent's and Apicurio's frames, in front of the value and in
//! headers. `tests/e2e/apicurio.rs` has what Apicurio's own serializers write.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use tabletopic_decode::{
    ApicurioIds, DecodeSettings, Format, Framing, Reason, WriterSchemas, create_schema, decoder, infer,
};
use tabletopic_records::{Record, SchemaId};

const ORDER: &str = r#"{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}"#;
const MESSAGES: &str = "syntax = \"proto3\"; package shop;
    message Refund { string reason = 1; }
    message Order { int64 id = 1; message Line { int64 id = 1; } }";

type Headers = Vec<(String, Option<Vec<u8>>)>;

/// A value, and the headers of its record.
type Written<'a> = (&'a [u8], &'a [(&'a str, &'a [u8])]);

/// Of each record, its id or why it is bad.
fn read(settings: &DecodeSettings, values: &[Written<'_>]) -> Vec<Result<i64, Reason>> {
    let header = |(name, value): &(&str, &[u8])| ((*name).to_owned(), Some(value.to_vec()));
    let headers: Vec<Headers> = values
        .iter()
        .map(|(_, headers)| headers.iter().map(header).collect())
        .collect();
    let records: Vec<Record<'_>> = (0..)
        .zip(values.iter().zip(&headers))
        .map(|(offset, ((value, _), headers))| Record {
            partition: 0,
            offset,
            timestamp: Some(1_769_851_616_123),
            key: None,
            value: Some(value),
            headers,
        })
        .collect();
    let table = create_schema(&infer(&records, settings).unwrap(), settings).unwrap();
    let decoded = decoder(settings, &table).unwrap().decode(&records).unwrap();
    assert_eq!((decoded.grown, decoded.awaits), (vec![], vec![]));
    let ids = decoded.batch.column_by_name("id").unwrap();
    let mut ids = ids.as_primitive::<Int64Type>().values().iter();
    let reason = |i: usize| {
        decoded
            .bad
            .iter()
            .find(|bad| bad.index == i)
            .map(|bad| bad.reason)
    };
    let read = (0..values.len()).map(|i| reason(i).map_or_else(|| Ok(*ids.next().unwrap()), Err));
    read.collect()
}

/// Orders in Avro, under each of the ids.
fn avro(framing: Framing, ids: &[SchemaId]) -> DecodeSettings {
    let writers = WriterSchemas::of_registry();
    ids.iter().for_each(|id| writers.learn_avro(*id, ORDER, &[]));
    writers.learn_absent(SchemaId::Number(9));
    DecodeSettings {
        writers,
        framing,
        ..DecodeSettings::new("orders", Format::Avro)
    }
}

fn protobuf(framing: Framing, id: SchemaId) -> DecodeSettings {
    let writers = WriterSchemas::of_registry();
    writers.learn_protobuf(id, MESSAGES, &[]);
    DecodeSettings {
        writers,
        framing,
        ..DecodeSettings::new("orders", Format::Protobuf)
    }
}

const GUID: [u8; 16] = *b"0123456789abcdef";

#[test]
fn confluents_ids_are_in_front_and_its_guids_too() {
    let settings = avro(Framing::Confluent, &[SchemaId::Number(7), SchemaId::Guid(GUID)]);
    let guid = [&[1][..], &GUID, &[4]].concat();
    let header = [&[1][..], &GUID].concat();
    let read = read(
        &settings,
        &[
            (&[0, 0, 0, 0, 7, 2], &[]),
            (&guid, &[]),
            (&[0, 0, 0, 0, 9, 2], &[]),
            (&guid[..16], &[]),
            (&[0, 0, 0, 0], &[]),
            (&[], &[]),
            (&[2, 0, 0, 0, 7, 2], &[]),
            // Nobody asked for headers to be read.
            (&[8], &[("__value_schema_id", &header)]),
        ],
    );
    let not_framed = Err(Reason::NotFramed);
    assert_eq!(
        read,
        [
            Ok(1),
            Ok(2),
            Err(Reason::UnknownSchema),
            not_framed,
            not_framed,
            not_framed,
            not_framed,
            not_framed,
        ]
    );
}

#[test]
fn confluents_header_has_what_would_be_in_front() {
    let ids = [SchemaId::Number(7), SchemaId::Guid(GUID)];
    let settings = avro(Framing::ConfluentHeader, &ids);
    let guid = [&[1][..], &GUID].concat();
    let read_avro = read(
        &settings,
        &[
            (&[2], &[("__value_schema_id", &guid)]),
            (&[4], &[("x", b"y"), ("__value_schema_id", &[0, 0, 0, 0, 7])]),
            // The last one counts, and the key's says nothing of the value.
            (&[6], &[("__value_schema_id", &[5]), ("__value_schema_id", &guid)]),
            (&[0, 0, 0, 0, 7, 8], &[("__key_schema_id", &guid)]),
            (&[2], &[("__value_schema_id", &[5])]),
            (&[2], &[]),
        ],
    );
    assert_eq!(
        read_avro,
        [
            Ok(1),
            Ok(2),
            Ok(3),
            Ok(4),
            Err(Reason::NotFramed),
            Err(Reason::NotFramed)
        ]
    );

    let settings = protobuf(Framing::ConfluentHeader, SchemaId::Guid(GUID));
    let order = [&guid[..], &[2, 2]].concat();
    let nothing = [&guid[..], &[2, 8]].concat();
    let read_protobuf = read(
        &settings,
        &[
            (&[8, 1], &[("__value_schema_id", &order)]),
            (&[8, 2], &[("__value_schema_id", &nothing)]),
            (&[8, 2], &[("__value_schema_id", &guid)]),
        ],
    );
    assert_eq!(
        read_protobuf,
        [Ok(1), Err(Reason::NotFramed), Err(Reason::NotFramed)]
    );
}

#[test]
fn apicurios_ids_are_in_front_in_eight_or_four_bytes_or_in_headers() {
    let global = SchemaId::Global(7);
    let settings = avro(
        Framing::Apicurio(ApicurioIds::Global),
        &[global, SchemaId::Content(5)],
    );
    let five = 5u64.to_be_bytes();
    let seven = 7u64.to_be_bytes();
    let (not_framed, not_avro) = (Err(Reason::NotFramed), Err(Reason::NotAvro));
    let read = read(
        &settings,
        &[
            (&[0, 0, 0, 0, 0, 0, 0, 0, 7, 2], &[]),
            (&[0, 0, 0, 0, 7, 4], &[]),
            (
                &[6],
                &[
                    ("apicurio.value.globalId", &seven),
                    ("apicurio.value.encoding", b"BINARY"),
                ],
            ),
            (&[8], &[("apicurio.value.contentId", &five)]),
            // A header goes before what looks like a frame, and the key's says nothing of the value.
            (&[0], &[("apicurio.value.contentId", &five)]),
            (&[0, 0, 0, 0, 7, 10], &[("apicurio.key.globalId", &five)]),
            (&[0, 0, 0, 0, 0, 0, 0, 0], &[]),
            (&[0, 0, 0, 7], &[]),
            (&[1, 0, 0, 0, 7, 2], &[]),
            (&[2], &[("apicurio.value.globalId", b"7")]),
            (
                b"{}",
                &[
                    ("apicurio.value.globalId", &seven),
                    ("apicurio.value.encoding", b"JSON"),
                ],
            ),
            (&[0, 0, 0, 0, 7], &[]),
        ],
    );
    assert_eq!(
        read,
        [
            Ok(1),
            Ok(2),
            Ok(3),
            Ok(4),
            Ok(0),
            Ok(5),
            not_framed,
            not_framed,
            not_framed,
            not_framed,
            not_framed,
            not_avro,
        ]
    );
}

#[test]
fn apicurios_protobuf_names_the_message() {
    let settings = protobuf(Framing::Apicurio(ApicurioIds::Content), SchemaId::Content(7));
    let framed = |name: &[u8], body: &[u8]| {
        let reference = [&[10, name.len() as u8][..], name].concat();
        [&[0, 0, 0, 0, 7, reference.len() as u8], &reference[..], body].concat()
    };
    let (order, refund) = (framed(b"Order", &[8, 1]), framed(b"Unknown", &[8, 1]));
    let (nested, cut) = (framed(b"Line", &[8, 1]), &order[..8]);
    let twice = &order[5..];
    let seven = 7u64.to_be_bytes();
    let in_header: &[(&str, &[u8])] = &[
        ("apicurio.value.contentId", &seven),
        ("apicurio.protobuf.type", b"Order"),
    ];
    let read = read(
        &settings,
        &[
            (&order, &[]),
            (&[8, 2], in_header),
            (twice, in_header),
            (twice, &in_header[..1]),
            (&refund, &[]),
            (&nested, &[]),
            (cut, &[]),
            (&[8, 2], &in_header[..1]),
        ],
    );
    let not_framed = Err(Reason::NotFramed);
    assert_eq!(
        read,
        [
            Ok(1),
            Ok(2),
            Ok(1),
            Ok(1),
            not_framed,
            not_framed,
            not_framed,
            not_framed
        ]
    );
}
