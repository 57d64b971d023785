//! `tabletopic compare`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args as Arguments;

use super::{Output, Span};

pub const EXAMPLE: &str = "\
Examples:
  tabletopic compare shop.orders ci.orders
  tabletopic compare shop.orders@8839212033 shop.orders      (before and after a rewrite)
  tabletopic compare shop.orders connect.orders --rename kafka_partition=_kafka_partition \\
      --rename kafka_offset=_kafka_offset --ignore _kafka_timestamp
  tabletopic compare shop.orders legacy.orders --other other.toml --key order_id --output json

Files, their order and their partitions do not matter, and deleted rows are not there. A column that only one table has
is a difference, unless it is left out. It only reads, and needs no broker. docs/compare.md says what counts as equal, and
what the answer rests on.

Exit codes: 0 the same rows, 3 they differ, 1 failed, 2 configuration or usage, 5 something cannot be reached now";

/// Samples of each kind that a comparison shows unless somebody asks for another number.
pub const SAMPLES: usize = 20;

#[derive(Debug, Arguments)]
pub struct Compare {
    /// A table of the catalog, whoever writes to it; with @ and a snapshot id, a time, a tag or a branch as it was then
    #[arg(value_name = "A")]
    pub a: String,

    /// What it is compared with, likewise
    #[arg(value_name = "B")]
    pub b: String,

    /// The configuration of the catalog that has B, where it is another one
    #[arg(long, value_name = "FILE")]
    pub other: Option<PathBuf>,

    /// The columns that tell one row from all others; by default _kafka_topic, _kafka_partition and _kafka_offset where both
    /// tables have them, else all
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub key: Vec<String>,

    /// How B calls a column of A, such as kafka_offset=_kafka_offset; may be given again
    #[arg(long, value_name = "B=A", value_parser = renamed)]
    pub rename: Vec<(String, String)>,

    /// Compare only these columns, and the key
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub columns: Vec<String>,

    /// Leave these columns out, such as one that only one of the tables has
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub ignore: Vec<String>,

    /// Compare only rows of these offsets, such as 3:120000..180000; may be given once for each partition
    #[arg(long, value_name = "PARTITION:START..END")]
    pub offsets: Vec<Span>,

    /// Show so many samples of each kind
    #[arg(long, value_name = "NUMBER", default_value_t = SAMPLES)]
    pub samples: usize,

    /// Sort all rows, so that keys which are there more than once are counted everywhere, not only where the tables differ
    #[arg(long)]
    pub every_key: bool,

    /// Files that are read at once
    #[arg(long, value_name = "NUMBER", default_value = "2")]
    pub jobs: NonZeroUsize,

    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

fn renamed(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((theirs, ours)) if !theirs.is_empty() && !ours.is_empty() => {
            Ok((theirs.to_owned(), ours.to_owned()))
        }
        _ => Err("write B's name of a column, =, and A's".to_owned()),
    }
}
