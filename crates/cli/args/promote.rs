//! `tabletopic promote`.

use clap::Args as Arguments;

use super::Output;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic promote try.orders --dry-run
  tabletopic promote try.orders --reason 'amounts were strings, see ticket 42'

The table that the replay is of gets its rows, columns, partitions and dead letters; what the table has above the replay's ends
is read again. Stop the service before, if it is to go on with another mapping, and change its configuration. `tabletopic
rollback` takes it back.

Exit codes: 0 done; 1 refused or failed; 2 configuration or usage; 4 the table is halted (see `tabletopic resolve`);
5 something cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Promote {
    /// The table of the replay, such as try.orders
    #[arg(value_name = "REPLAY")]
    pub replay: String,

    /// Promote also where the raw-history table that the replay was read from has lost some of the records, and write these offsets
    /// down as lost
    #[arg(long)]
    pub declare_lost: bool,

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
