//! What was produced, and what the broker still has of it.
//!
//! Every record has a number of its own, which its Kafka timestamp carries, so that a row or a dead letter is
//! recognised whatever its value became.

use tabletopic_source::MemoryRecord;

/// The time of record 0, in milliseconds since the Unix epoch; records are 40 minutes apart, so that a few of them
/// fall into every day.
const FIRST: i64 = 1_690_000_000_000;
const APART: i64 = 40 * 60 * 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Row,
    /// A null value: a row with Kafka's columns alone.
    Tombstone,
    Poison,
}

#[derive(Debug, Clone)]
pub struct Produced {
    /// How many topics of the name there were before.
    pub topic: usize,
    pub partition: i32,
    pub offset: i64,
    pub kind: Kind,
    /// Retention took it.
    pub expired: bool,
    /// Compaction took it.
    pub compacted: bool,
    /// The log was cut below it.
    pub cut: bool,
}

/// All records, by their numbers.
#[derive(Debug, Default)]
pub struct Truth {
    pub records: Vec<Produced>,
    /// Topics of the name that were deleted.
    pub topic: usize,
    new_fields: u32,
}

impl Truth {
    /// The next record to produce. A new field is one that no record had.
    pub fn draw(&mut self, rng: &mut fastrand::Rng, new_field: bool) -> (Kind, MemoryRecord) {
        let number = self.records.len();
        let kind = match rng.u8(..20) {
            0 => Kind::Poison,
            1 => Kind::Tombstone,
            _ => Kind::Row,
        };
        if new_field {
            self.new_fields += 1;
        }
        let value = match kind {
            Kind::Tombstone => None,
            Kind::Poison if rng.bool() => Some(format!("{{\"n\": {number}, ")),
            Kind::Poison => Some(format!("{{\"n\": \"{number}\"}}")),
            Kind::Row if new_field || (self.new_fields > 0 && rng.bool()) => {
                Some(format!("{{\"n\": {number}, \"f{}\": \"x\"}}", self.new_fields))
            }
            Kind::Row => Some(format!("{{\"n\": {number}}}")),
        };
        let timestamp = Some(FIRST + number as i64 * APART);
        (
            kind,
            MemoryRecord {
                timestamp,
                value: value.map(String::into_bytes),
                ..MemoryRecord::default()
            },
        )
    }

    /// Notes where the record of [`Truth::draw`] went.
    pub fn note(&mut self, partition: i32, offset: i64, kind: Kind) {
        let topic = self.topic;
        self.records.push(Produced {
            topic,
            partition,
            offset,
            kind,
            expired: false,
            compacted: false,
            cut: false,
        });
    }

    /// The record with this timestamp, in microseconds.
    pub fn number(micros: i64) -> usize {
        ((micros / 1000 - FIRST) / APART) as usize
    }

    pub fn expire(&mut self, partition: i32, below: i64) {
        for record in self.current(partition).filter(|record| record.offset < below) {
            record.expired = true;
        }
    }

    pub fn compact(&mut self, partition: i32, offset: i64) {
        for record in self.current(partition).filter(|record| record.offset == offset) {
            record.compacted = true;
        }
    }

    pub fn cut(&mut self, partition: i32, at: i64) {
        for record in self.current(partition).filter(|record| record.offset >= at) {
            record.cut = true;
        }
    }

    /// What the log of a partition has, or had until retention or compaction took it.
    fn current(&mut self, partition: i32) -> impl Iterator<Item = &mut Produced> {
        let topic = self.topic;
        self.records
            .iter_mut()
            .filter(move |record| record.topic == topic && record.partition == partition && !record.cut)
    }
}
