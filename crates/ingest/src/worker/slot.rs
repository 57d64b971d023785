//! One job within a worker: its partitions, and what is open for its table.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::spec::SchemaRef;
use tabletopic_clock::{Entropy, Millis};
use tabletopic_decode::{DecodeSettings, Decoder};
use tabletopic_offsets::{
    Generation, Offset, OffsetRange, PendingRange, TopicIdentity, TopicPartition, UnitRange,
};
use tabletopic_records::Record;
use tabletopic_table::commit::{DeadLetterFile, Unit};
use tabletopic_table::file::{EncodedFile, Encodings, FileWriter, OpenFiles};
use tabletopic_table::partition::Splitter;

use super::dead_letters::DeadLetters;
use super::error::WriteError;
use super::message::{Grant, TableVersion};
use super::partition::{Partition, Phase};
use crate::job::Job;
use crate::lane::Lane;

/// Bytes that the description of a data file takes, about: a few for each column in six maps, and its path.
const DESCRIPTION: usize = 4 << 10;

/// Decoder, splitter and open files of one version of the table.
pub struct Writing {
    pub version: Arc<TableVersion>,
    pub decoder: Box<dyn Decoder>,
    pub splitter: Splitter,
    pub open: OpenFiles,
    pub letters: DeadLetters,
    /// Data files of the open unit that were closed and handed over for upload already.
    closed: Vec<iceberg::spec::DataFile>,
}

impl Writing {
    pub fn new(job: &Job, version: Arc<TableVersion>) -> Result<Self, WriteError> {
        let schema = tabletopic_table::file::FileSchema::new(version.schema.clone(), version.spec.clone())?;
        let settings = DecodeSettings {
            former_names: version.former_names.clone(),
            ..job.decode.clone()
        };
        Ok(Self {
            decoder: tabletopic_shape::decoder(job.shape.as_ref(), &settings, &version.schema)?,
            splitter: Splitter::new(&version.spec, &version.schema)?,
            open: OpenFiles::new(job.files.clone(), schema, version.files.clone()),
            letters: DeadLetters::new(version.dead_letter_schema.arrow().clone())?,
            closed: Vec::new(),
            version,
        })
    }

    pub fn memory_size(&self) -> usize {
        self.open.memory_size() + self.letters.memory_size()
    }

    /// Bytes of memory that nothing but the end of the unit frees: its dead letters, and what the manifests will say of
    /// its files.
    pub fn size_until_cut(&self) -> usize {
        self.letters.memory_size() + self.closed.len() * DESCRIPTION
    }

    /// Notes a closed file as part of the open unit.
    pub fn note(&mut self, file: &EncodedFile) {
        self.closed.push(file.data_file.clone());
    }
}

/// A job's state in one worker.
pub struct Slot {
    pub job: Arc<Job>,
    pub lane: Lane,
    pub partitions: BTreeMap<i32, Partition>,
    /// Up to where the table has each partition, as far as was heard.
    pub committed: BTreeMap<i32, Offset>,
    pub writing: Option<Writing>,
    pub identity: Option<TopicIdentity>,
    pub generation: Generation,
    /// Rises when a unit was dropped: what was cut before is void.
    pub incarnation: u64,
    /// Units handed over whose fate is not known yet.
    pub in_flight: usize,
    /// When the open unit got its first offset.
    pub opened: Option<Millis>,
    /// When to ask once more for partitions that the last grant left out.
    pub ask_again: Option<Millis>,
    /// When to ask whether the log still leads to where this job waits for others of its topic.
    pub validate: Option<Millis>,
    /// Whether partitions are paused because too many units wait.
    pub held_back: bool,
}

impl Slot {
    pub fn new(job: Arc<Job>, lane: Lane) -> Self {
        Self {
            job,
            lane,
            partitions: BTreeMap::new(),
            committed: BTreeMap::new(),
            writing: None,
            identity: None,
            generation: Generation::default(),
            incarnation: 0,
            in_flight: 0,
            opened: None,
            ask_again: None,
            validate: None,
            held_back: false,
        }
    }

    pub fn topic_partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.job.topic.clone(), partition)
    }

    pub fn in_phase(&self, phase: Phase) -> Vec<TopicPartition> {
        let wanted = self
            .partitions
            .iter()
            .filter(|(_, partition)| partition.phase == phase);
        wanted.map(|(number, _)| self.topic_partition(*number)).collect()
    }

    /// Whether offsets mean something else now than they did when partitions were begun that have not asked: the
    /// grant says nothing of these.
    pub fn is_superseded_by(&self, grant: &Grant) -> bool {
        let begun = self
            .partitions
            .values()
            .any(|partition| partition.phase != Phase::Asking);
        begun && self.identity.is_some() && self.generation != grant.generation
    }

    /// Takes over what the table says.
    pub fn adopt(&mut self, grant: &Grant) -> Result<(), WriteError> {
        self.identity = Some(grant.identity.clone());
        self.generation = grant.generation;
        self.write_as(grant.version.clone())
    }

    /// Writes under another version of the table from here on. Nothing may be open.
    pub fn write_as(&mut self, version: Arc<TableVersion>) -> Result<(), WriteError> {
        let same = self
            .writing
            .as_ref()
            .is_some_and(|writing| same_version(&writing.version, &version));
        if !same {
            self.writing = Some(Writing::new(&self.job, version)?);
        }
        Ok(())
    }

    pub fn is_dirty(&self) -> bool {
        self.partitions.values().any(Partition::is_dirty)
    }

    /// Whether nothing more comes that the open unit could wait for: all that was read was read to its end, or stands
    /// still.
    pub fn has_ended(&self) -> bool {
        let mut phases = self.partitions.values().map(|partition| partition.phase);
        self.partitions
            .values()
            .any(|partition| partition.phase == Phase::Ended)
            && phases.all(|phase| matches!(phase, Phase::Ended | Phase::Halted))
    }

    /// Forgets the open unit: its files are dropped, its offsets are read again.
    pub fn discard(&mut self) -> Result<(), WriteError> {
        if let Some(version) = self.writing.take().map(|writing| writing.version) {
            self.writing = Some(Writing::new(&self.job, version)?);
        }
        self.incarnation += 1;
        self.in_flight = 0;
        self.opened = None;
        self.held_back = false;
        Ok(())
    }

    /// Ends the open unit. Returns it with the files that still have to be uploaded.
    pub fn cut(
        &mut self,
        now: Millis,
        entropy: &dyn Entropy,
    ) -> Result<Option<(Unit, Vec<EncodedFile>)>, WriteError> {
        let (Some(writing), Some(identity)) = (&mut self.writing, &self.identity) else {
            return Ok(None);
        };
        let mut ranges = Vec::new();
        let mut letter_ranges = Vec::new();
        for (number, partition) in &mut self.partitions {
            let Some(cut) = partition.cut() else { continue };
            letter_ranges.extend(cut.letters.map(|range| PendingRange {
                job: self.job.id.clone(),
                partition: *number,
                range,
            }));
            ranges.push(UnitRange {
                job: self.job.id.clone(),
                partition: *number,
                identity: identity.clone(),
                generation: self.generation,
                range: cut.range,
                leader_epoch: cut.leader_epoch,
                counts: cut.counts,
            });
        }
        let opened = self.opened.take();
        if ranges.is_empty() {
            return Ok(None);
        }
        let mut files = writing.open.close_all(entropy)?;
        for file in &files {
            writing.note(file);
        }
        let mut dead_letters = None;
        if !writing.letters.is_empty() {
            let (file, reasons) = encode_letters(writing, entropy)?;
            dead_letters = Some(DeadLetterFile {
                file: file.data_file.clone(),
                ranges: letter_ranges,
                reasons,
            });
            files.push(file);
        }
        let unit = Unit {
            created: opened.unwrap_or(now),
            schema: writing.version.schema.clone(),
            spec_id: writing.version.spec.spec_id(),
            files: std::mem::take(&mut writing.closed),
            dead_letters,
            ranges,
        };
        Ok(Some((unit, files)))
    }

    /// The records that come next, without those that are another reader's, and without stale ones: ranges never jump
    /// backwards, whatever a seek that raced with a batch has left in the client's queues. `records` as they are, in the usual case.
    pub fn expected<'a, 'r>(
        &self,
        records: &'a [Record<'r>],
        scratch: &'a mut Vec<Record<'r>>,
    ) -> &'a [Record<'r>] {
        let mut next: Vec<(i32, Option<OffsetRange>)> = self
            .partitions
            .iter()
            .map(|(number, partition)| (*number, partition.expected()))
            .collect();
        let mut run = 0;
        let mut is_next = |record: &Record<'_>| {
            if next
                .get(run)
                .is_none_or(|(number, _)| *number != record.partition)
            {
                match next.binary_search_by_key(&record.partition, |(number, _)| *number) {
                    Ok(found) => run = found,
                    Err(_) => return false,
                }
            }
            match &mut next[run].1 {
                Some(of_partition) if of_partition.contains(record.offset) => {
                    of_partition.start = record.offset + 1;
                    true
                }
                _ => false,
            }
        };
        let Some(stale) = records.iter().position(|record| !is_next(record)) else {
            return records;
        };
        scratch.extend_from_slice(&records[..stale]);
        scratch.extend(records[stale + 1..].iter().filter(|record| is_next(record)));
        scratch
    }
}

/// Schema and spec ids name versions; the location never changes.
fn same_version(a: &TableVersion, b: &TableVersion) -> bool {
    let ids = |version: &TableVersion| (schema_id(&version.schema), version.spec.spec_id());
    ids(a) == ids(b)
}

fn schema_id(schema: &SchemaRef) -> i32 {
    schema.schema_id()
}

fn encode_letters(
    writing: &mut Writing,
    entropy: &dyn Entropy,
) -> Result<(EncodedFile, BTreeMap<&'static str, u64>), WriteError> {
    let schema = writing.version.dead_letter_schema.clone();
    let (batch, reasons) = writing.letters.finish()?;
    let unpartitioned = iceberg::spec::Struct::empty();
    let path = writing
        .version
        .dead_letter_files
        .next(&schema, &unpartitioned, entropy)?;
    let encodings = Encodings::choose(&schema, &batch);
    let mut writer = FileWriter::new(&Default::default(), schema, &encodings, unpartitioned, path)?;
    writer.write(&batch)?;
    Ok((writer.finish()?, reasons))
}
