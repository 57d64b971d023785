//! The outbox's entries and what a snapshot changed, as JSON. The shapes here are the wire's own: what is in memory may change,
//! while what was written must stay readable.

use serde::Deserialize;
use serde_json::{Value, json};

use super::text;
use crate::{
    Evolved, JobId, Kind, LedgerEntry, LedgerRange, PendingFile, PendingRange, PendingRemoval, RecordAt,
    SnapshotRef, Stamp,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileOnWire {
    snapshot: String,
    entry: String,
    /// Job and its ranges by partition.
    ranges: Vec<(String, String)>,
    time: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RemovalOnWire {
    snapshot: String,
    job: String,
    topic_id: Option<String>,
    partition: i32,
    offsets: String,
    time: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct EntryOnWire {
    snapshot: String,
    kind: String,
    schema: i32,
    actor: String,
    reason: String,
    time: i64,
    abandons_since: Option<String>,
    /// Job, topic, topic id, and ranges with counts by partition.
    ranges: Vec<(String, String, Option<String>, String)>,
    evolved: Option<EvolvedOnWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct EvolvedOnWire {
    cause: Option<RecordOnWire>,
    changes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RecordOnWire {
    job: String,
    topic: String,
    topic_id: Option<String>,
    partition: i32,
    offset: i64,
}

pub(super) fn dead_letters(files: &[PendingFile]) -> String {
    array(files.iter().map(|file| {
        let jobs = file
            .ranges
            .chunk_by(|left, right| left.job == right.job)
            .map(|ranges| {
                let each = ranges
                    .iter()
                    .map(|pending| (pending.partition, text::range(pending.range)));
                json!([ranges[0].job.as_str(), text::list(each)])
            });
        json!({
            "snapshot": text::snapshot(file.snapshot),
            "entry": file.entry,
            "ranges": jobs.collect::<Vec<_>>(),
            "time": file.time_ms,
        })
    }))
}

pub(super) fn removals(removals: &[PendingRemoval]) -> String {
    array(removals.iter().map(|removal| {
        json!({
            "snapshot": text::snapshot(removal.snapshot),
            "job": removal.job.as_str(),
            "topic-id": removal.topic_id,
            "partition": removal.partition,
            "offsets": text::ranges(removal.offsets.ranges()),
            "time": removal.time_ms,
        })
    }))
}

pub(super) fn ledger(entries: &[LedgerEntry]) -> String {
    array(entries.iter().map(|entry| {
        let topic = |range: &LedgerRange| (range.job.clone(), range.topic.clone(), range.topic_id.clone());
        let same = |left: &LedgerRange, right: &LedgerRange| topic(left) == topic(right);
        let jobs = entry.ranges.chunk_by(same).map(|ranges| {
            let each = ranges
                .iter()
                .map(|range| (range.partition, text::added(range.range, range.counts)));
            json!([
                ranges[0].job.as_str(),
                &*ranges[0].topic,
                ranges[0].topic_id,
                text::list(each)
            ])
        });
        let mut object = json!({
            "snapshot": text::snapshot(entry.stamp.snapshot),
            "kind": entry.kind.name(),
            "schema": entry.stamp.schema_id,
            "actor": entry.stamp.actor,
            "reason": entry.stamp.reason,
            "time": entry.stamp.time_ms,
            "ranges": jobs.collect::<Vec<_>>(),
        });
        if let Some(since) = entry.stamp.abandons_since {
            object["abandons-since"] = text::snapshot(since).into();
        }
        if let Some(changed) = &entry.evolved {
            object["evolved"] = evolved(changed);
        }
        object
    }))
}

pub(super) fn evolved(evolved: &Evolved) -> Value {
    let mut object = json!({ "changes": evolved.changes });
    if let Some(RecordAt {
        job,
        topic,
        topic_id,
        partition,
        offset,
    }) = &evolved.cause
    {
        object["cause"] = json!({
            "job": job.as_str(),
            "topic": &**topic,
            "topic-id": topic_id,
            "partition": partition,
            "offset": offset,
        });
    }
    object
}

/// Nothing at all for an empty list, so that it has no key.
fn array(entries: impl Iterator<Item = Value>) -> String {
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() {
        String::new()
    } else {
        Value::Array(entries).to_string()
    }
}

pub(super) fn parse_dead_letters(value: &str) -> Result<Vec<PendingFile>, String> {
    parse(value, |file: FileOnWire| {
        let mut ranges = Vec::new();
        for (job, list) in file.ranges {
            let list = text::parse_list(&list, text::parse_range).map_err(unreadable)?;
            ranges.extend(list.into_iter().map(|(partition, range)| PendingRange {
                job: JobId::new(job.as_str()),
                partition,
                range,
            }));
        }
        Ok(PendingFile {
            snapshot: snapshot(&file.snapshot)?,
            entry: file.entry,
            ranges,
            time_ms: file.time,
        })
    })
}

pub(super) fn parse_removals(value: &str) -> Result<Vec<PendingRemoval>, String> {
    parse(value, |removal: RemovalOnWire| {
        Ok(PendingRemoval {
            snapshot: snapshot(&removal.snapshot)?,
            job: JobId::new(removal.job),
            topic_id: removal.topic_id,
            partition: removal.partition,
            offsets: text::parse_set(&removal.offsets).ok_or_else(|| unreadable(&removal.offsets))?,
            time_ms: removal.time,
        })
    })
}

pub(super) fn parse_ledger(value: &str) -> Result<Vec<LedgerEntry>, String> {
    parse(value, |entry: EntryOnWire| {
        let mut ranges = Vec::new();
        for (job, topic, topic_id, list) in entry.ranges {
            let list = text::parse_list(&list, text::parse_added).map_err(unreadable)?;
            ranges.extend(list.into_iter().map(|(partition, (range, counts))| LedgerRange {
                job: JobId::new(job.as_str()),
                topic: topic.as_str().into(),
                topic_id: topic_id.clone(),
                partition,
                range,
                counts,
            }));
        }
        let stamp = Stamp {
            snapshot: snapshot(&entry.snapshot)?,
            schema_id: entry.schema,
            actor: entry.actor,
            reason: entry.reason,
            time_ms: entry.time,
            abandons_since: entry.abandons_since.map(|since| snapshot(&since)).transpose()?,
        };
        let kind = Kind::from_name(&entry.kind).ok_or_else(|| unreadable(&entry.kind))?;
        Ok(LedgerEntry {
            stamp,
            kind,
            ranges,
            evolved: entry.evolved.map(Evolved::from),
        })
    })
}

/// Refuses what we would have written otherwise, as the lists do.
pub(super) fn parse_evolved(value: &str) -> Result<Evolved, String> {
    let wire: EvolvedOnWire = serde_json::from_str(value).map_err(|error| error.to_string())?;
    let read = Evolved::from(wire);
    let written = evolved(&read).to_string();
    if written == value {
        Ok(read)
    } else {
        Err(unreadable(value))
    }
}

impl From<EvolvedOnWire> for Evolved {
    fn from(wire: EvolvedOnWire) -> Self {
        let cause = wire.cause.map(|cause| RecordAt {
            job: JobId::new(cause.job),
            topic: cause.topic.into(),
            topic_id: cause.topic_id,
            partition: cause.partition,
            offset: cause.offset,
        });
        Self {
            changes: wire.changes,
            cause,
        }
    }
}

fn parse<W: for<'de> Deserialize<'de>, T>(
    value: &str,
    read: impl Fn(W) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let wire: Vec<W> = serde_json::from_str(value).map_err(|error| error.to_string())?;
    wire.into_iter().map(read).collect()
}

fn snapshot(value: &str) -> Result<SnapshotRef, String> {
    text::parse_snapshot(value).ok_or_else(|| unreadable(value))
}

fn unreadable(value: &str) -> String {
    format!("{value:?} cannot be read")
}
