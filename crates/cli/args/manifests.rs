//! `tabletopic manifests`.

use clap::Args as Arguments;

use super::Output;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic manifests shop.orders --dry-run
  tabletopic manifests shop.orders shop.customers --output json

No data file is touched. `run` and other writers may go on meanwhile: what they add keeps its own manifests, and where one
of them has replaced a manifest first, nothing is done. `run` does it by itself where a query opens many.
docs/maintenance.md says what is chosen.

Exit codes: 0 done, or nothing to do; 1 failed; 2 configuration or usage; 4 the table is halted; 5 something cannot be
reached now, or another writer was quicker";

#[derive(Debug, Arguments)]
pub struct Manifests {
    /// A table of the catalog, whoever writes to it; several are done one after the other
    #[arg(required = true)]
    pub table: Vec<String>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}
