//! Stage ceiling of encoding: Nexmark-bid-like rows (283 bytes as JSON) -> Parquet in memory, on one
//! thread. Prints CPU nanoseconds per record and bytes per record: the median of five alternating
//! runs, and their spread.
//!
//!     cargo bench -p tabletopic-table --bench encode

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use iceberg::spec::{NestedField, PartitionSpec, PrimitiveType, Schema, Type};
use tabletopic_clock::{Entropy, SeededEntropy};
use tabletopic_table::file::{FileNames, FileSchema, FileSettings, OpenFiles};
use tabletopic_table::partition::{Splitter, parse_partition_by};

const RECORDS: usize = 600_000;
const BATCH: usize = 3_000;
const RUNS: usize = 5;
const START_MILLIS: i64 = 1_767_225_600_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let schema = Arc::new(bid_schema()?);
    let spec = parse_partition_by(&["day(dateTime)"], &schema)?.bind(Arc::clone(&schema))?;
    let file_schema = FileSchema::new(Arc::clone(&schema), Arc::new(spec.clone()))?;
    let batches = bids(&file_schema)?;
    println!("{RECORDS} records in batches of {BATCH}, {RUNS} runs\n");
    println!(
        "{:<8} {:>14} {:>20} {:>14}",
        "zstd", "ns per record", "spread", "B per record"
    );

    let levels = [1, 3];
    let mut runs = vec![Vec::new(); levels.len()];
    let mut bytes = [0; 2];
    for _ in 0..RUNS {
        for (index, zstd_level) in levels.into_iter().enumerate() {
            let settings = FileSettings {
                zstd_level,
                ..FileSettings::default()
            };
            let before = cpu_nanos()?;
            bytes[index] = encode(settings, &schema, &spec, &batches)?;
            runs[index].push((cpu_nanos()? - before) / RECORDS as u64);
        }
    }
    for ((level, runs), bytes) in levels.iter().zip(&mut runs).zip(bytes) {
        runs.sort_unstable();
        let spread = format!("{}-{}", runs[0], runs[RUNS - 1]);
        let per_record = bytes as f64 / RECORDS as f64;
        println!(
            "{level:<8} {:>14} {spread:>20} {per_record:>14.1}",
            runs[RUNS / 2]
        );
    }
    Ok(())
}

fn encode(
    settings: FileSettings,
    schema: &Arc<Schema>,
    spec: &PartitionSpec,
    batches: &[RecordBatch],
) -> Result<usize, Failure> {
    let entropy = SeededEntropy::new(1);
    let splitter = Splitter::new(spec, schema)?;
    let file_schema = FileSchema::new(Arc::clone(schema), Arc::new(spec.clone()))?;
    let mut open = OpenFiles::new(settings, file_schema, FileNames::new("memory:///bids"));
    let mut files = Vec::new();
    for batch in batches {
        files.extend(open.write(&splitter.split(batch)?, &entropy)?);
    }
    files.extend(open.close_all(&entropy)?);
    Ok(files.iter().map(|file| file.payload.content_length()).sum())
}

/// CPU time of this thread so far.
fn cpu_nanos() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text
        .split_whitespace()
        .next()
        .ok_or("no CPU time in schedstat")?
        .parse()?)
}

fn bid_schema() -> Result<Schema, Failure> {
    use PrimitiveType::{Long, String, Timestamptz};
    let columns = [
        ("auction", Long),
        ("bidder", Long),
        ("price", Long),
        ("channel", String),
        ("url", String),
        ("dateTime", Timestamptz),
        ("extra", String),
    ];
    let fields = columns
        .into_iter()
        .zip(1..)
        .map(|((name, ty), id)| Arc::new(NestedField::optional(id, name, Type::Primitive(ty))));
    Ok(Schema::builder().with_fields(fields).build()?)
}

/// Half of the bids are on four channels, the rest on ten thousand; `extra` is random text that fills
/// the record up to 283 bytes of JSON.
fn bids(schema: &FileSchema) -> Result<Vec<RecordBatch>, Failure> {
    let entropy = SeededEntropy::new(42);
    let below = |bound: usize| (entropy.next_u64() % bound as u64) as usize;
    let word = |length: usize| {
        (0..length)
            .map(|_| char::from(b'a' + below(26) as u8))
            .collect::<String>()
    };
    let site = || {
        format!(
            "https://www.nexmark.com/{}/{}/{}/item.htm?query=1",
            word(5),
            word(5),
            word(5)
        )
    };
    let hot: Vec<_> = ["Google", "Facebook", "Baidu", "Apple"]
        .map(|name| (name.to_owned(), site()))
        .into();
    let channels: Vec<_> = (0..10_000usize)
        .map(|i| {
            (
                format!("channel-{i}"),
                format!("{}&channel_id={}", site(), i << 20),
            )
        })
        .collect();
    let pool = word(1 << 20);

    let mut batches = Vec::new();
    let mut json = String::new();
    for first in (0..RECORDS).step_by(BATCH) {
        let mut longs: [Vec<i64>; 4] = Default::default();
        let mut texts: [Vec<&str>; 3] = Default::default();
        for i in first..(first + BATCH).min(RECORDS) {
            let (channel, url) = if below(2) == 0 {
                &hot[below(hot.len())]
            } else {
                &channels[below(channels.len())]
            };
            let auction = 1000 + i / 50 + below(100);
            let bidder = 1000 + below(1 + i / 50 + 50);
            let price = (10f64.powf(below(1 << 20) as f64 / (1 << 20) as f64 * 6.0) * 100.0) as i64;
            let millis = START_MILLIS + i as i64 * 40;
            json.clear();
            write!(
                json,
                r#"{{"auction":{auction},"bidder":{bidder},"price":{price},"channel":"{channel}","url":"{url}","dateTime":{millis},"extra":""}}"#
            )?;
            let length = (283 - 12 + below(25)).saturating_sub(json.len());
            let at = below(pool.len() - 400);
            for (column, value) in longs
                .iter_mut()
                .zip([auction as i64, bidder as i64, price, millis * 1000])
            {
                column.push(value);
            }
            for (column, value) in texts.iter_mut().zip([channel, url, &pool[at..at + length]]) {
                column.push(value);
            }
        }
        let [auction, bidder, price, time] = longs;
        let [channel, url, extra] = texts.map(|texts| Arc::new(StringArray::from(texts)) as ArrayRef);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(auction)),
            Arc::new(Int64Array::from(bidder)),
            Arc::new(Int64Array::from(price)),
            channel,
            url,
            Arc::new(TimestampMicrosecondArray::from(time).with_timezone("+00:00")),
            extra,
        ];
        batches.push(RecordBatch::try_new(Arc::clone(schema.arrow()), columns)?);
    }
    Ok(batches)
}
