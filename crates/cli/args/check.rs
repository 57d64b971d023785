//! `tabletopic check`.

use clap::Args as Arguments;

use super::Output;

pub const EXAMPLE: &str = "\
Example:
  tabletopic check --config examples/local/tabletopic.toml

Exit codes: 0 nothing in the way (there may be warnings), 1 something is broken, 2 fix the configuration or
what it names, 5 something cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Check {
    /// Look only at the configuration and the files that it names, reach nothing else
    #[arg(long)]
    pub offline: bool,

    /// How to print the findings
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}
