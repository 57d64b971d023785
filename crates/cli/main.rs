//! `tabletopic`: the command line, the configuration, and the wiring of the rooms. No logic of its own.

mod admin;
mod args;
mod aws;
mod catalog_server;
mod catalogs;
mod commands;
mod config;
mod exit;
mod heap;
mod jobs;
mod logging;
mod maintenance;
mod parts;
mod progress;
mod when;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use exit::Exit;

fn main() -> ExitCode {
    match commands::run(&Args::parse()) {
        Ok(exit) => exit.into(),
        // Who reads the answer, `head` for one, has had enough of it.
        Err(error) if is_unread(&error) => Exit::Done.into(),
        Err(error) => {
            eprintln!("error: {}", sentence(&error));
            Exit::of(&error).into()
        }
    }
}

fn is_unread(error: &anyhow::Error) -> bool {
    let written = error.downcast_ref::<std::io::Error>();
    written.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The error and its causes, without those that the words before them tell already.
fn sentence(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |told, cause| match told.as_str() {
            "" => cause,
            _ if told.contains(&cause) => told,
            _ => format!("{told}: {cause}"),
        })
}
