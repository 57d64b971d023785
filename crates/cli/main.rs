//! `tabletopic`: the command line, the configuration, and the wiring of the rooms. No logic of its own.

mod args;
mod commands;
mod config;
mod exit;
mod jobs;
mod logging;
mod parts;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use exit::Exit;

/// librdkafka's own C allocations go through it as well, which is most of its use: consuming costs a third less.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match commands::run(&Args::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::of(&error).into()
        }
    }
}
