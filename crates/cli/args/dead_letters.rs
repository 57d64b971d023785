//! `tabletopic dead-letters`.

use clap::builder::PossibleValuesParser;
use clap::{Args as Arguments, Subcommand};
use tabletopic_decode::Reason;
use tabletopic_ingest::dead_letters::Records;

use super::Output;
use crate::when::When;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic dead-letters shop.orders                       (how many of each reason, and the newest)
  tabletopic dead-letters shop.orders --reason wrong_type --since 2h --limit 50
  tabletopic dead-letters shop.orders show orders/3@1042
  tabletopic dead-letters shop.orders show orders/3@1042 --raw > value.json
  tabletopic dead-letters shop.orders redrive --reason wrong_type --dry-run

A redrive decodes the records as the configuration and the table are now. A letter that became a row stays in the
dead-letter table, and is counted as redriven. `run` may go on meanwhile.

Exit codes: 0 done; 1 failed, or letters stay that were to be redriven; 2 configuration or usage; 4 the table is halted;
5 something cannot be reached now";

/// Dead letters that are listed unless somebody asks for another number.
pub const LISTED: usize = 10;

#[derive(Debug, Arguments)]
pub struct DeadLetters {
    /// The table, as the configuration names it
    pub table: String,

    #[command(flatten)]
    pub letters: Letters,

    /// List so many of them, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = LISTED)]
    pub limit: usize,

    /// How to print them
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,

    #[command(subcommand)]
    pub command: Option<LettersCommand>,
}

/// Which letters are meant: those that meet all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Arguments)]
pub struct Letters {
    /// Only letters of this reason; may be given again
    #[arg(long, value_name = "REASON", value_parser = PossibleValuesParser::new(Reason::ALL.map(Reason::as_str)))]
    #[arg(hide_possible_values = true)]
    pub reason: Vec<String>,

    /// Only letters of this topic
    #[arg(long)]
    pub topic: Option<String>,

    /// Only letters of this topic partition number
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<i32>,

    /// Only letters of these records, such as orders/3@1042, or orders/3@1000-1100 without its end; may be given again
    #[arg(long, value_name = "RECORDS")]
    pub offset: Vec<Records>,

    /// Only records that are not older: a time such as 2026-01-31T00:00:00Z, or how long ago, such as 2h
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,

    /// Only records that are older
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
}

#[derive(Debug, Subcommand)]
pub enum LettersCommand {
    /// Show one letter whole: the reason, and the record with key, value and headers
    Show(ShowLetter),

    /// Make rows of letters, with their own offsets, each once: after the cause was mended
    Redrive(RedriveLetters),
}

#[derive(Debug, Arguments)]
pub struct ShowLetter {
    /// The record, such as orders/3@1042
    #[arg(value_name = "RECORD")]
    pub record: Records,

    /// Write the bytes of the value to standard output, and nothing else
    #[arg(long, conflicts_with = "output")]
    pub raw: bool,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

#[derive(Debug, Arguments)]
pub struct RedriveLetters {
    #[command(flatten)]
    pub letters: Letters,

    /// Say what would become of them, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}
