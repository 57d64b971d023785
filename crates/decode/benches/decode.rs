//! CPU per record of decoding Nexmark-bid-like JSON of 283 bytes, in batches as a worker makes them.
//!
//! `cargo bench -p tabletopic-decode`. Prints the median and the spread of several rounds; compare
//! only figures of one run on one machine.

use std::fmt::Write as _;

use tabletopic_decode::{DecodeSettings, Format, create_schema, decoder, parse_ddl};
use tabletopic_records::{NoHeaders, Record};

const RECORDS: usize = 30_000;
const BATCH: usize = 3_000;
const ROUNDS: usize = 15;
const PASSES: usize = 10;

const DDL: &str = "CREATE TABLE bids (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR,
    url VARCHAR, dateTime TIMESTAMPTZ, extra VARCHAR)";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let values = bids();
    let bytes: usize = values.iter().map(Vec::len).sum();
    let mut settings = DecodeSettings::new("bids", Format::Json);
    settings.event_time = Some("dateTime".into());
    let schema = create_schema(&parse_ddl(DDL)?, &settings)?;
    let mut decoder = decoder(&settings, &schema)?;
    let records: Vec<Record<'_>> = (0i64..)
        .zip(&values)
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
        "decode json: {:.0} ns of CPU per record (median of {ROUNDS}; {:.0} to {:.0}), {:.1} bytes each",
        figures[ROUNDS / 2],
        figures[0],
        figures[ROUNDS - 1],
        bytes as f64 / RECORDS as f64,
    );
    Ok(())
}

/// CPU time of this thread, from the scheduler's own count (Linux).
fn cpu_nanos() -> Result<f64, Box<dyn std::error::Error>> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(line.split(' ').next().ok_or("an empty schedstat")?.parse()?)
}

/// The shape of Nexmark bids: numbers of varying length, a few hot channels among many, a URL, and a
/// random text that fills the record up to 283 bytes on average.
fn bids() -> Vec<Vec<u8>> {
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
            let time = 1_767_225_600_000 + i * 40;
            let mut json = format!(
                "{{\"auction\":{auction},\"bidder\":{bidder},\"price\":{price},\"channel\":\"{channel}\",\
                 \"url\":\"https://www.nexmark.com/abcde/fghij/klmno/item.htm?query=1{id}\",\
                 \"dateTime\":{time},\"extra\":\""
            );
            let fill = 283 - json.len() - 2 + random(25) as usize - 12;
            for _ in 0..fill {
                let _ = write!(json, "{}", (b'a' + random(26) as u8) as char);
            }
            json.push_str("\"}");
            json.into_bytes()
        })
        .collect()
}
