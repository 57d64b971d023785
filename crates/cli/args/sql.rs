//! `tabletopic sql`.

use std::path::PathBuf;

use clap::{Args as Arguments, ValueEnum};

pub const EXAMPLE: &str = "\
Examples:
  tabletopic sql
  tabletopic sql -c 'SELECT count(*) FROM shop.orders'
  tabletopic sql -c 'SELECT * FROM \"orders$offsets\"' --output csv
  tabletopic sql -f report.sql --output parquet -o report.parquet

It only reads, and needs no broker. docs/sql.md says what there is beside the tables.

Exit codes: 0 answered, 1 a statement failed, 2 configuration or usage, 5 the catalog cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Sql {
    /// Answer these statements, and leave
    #[arg(short, long, value_name = "SQL", conflicts_with = "file")]
    pub command: Option<String>,

    /// Answer the statements of a file up to the first that fails, and leave
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// How to write answers
    #[arg(long, value_enum, default_value_t = Rows::Table)]
    pub output: Rows,

    /// Write the answers to a file, which is there whole or not at all
    #[arg(short, long, value_name = "FILE", required_if_eq("output", "parquet"))]
    pub output_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rows {
    /// For people; ∅ is null
    Table,
    /// With a header; null is an empty field
    Csv,
    /// One array of objects for each statement
    Json,
    /// The answer of one statement, in --output-file
    Parquet,
}
