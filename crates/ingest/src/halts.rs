//! What stands still, why, and how wide (commit protocol, section 7): shown to people, and the reason for exit
//! code 4.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use iceberg::TableIdent;
use tabletopic_offsets::JobId;

/// What a halt stops. Everything else goes on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Partition { job: JobId, partition: i32 },
    Topic { job: JobId },
    Table { table: TableIdent },
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition { job, partition } => write!(f, "job {job}, partition {partition}"),
            Self::Topic { job } => write!(f, "job {job}"),
            Self::Table { table } => write!(f, "table {table}"),
        }
    }
}

/// All halts of the process, each with its message: what was seen, and which command resolves it.
#[derive(Debug, Default)]
pub struct Halts(Mutex<BTreeMap<Scope, String>>);

impl Halts {
    /// Notes a halt, and logs it once.
    pub fn raise(&self, scope: Scope, message: String) {
        let mut halts = self.lock();
        if halts.get(&scope) != Some(&message) {
            tracing::error!(halted = %scope, "{message}");
            halts.insert(scope, message);
        }
    }

    /// The halts that `over` names are over.
    pub fn lift(&self, over: impl Fn(&Scope) -> bool) {
        let mut halts = self.lock();
        halts.retain(|scope, _| {
            let lifted = over(scope);
            if lifted {
                tracing::info!(%scope, "goes on after a halt");
            }
            !lifted
        });
    }

    pub fn has(&self, wanted: impl Fn(&Scope) -> bool) -> bool {
        self.lock().keys().any(wanted)
    }

    pub fn all(&self) -> Vec<(Scope, String)> {
        self.lock()
            .iter()
            .map(|(scope, message)| (scope.clone(), message.clone()))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Scope, String>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
