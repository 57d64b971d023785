//! `tabletopic`: the command line, the configuration, and the wiring of the rooms. No logic of its own.

mod admin;
mod args;
mod aside;
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
mod sentence;
mod verification;
mod when;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use exit::Exit;
use sentence::sentence;

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
