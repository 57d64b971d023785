//! `tabletopic verify`.

use clap::Args as Arguments;

use super::Output;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic verify shop.orders
  tabletopic verify shop.orders --offline --output json
  tabletopic verify shop.orders --since 5433286491823421187    (only what was added after that snapshot)

It reads the manifests, the footers of all files, and the columns of Kafka of all rows, and changes nothing. `run` may go
on meanwhile: one snapshot is judged. docs/verify.md has the checks, and what to do about a finding.

Exit codes: 0 proven; 1 failed; 2 configuration or usage; 3 the table is not as it should be; 4 it is halted; 5 the
catalog or the store cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Verify {
    /// A table of the catalog; of one that no topic feeds from here, only the files are judged
    pub table: String,

    /// Leave the broker out: the verdict rests on the table alone
    #[arg(long)]
    pub offline: bool,

    /// Judge only what is younger than this snapshot of ours, which was verified before
    #[arg(long, value_name = "SNAPSHOT", allow_negative_numbers = true)]
    pub since: Option<i64>,

    /// How to print the verdict
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}
