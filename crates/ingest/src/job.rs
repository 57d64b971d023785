//! A job: one topic feeding one table, and how.

use std::sync::Arc;
use std::time::Duration;

use iceberg::TableIdent;
use iceberg::spec::NestedFieldRef;
use tabletopic_clock::Millis;
use tabletopic_decode::DecodeSettings;
use tabletopic_offsets::{JobId, TopicPartition};
use tabletopic_shape::Shape;
use tabletopic_table::file::FileSettings;

/// Everything that configuration says about a job.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: JobId,
    pub topic: Arc<str>,
    pub table: TableIdent,
    pub decode: DecodeSettings,
    /// What becomes of records before they are rows; `None`: they are rows as they are.
    pub shape: Option<Shape>,
    /// The columns of a DDL file; else the table's own, or inference.
    pub ddl: Option<Vec<NestedFieldRef>>,
    pub partition_by: PartitionBy,
    pub start: Start,
    pub backfill: Backfill,
    /// What this process reads under a static assignment; `None` is all partitions.
    pub partitions: Option<Vec<i32>>,
    pub files: FileSettings,
    /// Oldest record that may wait in open files before they are cut.
    pub commit_interval: Duration,
}

impl Job {
    /// Whether a topic partition is this job's to read, once this process has it.
    pub fn reads(&self, tp: &TopicPartition) -> bool {
        let named = self.partitions.as_ref();
        tp.topic == self.topic && named.is_none_or(|named| named.contains(&tp.partition))
    }
}

/// How a table is partitioned: fields such as `day(created_at)`, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionBy {
    /// The configuration says so. A table that is there gets it as its next spec.
    Said(Vec<String>),
    /// The configuration says nothing. A table that is there keeps what it has.
    Usual(Vec<String>),
}

impl PartitionBy {
    /// Of a table that is made.
    pub fn fields(&self) -> &[String] {
        match self {
            Self::Said(fields) | Self::Usual(fields) => fields,
        }
    }
}

/// Where a partition starts that the table does not know yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
    /// The first record at or after this time.
    Timestamp(Millis),
}

/// When what was in a topic before its job began is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backfill {
    /// In its order: what is new is read when all before it was.
    First,
    /// Behind what is new, which is read from the beginning on.
    Behind,
}
