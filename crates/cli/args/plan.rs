//! `tabletopic plan`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args as Arguments;

use super::Output;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic plan --config examples/local/tabletopic.toml
  tabletopic plan orders --output json      (a topic that the configuration names, or that a pattern matches)
  tabletopic plan --subject orders-value
  tabletopic plan orders --schema next.avsc      (a CI job: would this change break the table?)

It reads up to 10,000 of the records that a run would read next; with --subject or --schema none, and a broker is
needed only for topics of a pattern. Nothing is created or changed, no group is joined.

Exit codes: 0 a run would work, whether it would make or change tables or not; 1 failed; 2 configuration or usage;
4 something would halt, or the table can't follow the schema; 5 something cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Plan {
    /// Only these topics of the configuration
    #[arg(value_name = "TOPIC")]
    pub topics: Vec<String>,

    /// Say what would become of the table if records had the schema of this subject; no record is read
    #[arg(long, value_name = "SUBJECT", conflicts_with = "schema")]
    pub subject: Option<String>,

    /// Which version of the subject: its number, or the newest
    #[arg(
        long,
        value_name = "NUMBER|latest",
        default_value = "latest",
        requires = "subject"
    )]
    pub version: SubjectVersion,

    /// The same for a schema that is not registered yet, in a file
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,

    /// How to print the plan
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// A version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectVersion {
    Latest,
    Number(u32),
}

impl FromStr for SubjectVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("latest", _) => Ok(Self::Latest),
            (_, Ok(number @ 1..)) => Ok(Self::Number(number)),
            _ => Err("write `latest`, or a number from 1 on".to_owned()),
        }
    }
}
