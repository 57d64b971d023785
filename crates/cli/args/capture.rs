//! `tabletopic capture`.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args as Arguments;

use super::Output;
use crate::when::When;

#[derive(Debug, Arguments)]
pub struct Capture {
    /// A topic of the configuration
    pub topic: String,

    /// How many records, in equal parts of all partitions as far as they have them
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    pub records: NonZeroU64,

    /// Which: the newest; or from the earliest on, or from a time such as 2026-01-31T00:00:00Z, or how long ago, such as 2h
    #[arg(long, value_name = "newest|earliest|TIME", default_value = "newest")]
    pub from: From,

    /// Put keyed hashes in the place of this field of JSON values, such as customer.email; may be given again
    #[arg(long, value_name = "COLUMN")]
    pub mask: Vec<String>,

    /// Mask the records' keys as well
    #[arg(long)]
    pub mask_key: bool,

    /// Leave the records' headers out
    #[arg(long)]
    pub drop_headers: bool,

    /// The file; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,

    /// How to print what was done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Which records are captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Newest,
    Earliest,
    When(When),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "newest" => Ok(Self::Newest),
            "earliest" => Ok(Self::Earliest),
            _ => text
                .parse()
                .map(Self::When)
                .map_err(|when| format!("write newest, earliest, or a time ({when})")),
        }
    }
}

pub const EXAMPLE: &str = "\
Examples:
  tabletopic capture orders --to orders.jsonl
  tabletopic capture orders --records 200 --from 2h --mask customer.email --mask-key --to orders.jsonl

One record a line, which people can read and change; the schemas that the records name are in the first line, so that no
registry is needed either. It joins no group, and changes nothing. docs/capture.md has the format, and what a mask hides.

Exit codes: 0 written; 1 failed, or a mask matched no record; 2 configuration or usage; 5 the brokers cannot be reached
now";
