//! CPU per record of decoding Nexmark bids, in each format with fields and in batches as a worker makes them. The JSON has
//! 283 bytes a record.
//!
//! `cargo bench -p tabletopic-decode`. Prints the median and the spread of several rounds; compare
//! only figures of one run on one machine.

use tabletopic_decode::{DecodeSettings, Format, Part, WriterSchemas, create_schema, decoder, parse_ddl};
use tabletopic_records::{NoHeaders, Record};

const RECORDS: usize = 30_000;
const BATCH: usize = 3_000;
const ROUNDS: usize = 15;
const PASSES: usize = 10;

const DDL: &str = "CREATE TABLE bids (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR,
    url VARCHAR, dateTime TIMESTAMPTZ, extra VARCHAR)";

const JSON_SCHEMA: &str = r#"{"type": "object", "properties": {
    "auction": {"type": "integer"}, "bidder": {"type": "integer"}, "price": {"type": "integer"},
    "channel": {"type": "string"}, "url": {"type": "string"}, "dateTime": {"type": "integer"},
    "extra": {"type": "string"}}}"#;

const AVRO: &str = r#"{"type": "record", "name": "Bid", "fields": [
    {"name": "auction", "type": "long"}, {"name": "bidder", "type": "long"}, {"name": "price", "type": "long"},
    {"name": "channel", "type": "string"}, {"name": "url", "type": "string"}, {"name": "dateTime", "type": "long"},
    {"name": "extra", "type": "string"}]}"#;

const PROTOBUF: &str = r#"syntax = "proto3"; message Bid { int64 auction = 1; int64 bidder = 2; int64 price = 3;
    string channel = 4; string url = 5; int64 dateTime = 6; string extra = 7; }"#;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let bids = bids();
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

struct Bid {
    auction: u64,
    bidder: u64,
    price: u64,
    channel: String,
    url: String,
    time: u64,
    extra: String,
}

impl Bid {
    fn json(&self) -> Vec<u8> {
        let Self {
            auction,
            bidder,
            price,
            channel,
            url,
            time,
            extra,
        } = self;
        format!(
            "{{\"auction\":{auction},\"bidder\":{bidder},\"price\":{price},\"channel\":\"{channel}\",\
             \"url\":\"{url}\",\"dateTime\":{time},\"extra\":\"{extra}\"}}"
        )
        .into_bytes()
    }

    fn avro(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let text = |bytes: &mut Vec<u8>, text: &str| {
            varint(bytes, 2 * text.len() as u64);
            bytes.extend_from_slice(text.as_bytes());
        };
        for number in [self.auction, self.bidder, self.price] {
            varint(&mut bytes, 2 * number);
        }
        text(&mut bytes, &self.channel);
        text(&mut bytes, &self.url);
        varint(&mut bytes, 2 * self.time);
        text(&mut bytes, &self.extra);
        bytes
    }

    fn protobuf(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (field, number) in [
            (1, self.auction),
            (2, self.bidder),
            (3, self.price),
            (6, self.time),
        ] {
            varint(&mut bytes, field << 3);
            varint(&mut bytes, number);
        }
        for (field, text) in [(4, &self.channel), (5, &self.url), (7, &self.extra)] {
            varint(&mut bytes, field << 3 | 2);
            varint(&mut bytes, text.len() as u64);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

fn varint(bytes: &mut Vec<u8>, mut bits: u64) {
    while bits > 0x7f {
        bytes.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    bytes.push(bits as u8);
}

/// The shape of Nexmark bids: numbers of varying length, a few hot channels among many, a URL, and a
/// random text that fills the JSON of a record up to 283 bytes on average.
fn bids() -> Vec<Bid> {
    let mut state = 42u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..RECORDS as u64)
        .map(|i| {
            let auction = 1_000 + i / 50 + random(100);
            let bidder = 1_000 + random(1 + i / 50 + 50);
            let digits = 2 + random(6) as u32;
            let price = 100 + random(10u64.pow(digits));
            let (channel, id) = match random(2) {
                0 => (
                    ["Google", "Facebook", "Baidu", "Apple"][random(4) as usize].to_owned(),
                    String::new(),
                ),
                _ => {
                    let channel = random(10_000);
                    (
                        format!("channel-{channel}"),
                        format!("&channel_id={}", channel << 20),
                    )
                }
            };
            let mut bid = Bid {
                auction,
                bidder,
                price,
                channel,
                url: format!("https://www.nexmark.com/abcde/fghij/klmno/item.htm?query=1{id}"),
                time: 1_767_225_600_000 + i * 40,
                extra: String::new(),
            };
            let fill = 283 - bid.json().len() + random(25) as usize - 12;
            bid.extra = (0..fill).map(|_| (b'a' + random(26) as u8) as char).collect();
            bid
        })
        .collect()
}
