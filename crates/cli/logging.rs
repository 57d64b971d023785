//! Log lines on standard error: standard output belongs to a command's result.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts logging for the rest of the process. `TABLETOPIC_LOG` takes the place of the configured level, and
/// can set one for each module (`info,tabletopic_source=debug`).
pub fn start<W: io::Write + 'static>(log: &Log, writer: impl Fn() -> W + Send + Sync + 'static) {
    let filter =
        EnvFilter::try_from_env("TABLETOPIC_LOG").unwrap_or_else(|_| EnvFilter::new(log.level.as_str()));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match log.format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        LogFormat::Json => lines.json().init(),
    }
}
