//! `tabletopic resolve`.

use clap::Args as Arguments;

use super::Output;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic resolve shop.orders --rewind --dry-run
  tabletopic resolve shop.orders --truncate --dry-run       (says which rows and files would go)
  tabletopic resolve shop.orders --declare-lost --reason 'retention was one day, see ticket 42'

A running service notices and goes on by itself.

Exit codes: 0 done; 1 refused or failed; 2 usage; 5 something cannot be reached now";

#[derive(Debug, Arguments)]
#[command(group = clap::ArgGroup::new("answer").required(true))]
pub struct Resolve {
    /// The table, as the configuration names it
    pub table: String,

    /// Go on without the offsets that are gone, from the broker or after a rollback, and write them down as lost
    #[arg(long, group = "answer")]
    pub declare_lost: bool,

    /// After a rollback: read again from Kafka what it removed
    #[arg(long, group = "answer")]
    pub rewind: bool,

    /// After a topic was deleted and created again: go on with the new one, from its start
    #[arg(long, group = "answer")]
    pub adopt_topic: bool,

    /// After a log was cut below what the table holds: remove the rows that it no longer has, and go on from there
    #[arg(long, group = "answer")]
    pub truncate: bool,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// Why, in your own words: it stands in the ledger for good
    #[arg(long, default_value = "")]
    pub reason: String,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}
