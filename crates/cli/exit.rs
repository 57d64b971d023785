//! What the process's exit code says.

use std::fmt;
use std::process::ExitCode;

use tabletopic_audit::compare::CompareError;
use tabletopic_audit::verify::VerifyError;
use tabletopic_catalog::CatalogError;
use tabletopic_fixture::FixtureError;
use tabletopic_history::HistoryError;
use tabletopic_history::restore::RestoreError;
use tabletopic_ingest::dead_letters::DeadLettersError;
use tabletopic_ingest::observe::look::LookError;
use tabletopic_ingest::prepare::PrepareError;
use tabletopic_ingest::resolve::ResolveError;
use tabletopic_ingest::run::RunError;
use tabletopic_maintain::MaintainError;
use tabletopic_maintain::engine::trino::TrinoError;
use tabletopic_maintain::orphans::OrphansError;
use tabletopic_query::QueryError;
use tabletopic_query::script::ScriptError;
use tabletopic_registry::SettingsError;
use tabletopic_replay::ReplayError;
use tabletopic_source::BrokerError;
use tabletopic_table::commit::CommitError;
use tabletopic_table::storage::OpenError;

use crate::config::ConfigError;

/// Scripts rely on these numbers: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// Fix the configuration or the command line (clap uses the same number).
    Configuration = 2,
    /// What was judged is not as it should be, or what was compared not the same.
    Differs = 3,
    /// Something stands still until somebody has looked.
    Halted = 4,
    /// Something that cannot be reached now: try again later.
    Later = 5,
}

/// The command line names something that is not there.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

impl Exit {
    /// Of several, the one to hear of: what a person has to fix comes before what is broken, and that before what will
    /// pass by itself.
    pub fn first_of(exits: impl IntoIterator<Item = Self>) -> Self {
        let place = |exit: &Self| match exit {
            Self::Configuration => 0,
            Self::Failed => 1,
            Self::Differs => 2,
            Self::Halted => 3,
            Self::Later => 4,
            Self::Done => 5,
        };
        exits.into_iter().min_by_key(place).unwrap_or(Self::Done)
    }

    /// The code of a command that ended in `error`.
    pub fn of(error: &anyhow::Error) -> Self {
        let catalog = match error.downcast_ref() {
            Some(ScriptError {
                error: QueryError::Catalog(error),
                ..
            }) => Some(error),
            _ => match error.downcast_ref() {
                Some(QueryError::Catalog(error)) => Some(error),
                _ => error.downcast_ref(),
            },
        };
        let unavailable = matches!(catalog, Some(CatalogError::Unavailable { .. }))
            || error.downcast_ref().is_some_and(RunError::is_transient)
            || matches!(error.downcast_ref(), Some(BrokerError::Unreachable { .. }))
            || matches!(error.downcast_ref(), Some(LookError::Commit(error)) if error.is_transient())
            || match error.downcast_ref() {
                Some(DeadLettersError::Registry { .. }) => true,
                Some(DeadLettersError::Commit(error)) => error.is_transient(),
                _ => false,
            }
            || matches!(error.downcast_ref(), Some(ResolveError::Commit(error)) if error.is_transient());
        let maintained = error.downcast_ref::<MaintainError>();
        let orphans = error.downcast_ref::<OrphansError>();
        let unavailable = unavailable
            || maintained.is_some_and(MaintainError::is_transient)
            || orphans.is_some_and(OrphansError::is_transient);
        let compared = error.downcast_ref::<CompareError>();
        let unavailable = unavailable || compared.is_some_and(CompareError::is_transient);
        let verified = error.downcast_ref::<VerifyError>();
        let unavailable = unavailable || verified.is_some_and(VerifyError::is_transient);
        let history = error.downcast_ref::<HistoryError>();
        let restored = error.downcast_ref::<RestoreError>();
        let unavailable = unavailable
            || history.is_some_and(HistoryError::is_transient)
            || restored.is_some_and(RestoreError::is_transient);
        let trino = error.downcast_ref::<TrinoError>();
        let unavailable = unavailable || trino.is_some_and(TrinoError::is_transient);
        let replayed = error.downcast_ref::<ReplayError>();
        let unavailable = unavailable || replayed.is_some_and(ReplayError::is_transient);
        let halted = maintained.is_some_and(MaintainError::is_halt)
            || orphans.is_some_and(OrphansError::is_halt)
            || verified.is_some_and(VerifyError::is_halt)
            || history.is_some_and(HistoryError::is_halt)
            || restored.is_some_and(RestoreError::is_halt)
            || matches!(
                error.downcast_ref(),
                Some(DeadLettersError::Commit(CommitError::Halt(_)))
            )
            || matches!(error.downcast_ref(), Some(ResolveError::Halted(_)));
        let misconfigured = error.is::<ConfigError>()
            || maintained.is_some_and(MaintainError::is_no_such_table)
            || orphans.is_some_and(OrphansError::is_misuse)
            || verified.is_some_and(VerifyError::is_misuse)
            || history.is_some_and(HistoryError::is_misuse)
            || restored.is_some_and(RestoreError::is_misuse)
            || trino.is_some_and(TrinoError::is_misuse)
            || compared.is_some_and(CompareError::is_misuse)
            || replayed.is_some_and(ReplayError::is_misuse)
            || matches!(error.downcast_ref(), Some(CatalogError::Rejected { .. }))
            || error.is::<UsageError>()
            || error.is::<FixtureError>()
            || error.is::<SettingsError>()
            || matches!(error.downcast_ref(), Some(BrokerError::KeptOut { .. }))
            || error.is::<OpenError>()
            || matches!(
                error.downcast_ref(),
                Some(DeadLettersError::NoRegistry { .. } | DeadLettersError::Write { .. })
            )
            || matches!(
                error.downcast_ref(),
                Some(
                    RunError::Topic { .. }
                        | RunError::NoSuchPartition { .. }
                        | RunError::Source(_)
                        | RunError::Prepare(
                            PrepareError::Decode { .. }
                                | PrepareError::Partition { .. }
                                | PrepareError::NothingToInferFrom { .. }
                        )
                )
            );
        if misconfigured {
            Self::Configuration
        } else if unavailable {
            Self::Later
        } else if halted {
            Self::Halted
        } else {
            Self::Failed
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
