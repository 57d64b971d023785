//! What stands still, why, and how wide (commit protocol, section 7): shown to people, and the reason for exit
//! code 4.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use iceberg::TableIdent;
use tabletopic_clock::{Clock, Millis};
use tabletopic_offsets::JobId;
use tabletopic_table::commit::{CommitError, Halt};

use crate::lane::Lane;
use crate::observe::Metrics;
use crate::resolve::Answer;

/// What a halt stops. Everything else goes on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Partition {
        job: JobId,
        partition: i32,
    },
    /// What is read behind the live edge of a partition.
    Backfill {
        job: JobId,
        partition: i32,
    },
    Topic {
        job: JobId,
    },
    Table {
        table: TableIdent,
    },
}

impl Scope {
    /// `partition`, `backfill`, `job` or `table`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Partition { .. } => "partition",
            Self::Backfill { .. } => "backfill",
            Self::Topic { .. } => "job",
            Self::Table { .. } => "table",
        }
    }

    /// What stands still when the reader of one lane does.
    pub(crate) fn of_reader(job: JobId, partition: i32, lane: Lane) -> Self {
        match lane {
            Lane::Live => Self::Partition { job, partition },
            Lane::Backfill => Self::Backfill { job, partition },
        }
    }

    /// Whether it is about this job, or one of its partitions.
    pub(crate) fn is_of_job(&self, wanted: &JobId) -> bool {
        match self {
            Self::Partition { job, .. } | Self::Backfill { job, .. } | Self::Topic { job } => job == wanted,
            Self::Table { .. } => false,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition { job, partition } => write!(f, "job {job}, partition {partition}"),
            Self::Backfill { job, partition } => {
                write!(f, "job {job}, partition {partition}, backfill")
            }
            Self::Topic { job } => write!(f, "job {job}"),
            Self::Table { table } => write!(f, "table {table}"),
        }
    }
}

/// Why something stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What was seen, and what to do.
    pub message: String,
    /// What `tabletopic resolve` can answer; empty where something else has to be mended.
    pub answers: Vec<Answer>,
}

impl From<String> for Why {
    fn from(message: String) -> Self {
        Self {
            message,
            answers: Vec::new(),
        }
    }
}

impl From<&Halt> for Why {
    fn from(halt: &Halt) -> Self {
        let answers = match halt {
            Halt::TagMissing { .. } => vec![Answer::Rewind],
            Halt::RolledBack { .. } | Halt::HistoryExpired { .. } => {
                vec![Answer::Rewind, Answer::DeclareLost]
            }
            Halt::Ahead { .. } => vec![Answer::DeclareLost],
            Halt::StateUnreadable { .. }
            | Halt::TagMovedBack { .. }
            | Halt::UuidChanged { .. }
            | Halt::Refused { .. }
            | Halt::Anchor { .. }
            | Halt::StartUnknown { .. }
            | Halt::OutboxFull { .. }
            | Halt::FollowerTagMissing { .. }
            | Halt::FollowerAstray { .. }
            | Halt::FollowerOfAnother { .. }
            | Halt::FormatVersion { .. }
            | Halt::DeadLettersGone { .. }
            | Halt::Resolve { .. }
            | Halt::Schema { .. } => Vec::new(),
        };
        Self {
            message: halt.to_string(),
            answers,
        }
    }
}

impl From<&CommitError> for Why {
    fn from(error: &CommitError) -> Self {
        match error {
            CommitError::Halt(halt) => halt.into(),
            CommitError::Catalog(_) | CommitError::Store(_) | CommitError::Encode(_) => {
                error.to_string().into()
            }
        }
    }
}

/// One halt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halted {
    pub why: Why,
    pub since: Millis,
}

/// All halts of the process.
#[derive(Debug)]
pub struct Halts {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    halts: Mutex<BTreeMap<Scope, Halted>>,
}

impl Halts {
    pub fn new(clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let halts = Self {
            clock,
            metrics,
            halts: Mutex::default(),
        };
        halts.count(&halts.lock());
        halts
    }

    /// Notes a halt, and logs it once.
    pub fn raise(&self, scope: Scope, why: impl Into<Why>) {
        let why = why.into();
        let (shown, message) = (scope.to_string(), why.message.clone());
        if self.note(scope, why) {
            tracing::error!(halted = %shown, "{message}");
        }
    }

    /// Notes a halt. False if it was known.
    pub(crate) fn note(&self, scope: Scope, why: Why) -> bool {
        let since = self.clock.now();
        let mut halts = self.lock();
        if halts
            .get(&scope)
            .is_some_and(|halted| halted.why.message == why.message)
        {
            return false;
        }
        halts.insert(scope, Halted { why, since });
        self.count(&halts);
        true
    }

    /// The halts that `over` names are over.
    pub fn lift(&self, over: impl Fn(&Scope) -> bool) {
        let mut halts = self.lock();
        halts.retain(|scope, _| {
            let lifted = over(scope);
            if lifted {
                tracing::info!(%scope, "this halt is over");
            }
            !lifted
        });
        self.count(&halts);
    }

    pub fn has(&self, wanted: impl Fn(&Scope) -> bool) -> bool {
        self.lock().keys().any(wanted)
    }

    pub fn all(&self) -> Vec<(Scope, Halted)> {
        self.lock()
            .iter()
            .map(|(scope, halted)| (scope.clone(), halted.clone()))
            .collect()
    }

    fn count(&self, halts: &BTreeMap<Scope, Halted>) {
        for kind in ["partition", "backfill", "job", "table"] {
            let number = halts.keys().filter(|scope| scope.kind() == kind).count();
            self.metrics.halts.with_label_values(&[kind]).set(number as i64);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Scope, Halted>> {
        self.halts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
