//! What one worker cut for one table: files, and the offsets that they (and nothing else) account for.

use std::collections::BTreeMap;

use iceberg::spec::{DataFile, SchemaRef};
use tabletopic_clock::Millis;
use tabletopic_offsets::{PendingRange, UnitRange};

/// Files and ranges that enter the table together or not at all. A unit may have ranges and no files: offsets of
/// control records, aborted transactions and filtered records.
#[derive(Debug, Clone)]
pub struct Unit {
    /// When its first record was taken: none of its files is older.
    pub created: Millis,
    /// What its files were written under.
    pub schema: SchemaRef,
    pub spec_id: i32,
    pub files: Vec<DataFile>,
    pub dead_letters: Option<DeadLetterFile>,
    pub ranges: Vec<UnitRange>,
}

/// A file for the dead-letter table. It waits in the outbox until it is drained.
#[derive(Debug, Clone)]
pub struct DeadLetterFile {
    pub file: DataFile,
    pub ranges: Vec<PendingRange>,
    /// Why: how many letters of each reason.
    pub reasons: BTreeMap<&'static str, u64>,
}

/// Above this age the files of a unit are looked up before they are committed (section 3.7).
pub const LOOK_UP_AFTER: Millis = 60 * 60 * 1000;

/// Above this age a unit is dropped and its offsets are read again: somebody's orphan removal may have taken its
/// files (section 3.7). What is not of a unit keeps to it as well.
pub const OLDEST: Millis = 24 * 60 * 60 * 1000;
