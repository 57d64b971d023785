//! CPU per record of decoding Nexmark bids, in each format with fields and in batches as a worker makes them. The JSON has
//! 283 bytes a record.
//!
//! `cargo bench -p tabletopic-decode`. Prints the median and the spread of several rounds; compare
//! only figures of one run on one machine.

mod bids;

use bids::{AVRO, Bid, DDL, PROTOBUF, bids};
use tabletopic_decode::{DecodeSettings, Format, Part, WriterSchemas, create_schema, decoder, parse_ddl};
use tabletopic_records::{NoHeaders, Record};

const RECORDS: usize = 30_000;
const BATCH: usize = 3_000;
const ROUNDS: usize = 15;
const PASSES: usize = 10;

const JSON_SCHEMA: &str = r#"{"type": "object", "properties": {
    "auction": {"type": "integer"}, "bidder": {"type": "integer"}, "price": {"type": "integer"},
    "channel": {"type": "string"}, "url": {"type": "string"}, "dateTime": {"type": "integer"},
    "extra": {"type": "string"}}}"#;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let bids = bids(RECORDS as u64);
    let json: Vec<Vec<u8>> = bids.iter().map(Bid::json).collect();
    measure("json", DecodeSettings::new("bids", Format::Json), &json)?;
    let settings = DecodeSettings {
        writers: WriterSchemas::of_json_schema(JSON_SCHEMA, &[])?,
        ..DecodeSettings::new("bids", Format::JsonSchema)
    };
    measure("json-schema", settings, &json)?;
    let avro: Vec<Vec<u8>> = bids.iter().map(Bid::avro).collect();
    let settings = DecodeSettings {
        writers: WriterSchemas::of_avro_file(AVRO, Part::Value)?,
        ..DecodeSettings::new("bids", Format::Avro)
    };
    measure("avro", settings, &avro)?;
    let protobuf: Vec<Vec<u8>> = bids.iter().map(Bid::protobuf).collect();
    let settings = DecodeSettings {
        writers: WriterSchemas::of_proto_file(PROTOBUF, None, |_| None)?,
        ..DecodeSettings::new("bids", Format::Protobuf)
    };
    measure("protobuf", settings, &protobuf)
}

fn measure(format: &str, mut settings: DecodeSettings, values: &[Vec<u8>]) -> Result<(), Failure> {
    let bytes: usize = values.iter().map(Vec::len).sum();
    settings.event_time = Some("dateTime".into());
    let schema = create_schema(&parse_ddl(DDL)?, &settings)?;
    let mut decoder = decoder(&settings, &schema)?;
    let records: Vec<Record<'_>> = (0i64..)
        .zip(values)
        .map(|(offset, value)| Record {
            partition: 0,
            offset,
            timestamp: Some(1_767_225_600_000 + offset),
            key: None,
            value: Some(value),
            headers: &NoHeaders,
        })
        .collect();

    let mut figures = Vec::new();
    for round in 0..=ROUNDS {
        let start = cpu_nanos()?;
        for _ in 0..PASSES {
            for batch in records.chunks(BATCH) {
                let decoded = decoder.decode(batch)?;
                assert_eq!((decoded.batch.num_rows(), decoded.bad.len()), (batch.len(), 0));
            }
        }
        let nanos = (cpu_nanos()? - start) / (RECORDS * PASSES) as f64;
        if round > 0 {
            figures.push(nanos);
        }
    }
    figures.sort_by(f64::total_cmp);
    println!(
        "decode {format}: {:.0} ns of CPU per record (median of {ROUNDS}; {:.0} to {:.0}), {:.1} bytes each",
        figures[ROUNDS / 2],
        figures[0],
        figures[ROUNDS - 1],
        bytes as f64 / RECORDS as f64,
    );
    Ok(())
}

/// CPU time of this thread, from the scheduler's own count (Linux).
fn cpu_nanos() -> Result<f64, Failure> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(line.split(' ').next().ok_or("an empty schedstat")?.parse()?)
}
