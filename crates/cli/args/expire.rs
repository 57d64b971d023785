//! `tabletopic expire`.

use std::time::Duration;

use clap::Args as Arguments;

use super::Output;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic expire shop.orders --dry-run
  tabletopic expire shop.orders --older-than 2d --keep 100
  tabletopic expire shop.customers --yes --output json

Nobody can travel to a snapshot that has left, nor roll back to it. What tags and branches lead to stays; of a table that
a topic feeds, the newest ten do as well, and what its ledger does not hold yet. `run` does the same with each commit, by
the limits in the table's properties: docs/operations.md has them.

Exit codes: 0 done; 1 failed, or not confirmed; 2 configuration or usage; 4 the table is halted; 5 something cannot be
reached now";

#[derive(Debug, Arguments)]
pub struct Expire {
    /// A table of the catalog, whoever writes to it; several are done one after the other
    #[arg(required = true)]
    pub table: Vec<String>,

    /// How old a snapshot has to be, such as 5d; by default what the table's `history.expire.max-snapshot-age-ms` says
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub older_than: Option<Duration>,

    /// So many of the newest stay; by default what the table's `history.expire.min-snapshots-to-keep` says
    #[arg(long, value_name = "NUMBER")]
    pub keep: Option<usize>,

    /// Say what would leave, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}
