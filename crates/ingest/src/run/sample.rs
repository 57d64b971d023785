//! Reads a few records of a topic ahead of time: for the columns of a table that does not exist yet, or to say what
//! would become of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tabletopic_clock::{Clock, Millis};
use tabletopic_offsets::{Offset, TopicPartition};
use tabletopic_records::Record;
use tabletopic_source::{Position, Source, SourceEvent, Subscription};

use super::{RunError, Sources};
use crate::prepare::SAMPLE;

/// A record that was copied.
#[derive(Debug, Clone)]
pub struct OwnedRecord {
    partition: i32,
    offset: Offset,
    timestamp: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl OwnedRecord {
    fn copy(record: &Record<'_>) -> Self {
        let mut headers = Vec::new();
        record
            .headers
            .for_each(&mut |key, value| headers.push((key.to_owned(), value.map(<[u8]>::to_vec))));
        Self {
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers,
        }
    }

    pub fn as_record(&self) -> Record<'_> {
        Record {
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }
}

/// The longest that a sample is waited for.
const PATIENCE: Millis = 30_000;

/// A sample of large records ends when it has taken this much memory. Several are taken at once.
const MOST_BYTES: usize = 16 << 20;

/// Where a sample is taken: `[start, end)` of partitions.
pub type Ranges = BTreeMap<i32, (Offset, Offset)>;

/// A job's [`SAMPLE`] by a source of its own, on a thread of its own. No group is joined.
///
/// # Errors
/// Settings that the client refuses.
pub async fn read(
    sources: Arc<dyn Sources>,
    clock: Arc<dyn Clock>,
    topic: Arc<str>,
    ranges: Ranges,
) -> Result<Vec<OwnedRecord>, RunError> {
    if ranges.values().all(|(start, end)| start >= end) {
        return Ok(Vec::new());
    }
    let sampled = tokio::task::spawn_blocking(move || {
        let mut source = sources.open(0)?;
        Ok(sample(source.as_mut(), clock.as_ref(), &topic, &ranges, SAMPLE))
    });
    sampled.await.unwrap_or(Err(RunError::WorkerDied))
}

/// Up to `most` records of these ranges. Ends early once all partitions are at their ends.
fn sample(
    source: &mut dyn Source,
    clock: &dyn Clock,
    topic: &Arc<str>,
    ranges: &Ranges,
    most: usize,
) -> Vec<OwnedRecord> {
    let wanted: Vec<(TopicPartition, Position)> = ranges
        .iter()
        .filter(|(_, (start, end))| start < end)
        .map(|(partition, (start, _))| {
            (
                TopicPartition::new(topic.clone(), *partition),
                Position::new(*start, None),
            )
        })
        .collect();
    let mut unread: BTreeMap<i32, Offset> = wanted
        .iter()
        .filter_map(|(tp, _)| Some((tp.partition, ranges.get(&tp.partition)?.1)))
        .collect();
    let mut records = Vec::new();
    source.subscribe(&Subscription::Static(
        wanted.iter().map(|(tp, _)| tp.clone()).collect(),
    ));
    let deadline = clock.now() + PATIENCE;
    let mut started = false;
    let mut bytes = 0;
    while records.len() < most && bytes < MOST_BYTES && !unread.is_empty() && clock.now() < deadline {
        let mut assigned = false;
        source.poll(std::time::Duration::from_millis(100), &mut |event| match event {
            SourceEvent::Assigned(_) => assigned = true,
            SourceEvent::Records { records: batch, .. } => {
                let room = most.saturating_sub(records.len());
                records.extend(batch.iter().take(room).map(OwnedRecord::copy));
                bytes += batch
                    .iter()
                    .filter_map(|record| record.value)
                    .map(<[u8]>::len)
                    .sum::<usize>();
            }
            SourceEvent::Positions(positions) => {
                unread.retain(|partition, end| {
                    !positions
                        .iter()
                        .any(|(tp, at)| tp.partition == *partition && at.offset >= *end)
                });
            }
            SourceEvent::PartitionError { tp, .. } => {
                unread.remove(&tp.partition);
            }
            SourceEvent::Revoked(_)
            | SourceEvent::Lost(_)
            | SourceEvent::Outage(_)
            | SourceEvent::Fatal(_) => {}
        });
        if assigned && !started {
            source.start(&wanted);
            started = true;
        }
    }
    source.close(&mut |_| {});
    records
}
