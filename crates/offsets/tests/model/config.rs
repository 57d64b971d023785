//! What one exploration contains: features, the actions others may take, and how often.

use crate::offsets::Mask;

/// How a catalog decides whether a commit applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Catalog {
    /// Compare-and-swap on the metadata location.
    Sql,
    /// Requirements on `main`, tag and last sequence number, checked against the current metadata. It may
    /// also refuse a commit just because somebody else's got in between.
    Rest,
}

/// What others may do to our table, its followers, or the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Foreign {
    Append,
    Compact,
    /// Any one snapshot that no reference names.
    ExpireOne,
    /// All of them.
    ExpireAll,
    /// `main` becomes any snapshot that the table still has: back or forth.
    SetMain,
    CherryPick,
    SetProperty,
    DropTag,
    /// The tag becomes an older snapshot of ours.
    MoveTag,
    RollBackFollower,
    RecreateTopic,
    /// An unclean leader election cuts a log, and other records take the offsets.
    CutLog,
    Produce,
}

/// Commits of ours that are not a worker's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Errand {
    AnchorJob,
    Renew,
    Expire,
    RemoveOrphans,
    Rewind,
    DeclareLost,
    AdoptTopic,
    Truncate,
    Acknowledge,
    Redrive,
    RebuildFollower,
}

/// A tempting simplification, or the protocol without one of its clauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shortcut {
    ProgressInProperties,
    WalkSummariesBackwards,
    GuardOutsideRetryLoop,
    DeleteFilesOfDoubtfulCommits,
    GuardForgetsUnitsAccepted,
    FencedRangeDropsOnlyItself,
    RangesMayPassTheNextStart,
    GenerationNotGuarded,
    TopicIdNotChecked,
    WitnessIgnored,
    AnchorOnlyWithFirstData,
    NoEqualCountersRule,
    OnlyReferencesCountAsChanged,
    MaintenanceSkipsSectionFour,
    OrphansRemovedWithoutFence,
    OldUnitsAreCommitted,
    RewindKeepsAbandonedSnapshots,
    RewindRemovesOnlyOurSnapshots,
    RewindForgetsUnknownPartitions,
    RewindOnlyOneJob,
    RewindForgetsOldProgress,
    AdoptionForgetsOldProgress,
    RewindIgnoresRowsAbove,
    RewindKeepsDrainedLetters,
    RewindTakesOutboxFromMain,
    DeclareLostByDifference,
    DeclareLostForgetsClosedTopics,
    DeclareLostAcceptsLostRows,
    TruncateKeepsRows,
    TruncateKeepsDrainedLetters,
    AbandonedNearestAccepted,
    SectionFourTrustsTheTag,
    DrainAddsBeforeDeletes,
    DrainWithoutCompareAndSwap,
    AcknowledgeWhatWasOnlySent,
    FollowerSkipsSectionFour,
    RebuildKeepsOldStamps,
    RedriveDeletesTheLetter,
    RedriveIgnoresRowsOfMain,
}

/// How often each kind of step may happen in one history. The product of these is what makes a
/// configuration finite.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    pub cuts: u8,
    pub crashes: u8,
    /// Answers lost, or bodies that arrive late.
    pub doubts: u8,
    pub foreign: u8,
    pub errands: u8,
    pub drains: u8,
}

#[derive(Debug, Clone)]
pub struct Config {
    pub name: &'static str,
    pub shortcut: Option<Shortcut>,
    pub catalog: Catalog,
    /// Jobs that are anchored from the start: the first, or both.
    pub jobs: usize,
    pub processes: usize,
    /// Whether the anchor of the first jobs is committed already, which saves depth.
    pub anchored: bool,
    pub starts_at_latest: bool,
    /// Log end at the start, and the most that can be produced.
    pub log_end: u8,
    pub last_log_end: u8,
    /// Where a second range is declared at the anchor.
    pub live_edge: Option<u8>,
    pub cut_lengths: &'static [u8],
    /// Units that hold a range of either job, in shared files.
    pub mixed_units: bool,
    /// Whether the broker tells topic ids (old ones do not): without them only the generation fences.
    pub topic_ids: bool,
    /// Offsets whose records are bad and become dead letters.
    pub bad: Mask,
    /// Offsets that are filtered by configuration, or are no record (control records).
    pub rowless: Mask,
    pub followers: bool,
    pub foreign: &'static [Foreign],
    pub errands: &'static [Errand],
    pub bounds: Bounds,
}

impl Config {
    /// One anchored job, one process, four offsets, nobody else around.
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            shortcut: None,
            catalog: Catalog::Sql,
            jobs: 1,
            processes: 1,
            anchored: true,
            starts_at_latest: false,
            log_end: 4,
            last_log_end: 4,
            live_edge: None,
            cut_lengths: &[2],
            mixed_units: false,
            topic_ids: true,
            bad: 0,
            rowless: 0,
            followers: false,
            foreign: &[],
            errands: &[],
            bounds: Bounds::default(),
        }
    }

    pub fn with(self, shortcut: Shortcut) -> Self {
        Self {
            shortcut: Some(shortcut),
            ..self
        }
    }

    pub fn takes(&self, shortcut: Shortcut) -> bool {
        self.shortcut == Some(shortcut)
    }

    /// Offsets of `range` that become rows.
    pub fn rows(&self, range: Mask) -> Mask {
        range & !self.bad & !self.rowless
    }

    pub fn letters(&self, range: Mask) -> Mask {
        range & self.bad & !self.rowless
    }
}
