//! The command line: a file for each command.

mod capture;
mod catalog;
mod check;
mod compact;
mod compare;
mod dead_letters;
mod demo;
mod expire;
mod maintain;
mod manifests;
mod offsets;
mod orphans;
mod plan;
mod promote;
mod repair;
mod replay;
mod resolve;
mod restore;
mod retain;
mod rollback;
mod run;
mod sql;
mod status;
mod test_sql;
mod verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub use capture::{Capture, From as CaptureFrom};
pub use catalog::{Catalog, CatalogCommand};
pub use check::Check;
pub use compact::{Compact, Order};
pub use compare::{Compare, SAMPLES};
pub use dead_letters::{DeadLetters, LISTED, Letters, LettersCommand, RedriveLetters, ShowLetter};
pub use demo::Demo;
pub use expire::Expire;
pub use maintain::{Engine, Maintain, Trino};
pub use manifests::Manifests;
pub use offsets::Span;
pub use orphans::Orphans;
pub use plan::{Plan, SubjectVersion};
pub use promote::Promote;
pub use repair::Repair;
pub use replay::{Replay, Replays, Where};
pub use resolve::Resolve;
pub use restore::Restore;
pub use retain::Retain;
pub use rollback::Rollback;
pub use run::Run;
pub use sql::{Rows, Sql};
pub use status::Status;
pub use test_sql::TestSql;
pub use verify::Verify;

use crate::config::Size;

/// Turns Kafka topics into Apache Iceberg tables, exactly once.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Args {
    /// The configuration file; docs/configuration.md has every key
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TABLETOPIC_CONFIG",
        default_value = "tabletopic.toml"
    )]
    pub config: PathBuf,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// See it work, with nothing else running: a shop's orders become a table that you can query
    #[command(after_help = demo::EXAMPLE)]
    Demo(Demo),

    /// Turn the topics into tables, until told to stop
    #[command(after_help = run::EXAMPLE)]
    Run(Run),

    /// Say which tables and columns a run would make or change, and show rows, without doing it
    #[command(after_help = plan::EXAMPLE)]
    Plan(Plan),

    /// Reach everything that the configuration names, and say what is wrong and where
    #[command(after_help = check::EXAMPLE)]
    Check(Check),

    /// Answer a halt: say how a table goes on
    #[command(after_help = resolve::EXAMPLE)]
    Resolve(Resolve),

    /// Take a table back to an earlier snapshot, and its progress with it: what came after is read again
    #[command(after_help = rollback::EXAMPLE)]
    Rollback(Rollback),

    /// Write a raw-history table back to a topic: each record once, in order, with its key, headers and timestamp
    #[command(after_help = restore::EXAMPLE)]
    Restore(Restore),

    /// The records that could not become rows: why, which, and rows of them once the cause is mended
    #[command(after_help = dead_letters::EXAMPLE)]
    DeadLetters(DeadLetters),

    /// How far the tables are, how far behind, and what stands still; needs no running service
    #[command(after_help = status::EXAMPLE)]
    Status(Status),

    /// Prove what a table holds: each record once, from the table alone, and against the broker where it can be reached
    #[command(after_help = verify::EXAMPLE)]
    Verify(Verify),

    /// Write a small slice of a topic into a file, with secrets masked: for CI jobs, and where there is no broker
    #[command(after_help = capture::EXAMPLE)]
    Capture(Capture),

    /// Ask the tables in SQL: a shell, or one answer
    #[command(after_help = sql::EXAMPLE)]
    Sql(Sql),

    /// Ask the queries of files, and compare what they answer with what is expected
    #[command(after_help = test_sql::EXAMPLE)]
    TestSql(TestSql),

    /// Say whether two tables hold the same rows, and if not, which differ: a replay, a rewrite, another engine's copy
    #[command(after_help = compare::EXAMPLE)]
    Compare(Compare),

    /// Read topics once more, between two offsets, into tables of their own: to check, to compare, to try another mapping
    #[command(after_help = replay::EXAMPLE)]
    Replay(Replay),

    /// The replays that are there, and removing them
    #[command(after_help = replay::REPLAYS_EXAMPLE)]
    Replays(Replays),

    /// Read some offsets again, show what differs from the table's rows of them, and swap these
    #[command(after_help = repair::EXAMPLE)]
    Repair(Repair),

    /// Have the rows of a replay take the place of its table's, in one commit
    #[command(after_help = promote::EXAMPLE)]
    Promote(Promote),

    /// Merge small files into large ones, and take deleted rows out of files
    #[command(after_help = compact::EXAMPLE)]
    Compact(Compact),

    /// Have old snapshots leave, with the files that only they lead to
    #[command(after_help = expire::EXAMPLE)]
    Expire(Expire),

    /// Write manifests anew by partition value, where a query of one value opens many
    #[command(after_help = manifests::EXAMPLE)]
    Manifests(Manifests),

    /// Have rows leave that are older than a table keeps them: whole partitions by time
    #[command(after_help = retain::EXAMPLE)]
    Retain(Retain),

    /// Show the files in tables' folders that nothing leads to any more, and with --delete remove them
    #[command(after_help = orphans::EXAMPLE)]
    Orphans(Orphans),

    /// Do all that keeps tables fast: old snapshots leave, small files are merged, with --orphans stray files go
    #[command(after_help = maintain::EXAMPLE)]
    Maintain(Maintain),

    /// The catalog, for engines beside this one
    Catalog(Catalog),
}

fn size(text: &str) -> Result<u64, String> {
    Size::try_from(text.to_owned()).map(|Size(bytes)| bytes)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For machines: one JSON document
    Json,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 configuration or usage, 3 what was compared differs, 4 halted, 5 try again later";
