//! One state of everything: the table, our processes, what is on its way, the broker, the followers.

use crate::config::Errand;
use crate::offsets::{JOBS, LIVES, Lanes, Rows};
use crate::shared::Shared;
use crate::state::Stamp;
use crate::table::{Metadata, Snapshot};

#[derive(Debug, Clone, Hash)]
pub struct World {
    pub table: Shared<Metadata>,
    pub processes: [Process; 2],
    /// A commit of ours that is not a worker's: an operator's command, maintenance.
    pub errand: Option<Shared<Attempt>>,
    /// Bodies whose sender knows no answer, and which may still arrive.
    pub in_flight: Vec<Shared<Attempt>>,
    pub topics: [Topic; JOBS],
    pub followers: [Follower; 2],
    /// Drains that were sent and have not arrived.
    pub drains: Vec<Drain>,
    /// Units (by bit) whose files were deleted.
    pub deleted: u32,
    pub last_id: u8,
    pub last_unit: u8,
    pub spent: Spent,
    pub truth: Truth,
    /// What a step itself has shown to be wrong.
    pub wrong: Option<Violation>,
}

/// A process of ours: its workers, and the committer that takes their units.
#[derive(Debug, Clone, Hash, Default)]
pub struct Process {
    /// Where its workers read on, as they know it. `None`: nothing is assigned yet.
    pub readers: Option<[Option<Reader>; JOBS]>,
    pub waiting: Vec<Unit>,
    pub attempt: Option<Shared<Attempt>>,
    pub phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Phase {
    #[default]
    Ready,
    /// Sent, and no answer that proves anything.
    Unknown,
    /// The catalog refused it.
    Refused,
    /// Refused, with nothing changed: halted for good.
    Halted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reader {
    pub life: u8,
    pub generation: u8,
    pub lanes: Lanes,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unit {
    pub id: u8,
    pub ranges: [Option<UnitRange>; JOBS],
    /// Snapshot ids of all its attempts.
    pub tried: Vec<u8>,
    /// Older than a unit may become.
    pub old: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnitRange {
    /// The topic id that the worker believes to read.
    pub life: u8,
    /// The one that the records are of.
    pub true_life: u8,
    pub generation: u8,
    pub start: u8,
    pub end: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Anchor,
    Append,
    Errand(Errand),
}

/// One body to send: requirements and updates.
#[derive(Debug, Clone, Hash)]
pub struct Attempt {
    pub kind: Kind,
    pub base: Base,
    pub body: Shared<Snapshot>,
    /// Snapshots (by bit) that the commit removes.
    pub removes: u64,
    pub units: Vec<Unit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Base {
    pub version: u8,
    pub main: Option<u8>,
    pub tag: Option<u8>,
    pub last_seq: u8,
}

#[derive(Debug, Clone, Hash)]
pub struct Topic {
    pub life: u8,
    pub log_end: u8,
    /// Where the second life of the topic begins, if it is the same topic with its log cut and written again. What the
    /// first life had below stays in the log, and is not read again.
    pub cut: Option<u8>,
}

/// The places of the followers.
pub const LETTERS: usize = 0;
pub const LEDGER: usize = 1;

/// A follower table. Its own snapshots are kept only as far as a rollback needs: now, and one before.
#[derive(Debug, Clone, Hash, Default)]
pub struct Follower {
    pub version: u8,
    /// The main state drained last, as the follower's tag says.
    pub progress: Stamp,
    pub now: Content,
    pub before: Option<Content>,
    /// Its tag is no longer in its `main`.
    pub rolled_back: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Content {
    pub letters: Rows,
    /// Ids of the snapshots that the ledger has rows of.
    pub ledger: u64,
    pub progress: Stamp,
}

#[derive(Debug, Clone, Hash)]
pub struct Drain {
    pub follower: usize,
    pub version: u8,
    pub content: Content,
    /// What it adds, for the shortcut that appends without looking.
    pub added: Rows,
}

/// How much of each bound is used up.
#[derive(Debug, Clone, Hash, Default)]
pub struct Spent {
    pub cuts: u8,
    pub crashes: u8,
    pub doubts: u8,
    pub foreign: u8,
    pub errands: u8,
    pub drains: u8,
}

/// What nobody in the world knows, but the invariants ask for.
#[derive(Debug, Clone, Hash, Default)]
pub struct Truth {
    /// The first start that was ever committed for a job and life, or read from.
    pub anchors: [[Option<u8>; LIVES]; JOBS],
    /// Offsets that any progress of ours ever claimed.
    pub claimed: Rows,
    /// Parents by snapshot id, expired ones too. 0: none.
    pub parents: Vec<(u8, u8)>,
    /// Snapshots of ours that were applied, in order.
    pub ours: Vec<Stamp>,
    /// Somebody did what may rightly make us halt.
    pub harmed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Violation {
    /// An offset below progress is nowhere.
    Loss,
    /// An offset is in the table, or in a follower, twice; or in the table and declared lost, or cut from its log.
    Duplicate,
    /// `main` names a file that was deleted.
    Corruption,
    /// Halted although nobody did harm.
    FalseHalt,
    /// A commit of ours went onto a `main` that somebody had rolled back.
    MissedHalt,
    /// A follower table does not say what it should.
    Follower,
}
