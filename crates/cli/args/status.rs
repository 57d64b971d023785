//! `tabletopic status`.

use clap::Args as Arguments;

use super::Output;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic status --config examples/local/tabletopic.toml
  tabletopic status shop.orders --output json
  tabletopic status --table shop.orders    (its health: small files, deletes, snapshots, and what maintenance would do)

It looks at the tables and asks the brokers; with --table it looks at that table alone. What only a running service
knows, such as a bad record that stopped a partition, is in that service's log.

Exit codes: 0 nothing stands still, 1 failed, 2 configuration or usage, 4 something is halted, 5 the catalog or the
brokers cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Status {
    /// Only this table, as the configuration names it
    pub table: Option<String>,

    /// The health of a table of the catalog, whoever writes to it, in the place of the report; may be given again
    #[arg(long = "table", value_name = "NAMESPACE.TABLE", conflicts_with = "table")]
    pub health: Vec<String>,

    /// How to print the report
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}
