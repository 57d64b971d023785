//! `tabletopic test-sql`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as Arguments;

use super::Output;

#[derive(Debug, Arguments)]
pub struct TestSql {
    /// Files of one query each, or folders of them. NAME.csv beside NAME.sql is what it has to answer; without one, it has
    /// to answer no rows
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Only queries with this text in their path
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,

    /// Where tables are looked for that are named without a namespace; by default the only one that has tables
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// Write what is answered into the expectations that differ. Begin a new one as an empty file
    #[arg(long)]
    pub update: bool,

    /// How long each query may take
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "5m")]
    pub timeout: Duration,

    /// Write a JUnit report, for CI servers
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

pub const EXAMPLE: &str = "\
Examples:
  tabletopic test-sql tests/sql
  tabletopic test-sql tests/sql --namespace ci_1042 --junit report.xml
  tabletopic test-sql tests/sql --filter orders --update

It only reads the tables, and needs no broker. docs/test-sql.md says what counts as equal.

Exit codes: 0 all is as expected; 3 something differs; 1 a query cannot be run; 2 configuration or usage, or there is no
query; 5 the catalog cannot be reached now";
