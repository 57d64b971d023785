//! What is tried with bytes from anywhere: one function for each decoder, and for each language of schemas. The short run
//! beside this file calls them, and so do the targets of `cargo fuzz` in `fuzz/`.
//!
//! Each bad record is one bad record: the ones around it are rows, whatever it holds.

use std::cell::RefCell;

use arrow::array::RecordBatch;
use iceberg::spec::Schema;
use tabletopic_decode::{
    ApicurioIds, DecodeSettings, Decoder, Format, Framing, Key, Reason, WriterSchemas, create_schema,
    decoder, infer, parse_ddl,
};
use tabletopic_records::{NoHeaders, Record, SchemaId};

/// What became of the record in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Row,
    Bad(Reason),
    /// It asks for another column.
    Grows,
    /// It names a schema that nobody knows yet.
    Awaits,
    /// The text is no schema that columns can be made of.
    NoSchema,
}

const AVRO: &str = r#"{"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"},
    {"name": "note", "type": ["null", "string"]},
    {"name": "either", "type": ["null", "int", "string", {"type": "record", "name": "P", "fields": [
        {"name": "x", "type": "float"}, {"name": "y", "type": "double"}]}]},
    {"name": "state", "type": {"type": "enum", "name": "E", "symbols": ["NEW", "PAID"]}},
    {"name": "hash", "type": {"type": "fixed", "name": "F", "size": 3}},
    {"name": "raw", "type": "bytes"},
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "nothing", "type": {"type": "array", "items": "null"}},
    {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
        {"name": "sku", "type": "string"}, {"name": "count", "type": ["null", "long"]}]}}},
    {"name": "tags", "type": {"type": "map", "values": {"type": "array", "items": "boolean"}}}]}"#;

/// An order of the schema above, with nothing in what may be empty.
pub const AVRO_ORDER: &[u8] = &[
    2, 0, 0, 0, 1, 2, 3, 0, 2, 7, 0, 0, 72, b'0', b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'-', b'8', b'9',
    b'a', b'b', b'-', b'c', b'd', b'e', b'f', b'-', b'0', b'1', b'2', b'3', b'-', b'4', b'5', b'6', b'7',
    b'8', b'9', b'a', b'b', b'c', b'd', b'e', b'f', 0, 0, 0,
];

const PROTOBUF: &str = r#"syntax = "proto3"; package shop;
    import "google/protobuf/struct.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
    message Order {
        int64 id = 1; string note = 2; repeated sint32 packed = 3; repeated string names = 4;
        enum State { NEW = 0; PAID = 1; } State state = 5;
        message Item { string sku = 1; optional double price = 2; repeated Item2 deeper = 3; }
        message Item2 { fixed64 n = 1; bytes raw = 2; }
        repeated Item items = 6; map<string, Item> tags = 7; oneof either { uint64 number = 8; Item item = 9; }
        google.protobuf.Timestamp at = 10; google.protobuf.Struct more = 11; google.protobuf.BoolValue flag = 12;
    }"#;

pub const PROTOBUF_ORDER: &[u8] = &[8, 1, 18, 1, b'x'];

const JSON_COLUMNS: &str = "id BIGINT, note STRING, amount DECIMAL(9,2), price DOUBLE, at TIMESTAMPTZ, day DATE, \
                            uuid UUID, flag BOOLEAN, raw BINARY, items ARRAY<STRUCT<sku STRING, count INT>>, \
                            tags MAP(STRING, ARRAY<BIGINT>), deep STRUCT<a STRUCT<b STRUCT<c STRING>>>";

pub const JSON_ORDER: &[u8] = br#"{"id": 1, "note": "x"}"#;

const JSON_SCHEMA: &str = r##"{"type": "object", "properties": {
    "id": {"type": "integer"}, "note": {"type": ["string", "null"]}, "price": {"type": "number"},
    "at": {"type": "string", "format": "date-time"}, "uuid": {"type": "string", "format": "uuid"},
    "raw": {"type": "string", "contentEncoding": "base64"}, "any": {}, "either": {"type": ["string", "integer"]},
    "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
    "tags": {"type": "object", "additionalProperties": {"type": "boolean"}}},
    "$defs": {"item": {"type": "object", "properties": {"sku": {"type": "string"}, "count": {"type": "integer"}}}}}"##;

/// A value as one of JSON, in columns that are there.
pub fn json(data: &[u8]) -> Outcome {
    thread_local!(static SUBJECT: RefCell<Subject> = RefCell::new({
        let settings = DecodeSettings { infer: false, ..DecodeSettings::new("orders", Format::Json) };
        let columns = parse_ddl(&format!("CREATE TABLE t ({JSON_COLUMNS})")).unwrap();
        Subject::new(&settings, &create_schema(&columns, &settings).unwrap(), JSON_ORDER)
    }));
    SUBJECT.with_borrow_mut(|subject| subject.value(data))
}

/// The same where it may ask for more columns.
pub fn json_growth(data: &[u8]) -> Outcome {
    thread_local!(static SUBJECT: RefCell<Subject> = RefCell::new({
        let settings = DecodeSettings::new("orders", Format::Json);
        Subject::new(&settings, &sampled(&settings, JSON_ORDER).unwrap(), JSON_ORDER)
    }));
    SUBJECT.with_borrow_mut(|subject| subject.value(data))
}

/// A value as an Avro record.
pub fn avro(data: &[u8]) -> Outcome {
    thread_local!(static SUBJECT: RefCell<Subject> = RefCell::new({
        let settings = of_file(Format::Avro, WriterSchemas::of_avro_file(AVRO, Default::default()));
        Subject::new(&settings, &sampled(&settings, AVRO_ORDER).unwrap(), AVRO_ORDER)
    }));
    SUBJECT.with_borrow_mut(|subject| subject.value(data))
}

/// A value as a Protobuf message.
pub fn protobuf(data: &[u8]) -> Outcome {
    thread_local!(static SUBJECT: RefCell<Subject> = RefCell::new({
        let settings = of_file(Format::Protobuf, WriterSchemas::of_proto_file(PROTOBUF, None, |_| None));
        Subject::new(&settings, &sampled(&settings, PROTOBUF_ORDER).unwrap(), PROTOBUF_ORDER)
    }));
    SUBJECT.with_borrow_mut(|subject| subject.value(data))
}

/// A value in a frame: the first byte chooses the framing, the second the length of what is in the headers that name
/// schemas.
pub fn frame(data: &[u8]) -> Outcome {
    thread_local!(static SUBJECTS: RefCell<[Subject; 3]> = RefCell::new([
        framed(Framing::Confluent, SchemaId::Number(1), &[0, 0, 0, 0, 1, 0]),
        framed(Framing::ConfluentHeader, SchemaId::Number(1), &[0, 0, 0, 0, 1, 0]),
        framed(Framing::Apicurio(ApicurioIds::Global), SchemaId::Global(1), b"\0\0\0\0\0\0\0\0\x01\x07\x0a\x05Order"),
    ]));
    let [framing, length, rest @ ..] = data else {
        return Outcome::NoSchema;
    };
    let (header, value) = rest.split_at(rest.len().min(usize::from(*length)));
    let headers: Vec<(String, Option<Vec<u8>>)> = match header {
        [] => Vec::new(),
        header => [
            "__value_schema_id",
            "apicurio.value.globalId",
            "apicurio.protobuf.type",
        ]
        .map(|name| (name.to_owned(), Some(header.to_vec())))
        .to_vec(),
    };
    SUBJECTS.with_borrow_mut(|subjects| {
        let record = Record {
            value: Some(value),
            headers: &headers,
            ..MIDDLE
        };
        subjects[usize::from(*framing) % 3].record(record)
    })
}

/// A key as a JSON object beside a good value.
pub fn key(data: &[u8]) -> Outcome {
    thread_local!(static SUBJECT: RefCell<Subject> = RefCell::new({
        let key = Key { column: "key".to_owned(), format: Format::Avro, writers: avro_file() };
        let settings = DecodeSettings { key: Some(key), ..DecodeSettings::new("orders", Format::Json) };
        Subject::new(&settings, &sampled(&settings, JSON_ORDER).unwrap(), JSON_ORDER)
    }));
    SUBJECT.with_borrow_mut(|subject| {
        subject.record(Record {
            key: Some(data),
            value: Some(JSON_ORDER),
            ..MIDDLE
        })
    })
}

/// A value as a JSON object whose columns a schema describes.
pub fn json_by_schema(data: &[u8]) -> Outcome {
    thread_local!(static SUBJECT: RefCell<Subject> = RefCell::new({
        let settings = of_file(Format::JsonSchema, WriterSchemas::of_json_schema(JSON_SCHEMA, &[]));
        Subject::new(&settings, &sampled(&settings, JSON_ORDER).unwrap(), JSON_ORDER)
    }));
    SUBJECT.with_borrow_mut(|subject| subject.value(data))
}

/// A text as a JSON Schema, and an object of it that holds nothing.
pub fn json_schema(data: &[u8]) -> Outcome {
    let writers = WriterSchemas::of_registry();
    writers.learn_json(SchemaId::Number(1), &String::from_utf8_lossy(data), &[]);
    of_schema(Format::JsonSchema, writers, b"\0\0\0\0\x01{}")
}

/// A text as an Avro schema, and a record of it that holds nothing.
pub fn avro_schema(data: &[u8]) -> Outcome {
    let writers = WriterSchemas::of_registry();
    writers.learn_avro(SchemaId::Number(1), &String::from_utf8_lossy(data), &[]);
    of_schema(Format::Avro, writers, &[0, 0, 0, 0, 1, 0])
}

/// A text as a Protobuf schema, and a message of it that holds nothing.
pub fn protobuf_schema(data: &[u8]) -> Outcome {
    let writers = WriterSchemas::of_registry();
    writers.learn_protobuf(SchemaId::Number(1), &String::from_utf8_lossy(data), &[]);
    of_schema(Format::Protobuf, writers, &[0, 0, 0, 0, 1, 0])
}

fn of_schema(format: Format, writers: WriterSchemas, value: &[u8]) -> Outcome {
    let settings = DecodeSettings {
        writers,
        ..DecodeSettings::new("orders", format)
    };
    let Some(table) = sampled(&settings, value) else {
        return Outcome::NoSchema;
    };
    let Ok(mut decoder) = decoder(&settings, &table) else {
        return Outcome::NoSchema;
    };
    let record = Record {
        value: Some(value),
        ..MIDDLE
    };
    let decoded = decoder.decode(&[record]).unwrap();
    assert_eq!(decoded.grown, [], "the table was made of this very schema");
    match decoded.bad.first() {
        None => Outcome::Row,
        Some(bad) => Outcome::Bad(bad.reason),
    }
}

fn avro_file() -> WriterSchemas {
    WriterSchemas::of_avro_file(AVRO, Default::default()).unwrap()
}

fn of_file(format: Format, writers: Result<WriterSchemas, String>) -> DecodeSettings {
    DecodeSettings {
        writers: writers.unwrap(),
        ..DecodeSettings::new("orders", format)
    }
}

fn framed(framing: Framing, id: SchemaId, good: &[u8]) -> Subject {
    let writers = WriterSchemas::of_registry();
    writers.learn_protobuf(id, PROTOBUF, &[]);
    let settings = DecodeSettings {
        writers,
        framing,
        ..DecodeSettings::new("orders", Format::Protobuf)
    };
    let table = sampled(&settings, good).unwrap();
    Subject::new(&settings, &table, &[good, PROTOBUF_ORDER].concat())
}

const MIDDLE: Record<'static> = Record {
    partition: 0,
    offset: 1,
    timestamp: Some(1_769_851_616_123),
    key: None,
    value: None,
    headers: &NoHeaders,
};

/// The table that such a record would get.
fn sampled(settings: &DecodeSettings, value: &[u8]) -> Option<Schema> {
    let record = Record {
        value: Some(value),
        ..MIDDLE
    };
    let columns = infer(&[record], settings).ok()?;
    create_schema(&columns, settings).ok()
}

/// A decoder with a good record.
struct Subject {
    decoder: Box<dyn Decoder>,
    good: Vec<u8>,
    /// The rows of the good record in front and behind.
    rows: [RecordBatch; 2],
}

impl Subject {
    fn new(settings: &DecodeSettings, table: &Schema, good: &[u8]) -> Self {
        let mut decoder = decoder(settings, table).unwrap();
        let mut row = |offset| {
            let record = Record {
                offset,
                value: Some(good),
                ..MIDDLE
            };
            let decoded = decoder.decode(&[record]).unwrap();
            assert_eq!((decoded.bad, decoded.batch.num_rows()), (vec![], 1));
            decoded.batch
        };
        Self {
            rows: [row(0), row(2)],
            decoder,
            good: good.to_vec(),
        }
    }

    fn value(&mut self, value: &[u8]) -> Outcome {
        self.record(Record {
            value: Some(value),
            ..MIDDLE
        })
    }

    fn record(&mut self, record: Record<'_>) -> Outcome {
        let good = |offset| Record {
            offset,
            value: Some(&self.good),
            ..MIDDLE
        };
        let records = [good(0), record, good(2)];
        let decoded = self.decoder.decode(&records).unwrap();
        assert_eq!(decoded.taken, 3);
        assert!(decoded.awaits.iter().all(|awaited| awaited.index == 1));
        assert!(decoded.grown.iter().all(|proposal| proposal.caused_by == 1));
        if !decoded.awaits.is_empty() || !decoded.grown.is_empty() {
            assert_eq!(decoded.batch.num_rows(), 0);
            return match decoded.grown.is_empty() {
                true => Outcome::Awaits,
                false => Outcome::Grows,
            };
        }
        assert!(decoded.bad.len() <= 1, "{:?}", decoded.bad);
        let rows = 3 - decoded.bad.len();
        assert_eq!(decoded.batch.num_rows(), rows);
        assert_eq!(decoded.batch.slice(0, 1), self.rows[0]);
        assert_eq!(decoded.batch.slice(rows - 1, 1), self.rows[1]);
        match decoded.bad.first() {
            None => Outcome::Row,
            Some(bad) => {
                assert_eq!((bad.index, bad.nulled), (1, false));
                Outcome::Bad(bad.reason)
            }
        }
    }
}
