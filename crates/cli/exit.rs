//! What the process's exit code says.

use std::process::ExitCode;

use tabletopic_catalog::CatalogError;
use tabletopic_ingest::run::RunError;
use tabletopic_source::BrokerError;

use crate::config::ConfigError;

/// Scripts rely on these numbers: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// Fix the configuration or the command line (clap uses the same number).
    Configuration = 2,
    /// Something stands still until somebody has looked.
    Halted = 4,
    /// Something that cannot be reached now: try again later.
    Later = 5,
}

impl Exit {
    /// The code of a command that ended in `error`.
    pub fn of(error: &anyhow::Error) -> Self {
        let unavailable = matches!(error.downcast_ref(), Some(CatalogError::Unavailable { .. }))
            || matches!(
                error.downcast_ref(),
                Some(RunError::Broker(BrokerError::Unreachable { .. }))
            );
        if error.is::<ConfigError>() {
            Self::Configuration
        } else if unavailable {
            Self::Later
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
