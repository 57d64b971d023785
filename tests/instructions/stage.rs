//! The stages, and the work of each.

use std::hint::black_box;

use arrow::array::RecordBatch;
use tabletopic_clock::SeededEntropy;
use tabletopic_decode::{DecodeSettings, Decoder, Format, Part, WriterSchemas, decoder};
use tabletopic_records::Record;
use tabletopic_table::file::{FileNames, FileSettings, OpenFiles};

use crate::bids::{AVRO, Bid, PROTOBUF};
use crate::sample::{BATCH, RECORDS, Table, records};
use crate::worker::Fed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Flat objects without escapes: the quick way.
    DecodeJson,
    /// Slashes are escaped, as some producers do: the reader for everything.
    DecodeJsonEscaped,
    DecodeAvro,
    DecodeProtobuf,
    /// All rows have one partition value, as those of most batches.
    SplitByDay,
    SplitByBucket,
    /// Parquet in memory, zstd level 3.
    Encode,
    /// JSON to encoded files, by day, with all that a worker does besides.
    Worker,
}

impl Stage {
    pub const ALL: [Self; 8] = [
        Self::DecodeJson,
        Self::DecodeJsonEscaped,
        Self::DecodeAvro,
        Self::DecodeProtobuf,
        Self::SplitByDay,
        Self::SplitByBucket,
        Self::Encode,
        Self::Worker,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::DecodeJson => "decode-json",
            Self::DecodeJsonEscaped => "decode-json-escaped",
            Self::DecodeAvro => "decode-avro",
            Self::DecodeProtobuf => "decode-protobuf",
            Self::SplitByDay => "split-by-day",
            Self::SplitByBucket => "split-by-bucket",
            Self::Encode => "encode",
            Self::Worker => "worker",
        }
    }

    /// Its work on all records. What that needs is made before.
    pub fn work(self) -> Box<dyn FnMut()> {
        match self {
            Self::DecodeJson => decode(json(), Bid::json),
            Self::DecodeJsonEscaped => decode(json(), escaped),
            Self::DecodeAvro => {
                let writers = WriterSchemas::of_avro_file(AVRO, Part::Value).unwrap();
                decode(settings(Format::Avro, writers), Bid::avro)
            }
            Self::DecodeProtobuf => {
                let writers = WriterSchemas::of_proto_file(PROTOBUF, None, |_| None).unwrap();
                decode(settings(Format::Protobuf, writers), Bid::protobuf)
            }
            Self::SplitByDay => split("day(dateTime)"),
            Self::SplitByBucket => split("bucket(16, auction)"),
            Self::Encode => encode(),
            Self::Worker => worker(),
        }
    }
}

fn settings(format: Format, writers: WriterSchemas) -> DecodeSettings {
    DecodeSettings {
        writers,
        event_time: Some("dateTime".to_owned()),
        ..DecodeSettings::new("bids", format)
    }
}

fn json() -> DecodeSettings {
    settings(Format::Json, WriterSchemas::default())
}

fn escaped(bid: &Bid) -> Vec<u8> {
    String::from_utf8(bid.json())
        .unwrap()
        .replace('/', r"\/")
        .into_bytes()
}

fn decode(settings: DecodeSettings, value: fn(&Bid) -> Vec<u8>) -> Box<dyn FnMut()> {
    let records = records(0, value);
    let table = Table::new(&settings, "day(dateTime)");
    let mut decoder = decoder(&settings, &table.schema).unwrap();
    Box::new(move || decode_all(decoder.as_mut(), &records, |batch| drop(black_box(batch))))
}

fn decode_all(decoder: &mut dyn Decoder, records: &[Record<'_>], mut each: impl FnMut(RecordBatch)) {
    for records in records.chunks(BATCH) {
        let decoded = decoder.decode(records).unwrap();
        assert_eq!(
            (decoded.taken, decoded.batch.num_rows(), decoded.bad.len()),
            (records.len(), records.len(), 0)
        );
        each(decoded.batch);
    }
}

/// What the stages behind decoding work on.
fn batches(table: &Table) -> Vec<RecordBatch> {
    let mut decoder = decoder(&json(), &table.schema).unwrap();
    let mut batches = Vec::new();
    decode_all(decoder.as_mut(), &records(0, Bid::json), |batch| {
        batches.push(batch)
    });
    batches
}

fn split(partition_by: &str) -> Box<dyn FnMut()> {
    let table = Table::new(&json(), partition_by);
    let (batches, splitter) = (batches(&table), table.splitter());
    Box::new(move || {
        for batch in &batches {
            black_box(splitter.split(batch).unwrap());
        }
    })
}

fn encode() -> Box<dyn FnMut()> {
    let table = Table::new(&json(), "day(dateTime)");
    let (splitter, schema, entropy) = (table.splitter(), table.file_schema(), SeededEntropy::new(1));
    let parts: Vec<_> = batches(&table)
        .iter()
        .map(|batch| splitter.split(batch).unwrap())
        .collect();
    let settings = FileSettings {
        zstd_level: 3,
        ..FileSettings::default()
    };
    Box::new(move || {
        let names = FileNames::new("file:///nowhere");
        let mut open = OpenFiles::new(settings.clone(), schema.clone(), names);
        for parts in &parts {
            assert!(open.write(parts, &entropy).unwrap().is_empty());
        }
        let files = open.close_all(&entropy).unwrap();
        assert_eq!(files[0].data_file.record_count(), RECORDS as u64);
        black_box(files);
    })
}

fn worker() -> Box<dyn FnMut()> {
    let settings = json();
    let mut fed = Fed::new(&settings, &Table::new(&settings, "day(dateTime)"));
    // A worker reads no offset twice.
    let mut rounds = [0, RECORDS as i64]
        .map(|first| records(first, Bid::json))
        .into_iter();
    Box::new(move || fed.take(&rounds.next().expect("one that is not counted, and one that is")))
}
