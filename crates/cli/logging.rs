//! Log lines on standard error: standard output belongs to a command's result.

use std::fs::File;
use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat, LogLevel};

/// Starts logging for the rest of the process. `TABLETOPIC_LOG` takes the place of the configured level, and
/// can set one for each module (`info,tabletopic_source=debug`).
pub fn start<W: io::Write + 'static>(log: &Log, writer: impl Fn() -> W + Send + Sync + 'static) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(log))
        .with_writer(writer);
    match log.format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        LogFormat::Json => lines.json().init(),
    }
}

/// [`start`], into a file.
pub fn start_in_file(log: &Log, file: File) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(log))
        .with_writer(file);
    match log.format {
        LogFormat::Text => lines.with_ansi(false).init(),
        LogFormat::Json => lines.json().init(),
    }
}

fn filter(log: &Log) -> EnvFilter {
    let level = log.level.as_str();
    // Each request to a store that is repeated is a line there; what fails for good is said by whoever asked.
    let usual = || match log.level {
        LogLevel::Info => EnvFilter::new(format!("{level},object_store=warn")),
        _ => EnvFilter::new(level),
    };
    EnvFilter::try_from_env("TABLETOPIC_LOG").unwrap_or_else(|_| usual())
}
