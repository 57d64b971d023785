//! One batch of one job: decode, set aside what is bad, split, append.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tabletopic_clock::{Entropy, Millis};
use tabletopic_decode::{BadRecord, Decoded, OnBadRecord, Proposal};
use tabletopic_offsets::{Offset, RecordAt};
use tabletopic_records::{Record, SchemaId};
use tabletopic_shape::schema_change;

use super::error::WriteError;
use super::message::Effect;
use super::partition::{Partition, Phase};
use super::slot::Slot;
use super::unpartitionable;
use crate::job::Job;
use crate::observe::{Meter, Stage};

/// Takes in the records of one topic.
pub fn take(
    slot: &mut Slot,
    now: Millis,
    records: &[Record<'_>],
    entropy: &dyn Entropy,
    meter: &mut Meter,
    effects: &mut Vec<Effect>,
) -> Result<(), WriteError> {
    let mut scratch = Vec::new();
    let mut left = Cow::Borrowed(slot.expected(records, &mut scratch));
    while !left.is_empty() {
        let taken = take_some(slot, now, &left, entropy, meter, effects)?;
        if taken == left.len() {
            break;
        }
        slot.partitions.values_mut().for_each(Partition::stand_at_next);
        // What was taken may have stopped a partition, or all of them.
        let mut scratch = Vec::new();
        left = Cow::Owned(slot.expected(&left[taken..], &mut scratch).to_vec());
    }
    Ok(())
}

/// Takes in as many of the records as one batch may hold: nearly always all. Says how many these were.
fn take_some(
    slot: &mut Slot,
    now: Millis,
    records: &[Record<'_>],
    entropy: &dyn Entropy,
    meter: &mut Meter,
    effects: &mut Vec<Effect>,
) -> Result<usize, WriteError> {
    let Some(writing) = slot.writing.as_mut() else {
        return Ok(records.len());
    };
    let mut decoded = writing.decoder.decode(records)?;
    if let Some(awaited) = decoded.awaits.first() {
        if awaited.index == 0 {
            wait_at(slot, now, &records[0], awaited.id, effects);
            return Ok(1);
        }
        // Those before it are a batch of their own.
        return take_some(slot, now, &records[..awaited.index], entropy, meter, effects);
    }
    let taken = decoded.taken;
    let records = &records[..taken];
    unpartitionable::set_aside(&writing.splitter, &mut decoded)?;
    meter.ended(Stage::Decode);
    if !decoded.grown.is_empty() {
        let made_for = writing.version.schema.schema_id();
        grow(slot, now, records, &decoded.grown, made_for, entropy, effects);
        return Ok(taken);
    }
    let halts = match slot.job.decode.on_bad_record {
        OnBadRecord::Halt => first_bad(records, &decoded.bad),
        OnBadRecord::DeadLetter | OnBadRecord::NullField => BTreeMap::new(),
    };
    if halts.is_empty() {
        append(slot, now, records, decoded, entropy, meter, effects)?;
        return Ok(taken);
    }
    let before: Vec<Record<'_>> = records
        .iter()
        .filter(|record| {
            halts
                .get(&record.partition)
                .is_none_or(|(offset, _)| record.offset < *offset)
        })
        .copied()
        .collect();
    if !before.is_empty() {
        let decoded = writing.decoder.decode(&before)?;
        meter.ended(Stage::Decode);
        append(slot, now, &before, decoded, entropy, meter, effects)?;
    }
    for (partition, (offset, bad)) in halts {
        halt_at(slot, partition, offset, &bad, effects);
    }
    if slot.is_dirty() {
        slot.opened.get_or_insert(now);
    }
    Ok(taken)
}

/// The registry has to say how a record was written: its partition stops right before it, and all others go on.
fn wait_at(slot: &mut Slot, now: Millis, record: &Record<'_>, id: SchemaId, effects: &mut Vec<Effect>) {
    if let Some(state) = slot.partitions.get_mut(&record.partition) {
        state.await_schema(record.offset, id);
    }
    effects.push(Effect::Pause(vec![slot.topic_partition(record.partition)]));
    effects.push(Effect::FindSchema {
        job: slot.job.id.clone(),
        incarnation: slot.incarnation,
        id,
    });
    // Offsets before the record may hold nothing, and be read all the same.
    if slot.is_dirty() {
        slot.opened.get_or_insert(now);
    }
}

/// The first bad record of each partition.
fn first_bad(records: &[Record<'_>], bad: &[BadRecord]) -> BTreeMap<i32, (Offset, BadRecord)> {
    let mut first = BTreeMap::new();
    for bad in bad.iter().filter(|bad| !bad.nulled) {
        let record = &records[bad.index];
        first
            .entry(record.partition)
            .or_insert_with(|| (record.offset, bad.clone()));
    }
    first
}

/// `on_bad_record = "halt"`: the partition stops right before the record, and everything else goes on.
fn halt_at(slot: &mut Slot, partition: i32, offset: Offset, bad: &BadRecord, effects: &mut Vec<Effect>) {
    if let Some(state) = slot.partitions.get_mut(&partition) {
        state.halt_at(offset);
    }
    effects.push(Effect::Pause(vec![slot.topic_partition(partition)]));
    effects.push(Effect::Halt {
        job: slot.job.id.clone(),
        partition: Some(partition),
        message: bad_record(&slot.job, partition, offset, bad),
    });
}

/// What to say of a record that its partition halts at.
pub fn bad_record(job: &Job, partition: i32, offset: Offset, bad: &BadRecord) -> String {
    let field = bad
        .field
        .as_ref()
        .map(|field| format!(" in field `{field}`"))
        .unwrap_or_default();
    format!(
        "topic {} partition {partition} offset {offset}: bad record ({}{field}): {}. Set `on_bad_record = \
         \"dead-letter\"` or `\"null-field\"` for this topic and restart to set such records aside",
        job.topic, bad.reason, bad.detail
    )
}

/// The table lacks columns: what is open is cut, the change is asked for, and all partitions of the job stop where
/// they are. Their records are read again under the new schema.
fn grow(
    slot: &mut Slot,
    now: Millis,
    records: &[Record<'_>],
    grown: &[Proposal],
    made_for: i32,
    entropy: &dyn Entropy,
    effects: &mut Vec<Effect>,
) {
    super::cut(slot, now, entropy, effects);
    effects.push(Effect::Pause(slot.in_phase(Phase::Reading)));
    for partition in slot
        .partitions
        .values_mut()
        .filter(|partition| partition.phase == Phase::Reading)
    {
        partition.phase = Phase::Suspended;
    }
    let first = grown.iter().map(|proposal| proposal.caused_by).min().unwrap_or(0);
    let record = &records[first];
    effects.push(Effect::ChangeSchema {
        job: slot.job.id.clone(),
        incarnation: slot.incarnation,
        made_for,
        changes: grown
            .iter()
            .map(|proposal| schema_change(&proposal.change))
            .collect(),
        cause: RecordAt {
            job: slot.job.id.clone(),
            topic: slot.job.topic.clone(),
            topic_id: slot
                .identity
                .as_ref()
                .and_then(|identity| identity.topic_id.clone()),
            partition: record.partition,
            offset: record.offset,
        },
    });
}

fn append(
    slot: &mut Slot,
    now: Millis,
    records: &[Record<'_>],
    decoded: Decoded,
    entropy: &dyn Entropy,
    meter: &mut Meter,
    effects: &mut Vec<Effect>,
) -> Result<(), WriteError> {
    let Some(writing) = slot.writing.as_mut() else {
        return Ok(());
    };
    let parts = writing.splitter.split(&decoded.batch)?;
    meter.ended(Stage::Split);
    for file in writing.open.write(&parts, entropy)? {
        writing.note(&file);
        effects.push(Effect::Upload {
            job: slot.job.id.clone(),
            file,
        });
    }
    let mut bad = decoded.bad.iter().filter(|bad| !bad.nulled).peekable();
    let mut filtered = decoded.filtered.iter().peekable();
    for (index, record) in records.iter().enumerate() {
        let Some(partition) = slot.partitions.get_mut(&record.partition) else {
            continue;
        };
        match bad.next_if(|bad| bad.index == index) {
            Some(bad) => {
                partition.add_dead_letter(record.offset);
                if let Some(identity) = &slot.identity {
                    writing.letters.push(&slot.job, identity, record, bad);
                }
            }
            None if filtered.next_if_eq(&&index).is_some() => partition.add_filtered(record.offset),
            None => partition.add_row(record.offset),
        }
    }
    let nulled = decoded.bad.iter().filter(|bad| bad.nulled).count() as u64;
    meter.lost_fields(&slot.job.topic, nulled, decoded.unknown_fields);
    slot.opened.get_or_insert(now);
    Ok(())
}
