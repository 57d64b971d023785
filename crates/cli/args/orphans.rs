//! `tabletopic orphans`.

use std::time::Duration;

use clap::Args as Arguments;

use super::Output;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic orphans shop.orders
  tabletopic orphans shop.orders shop.orders__dead_letters --delete
  tabletopic orphans shop.orders --older-than 7d --delete --yes --output json

A file stays that any snapshot leads to, whatever branch or tag keeps it, and so do metadata files in the log, statistics,
and what is younger. `run` and other writers may go on meanwhile. A table that shares its folder with another one is
refused. docs/maintenance.md says what is an orphan, and why no live file is taken for one.

Exit codes: 0 shown or removed; 1 failed or refused; 2 configuration or usage; 4 the table is halted; 5 something cannot
be reached now";

#[derive(Debug, Arguments)]
pub struct Orphans {
    /// A table of the catalog, whoever writes to it; several are done one after the other
    #[arg(required = true)]
    pub table: Vec<String>,

    /// Leave younger files alone: a commit that is under way may yet bring them in. At least 24h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "3d")]
    pub older_than: Duration,

    /// Remove them, after showing them and asking
    #[arg(long)]
    pub delete: bool,

    /// Only show them, as without --delete
    #[arg(long, conflicts_with = "delete")]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long, requires = "delete")]
    pub yes: bool,

    /// How to print what is found or removed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}
