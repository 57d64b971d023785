//! One file for each command.

mod check;
mod resolve;
mod run;

use crate::args::{Args, Command};
use crate::exit::Exit;

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Run(run) => run::run(&args.config, run),
        Command::Check(check) => check::run(&args.config, check),
        Command::Resolve(resolve) => resolve::run(&args.config, resolve),
    }
}

/// The process's environment, as the configuration reads it.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
