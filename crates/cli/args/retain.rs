//! `tabletopic retain`.

use std::time::Duration;

use clap::Args as Arguments;

use super::Output;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic retain shop.orders --older-than 90d --dry-run
  tabletopic retain shop.orders --older-than 90d --column created_at
  tabletopic retain shop.customers --older-than 2y --yes --output json

A partition by year, month, day or hour leaves once it has ended so long ago: no file is read or written anew, but for the
offsets of a table that a topic feeds. Rows whose time is null stay. The files themselves go with the last snapshot that
leads to them: until then the rows can be read by time travel. `run` does the same for topics with `retain`.
docs/maintenance.md says what else stays.

Exit codes: 0 done, or nothing to do; 1 failed, or not confirmed; 2 configuration or usage; 4 the table is halted; 5
something cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Retain {
    /// A table of the catalog, whoever writes to it; several are done one after the other
    #[arg(required = true)]
    pub table: Vec<String>,

    /// How old all rows of a partition have to be, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub older_than: Duration,

    /// The column whose time it is; by default the one that the table is partitioned by
    #[arg(long, value_name = "COLUMN")]
    pub column: Option<String>,

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
