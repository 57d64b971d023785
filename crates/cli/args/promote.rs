//! `tabletopic promote`.

use clap::Args as Arguments;

use super::Output;

#[derive(Debug, Arguments)]
pub struct Promote {
    /// The table of the replay, such as try.orders
    #[arg(value_name = "REPLAY")]
    pub replay: String,

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
