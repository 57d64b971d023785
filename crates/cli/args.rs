//! The command line.

mod capture;
mod offsets;
mod promote;
mod repair;
mod replay;
mod restore;
mod rollback;
mod test_sql;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};
use tabletopic_decode::Reason;
use tabletopic_ingest::dead_letters::Records;
use tabletopic_maintain::compact::SortColumns;

pub use capture::{Capture, From as CaptureFrom};
pub use offsets::Span;
pub use promote::Promote;
pub use repair::Repair;
pub use replay::{Replay, Replays, Where};
pub use restore::Restore;
pub use rollback::Rollback;
pub use test_sql::TestSql;

use crate::config::Size;
use crate::when::When;

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
    #[command(after_help = DEMO_EXAMPLE)]
    Demo(Demo),

    /// Turn the topics into tables, until told to stop
    #[command(after_help = RUN_EXAMPLE)]
    Run(Run),

    /// Say which tables and columns a run would make or change, and show rows, without doing it
    #[command(after_help = PLAN_EXAMPLE)]
    Plan(Plan),

    /// Reach everything that the configuration names, and say what is wrong and where
    #[command(after_help = CHECK_EXAMPLE)]
    Check(Check),

    /// Answer a halt: say how a table goes on
    #[command(after_help = RESOLVE_EXAMPLE)]
    Resolve(Resolve),

    /// Take a table back to an earlier snapshot, and its progress with it: what came after is read again
    #[command(after_help = ROLLBACK_EXAMPLE)]
    Rollback(Rollback),

    /// Write a raw-history table back to a topic: each record once, in order, with its key, headers and timestamp
    #[command(after_help = RESTORE_EXAMPLE)]
    Restore(Restore),

    /// The records that could not become rows: why, which, and rows of them once the cause is mended
    #[command(after_help = DEAD_LETTERS_EXAMPLE)]
    DeadLetters(DeadLetters),

    /// How far the tables are, how far behind, and what stands still; needs no running service
    #[command(after_help = STATUS_EXAMPLE)]
    Status(Status),

    /// Prove what a table holds: each record once, from the table alone, and against the broker where it can be reached
    #[command(after_help = VERIFY_EXAMPLE)]
    Verify(Verify),

    /// Write a small slice of a topic into a file, with secrets masked: for CI jobs, and where there is no broker
    #[command(after_help = capture::EXAMPLE)]
    Capture(Capture),

    /// Ask the tables in SQL: a shell, or one answer
    #[command(after_help = SQL_EXAMPLE)]
    Sql(Sql),

    /// Ask the queries of files, and compare what they answer with what is expected
    #[command(after_help = test_sql::EXAMPLE)]
    TestSql(TestSql),

    /// Say whether two tables hold the same rows, and if not, which differ: a replay, a rewrite, another engine's copy
    #[command(after_help = COMPARE_EXAMPLE)]
    Compare(Compare),

    /// Read topics once more, between two offsets, into tables of their own: to check, to compare, to try another mapping
    #[command(after_help = REPLAY_EXAMPLE)]
    Replay(Replay),

    /// The replays that are there, and removing them
    #[command(after_help = REPLAYS_EXAMPLE)]
    Replays(Replays),

    /// Read some offsets again, show what differs from the table's rows of them, and swap these
    #[command(after_help = repair::EXAMPLE)]
    Repair(Repair),

    /// Have the rows of a replay take the place of its table's, in one commit
    #[command(after_help = PROMOTE_EXAMPLE)]
    Promote(Promote),

    /// Merge small files into large ones, and take deleted rows out of files
    #[command(after_help = COMPACT_EXAMPLE)]
    Compact(Compact),

    /// Have old snapshots leave, with the files that only they lead to
    #[command(after_help = EXPIRE_EXAMPLE)]
    Expire(Expire),

    /// Write manifests anew by partition value, where a query of one value opens many
    #[command(after_help = MANIFESTS_EXAMPLE)]
    Manifests(Manifests),

    /// Have rows leave that are older than a table keeps them: whole partitions by time
    #[command(after_help = RETAIN_EXAMPLE)]
    Retain(Retain),

    /// Show the files in tables' folders that nothing leads to any more, and with --delete remove them
    #[command(after_help = ORPHANS_EXAMPLE)]
    Orphans(Orphans),

    /// Do all that keeps tables fast: old snapshots leave, small files are merged, with --orphans stray files go
    #[command(after_help = MAINTAIN_EXAMPLE)]
    Maintain(Maintain),

    /// The catalog, for engines beside this one
    Catalog(Catalog),
}

#[derive(Debug, Arguments)]
pub struct Demo {
    /// Where the tables go: a folder that is not there yet, is empty, or is an earlier demo's
    #[arg(long, value_name = "DIR", default_value = "tabletopic-demo")]
    pub dir: PathBuf,

    /// Keep the tables for good: no later demo replaces them
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Arguments)]
pub struct Run {
    /// Leave once the tables hold everything up to the ends that the topics have now
    #[arg(long)]
    pub until_end: bool,

    /// Serve the catalog to engines meanwhile, as `tabletopic catalog serve` does
    #[arg(long)]
    pub serve_catalog: bool,
}

#[derive(Debug, Arguments)]
pub struct Catalog {
    #[command(subcommand)]
    pub command: CatalogCommand,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum CatalogCommand {
    /// Serve the catalog as an Iceberg REST catalog, for Spark, Trino, DuckDB, PyIceberg and others, until told to stop
    #[command(after_help = CATALOG_SERVE_EXAMPLE)]
    Serve,
}

#[derive(Debug, Arguments)]
#[command(group = clap::ArgGroup::new("answer").required(true))]
pub struct Resolve {
    /// The table, as the configuration names it
    pub table: String,

    /// Go on without the offsets that are gone, from the broker or after a rollback, and write them down as lost
    #[arg(long, group = "answer")]
    pub declare_lost: bool,

    /// After a rollback: read again from Kafka what it removed
    #[arg(long, group = "answer")]
    pub rewind: bool,

    /// After a topic was deleted and created again: go on with the new one, from its start
    #[arg(long, group = "answer")]
    pub adopt_topic: bool,

    /// After a log was cut below what the table holds: remove the rows that it no longer has, and go on from there
    #[arg(long, group = "answer")]
    pub truncate: bool,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// Why, in your own words: it stands in the ledger for good
    #[arg(long, default_value = "")]
    pub reason: String,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

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

#[derive(Debug, Arguments)]
pub struct Check {
    /// Look only at the configuration and the files that it names, reach nothing else
    #[arg(long)]
    pub offline: bool,

    /// How to print the findings
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

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

#[derive(Debug, Arguments)]
pub struct Compact {
    /// A table of the catalog, whoever writes to it; several are done one after the other
    #[arg(required = true)]
    pub table: Vec<String>,

    /// How large files are to become, such as 256MiB; by default what the table's `write.target-file-size-bytes` says
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub target_size: Option<u64>,

    /// Partitions that got rows within this time, such as 10m, wait until many of their files are alike
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "0s")]
    pub hot_for: Duration,

    #[command(flatten)]
    pub order: Order,

    /// Rewrite files of old partition specs under the table's own, too
    #[arg(long)]
    pub old_specs: bool,

    /// New files that are written at once
    #[arg(long, value_name = "NUMBER", default_value = "2")]
    pub jobs: NonZeroUsize,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// The order that rows are put in; without any they stay as they come.
#[derive(Debug, Arguments)]
#[group(multiple = false)]
pub struct Order {
    /// Sort the rows of each partition, such as by 'customer, created_at desc': as after ORDER BY. Rewrites all its files
    #[arg(long, value_name = "COLUMNS")]
    pub sort: Option<SortColumns>,

    /// Sort them in the table's own sort order. Rewrites the files that are not in it
    #[arg(long)]
    pub table_order: bool,

    /// Sort them by several columns at once, such as customer,product: for queries by any of them. Rewrites all files
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub z_order: Vec<String>,
}

#[derive(Debug, Arguments)]
pub struct Expire {
    /// A table of the catalog, whoever writes to it; several are done one after the other
    #[arg(required = true)]
    pub table: Vec<String>,

    /// How old a snapshot has to be, such as 5d; by default what the table's `history.expire.max-snapshot-age-ms` says
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub older_than: Option<Duration>,

    /// So many of the newest stay; by default what the table's `history.expire.min-snapshots-to-keep` says
    #[arg(long, value_name = "NUMBER")]
    pub keep: Option<usize>,

    /// Say what would leave, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

#[derive(Debug, Arguments)]
pub struct Manifests {
    /// A table of the catalog, whoever writes to it; several are done one after the other
    #[arg(required = true)]
    pub table: Vec<String>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

#[derive(Debug, Arguments)]
pub struct Retain {
    /// A table of the catalog, whoever writes to it; several are done one after the other
    #[arg(required = true)]
    pub table: Vec<String>,

    /// How old all rows of a partition have to be, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub older_than: Duration,

    /// The column whose time it is; by default the one that the table is partitioned by
    #[arg(long, value_name = "COLUMN")]
    pub column: Option<String>,

    /// Say what would leave, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

#[derive(Debug, Arguments)]
pub struct Orphans {
    /// A table of the catalog, whoever writes to it; several are done one after the other
    #[arg(required = true)]
    pub table: Vec<String>,

    /// Leave younger files alone: a commit that is under way may yet bring them in. At least 24h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "3d")]
    pub older_than: Duration,

    /// Remove them, after showing them and asking
    #[arg(long)]
    pub delete: bool,

    /// Only show them, as without --delete
    #[arg(long, conflicts_with = "delete")]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long, requires = "delete")]
    pub yes: bool,

    /// How to print what is found or removed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

#[derive(Debug, Arguments)]
pub struct Maintain {
    /// A table of the catalog, whoever writes to it; several are done one after the other
    #[arg(required = true)]
    pub table: Vec<String>,

    /// How old a snapshot has to be to leave, such as 5d; by default what the table, or the engine, says
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub older_than: Option<Duration>,

    /// Remove files that nothing leads to, as well
    #[arg(long)]
    pub orphans: bool,

    /// Leave younger ones of these files alone: a commit that is under way may yet bring them in. At least 24h; by default
    /// 3d, and 7d in Trino
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, requires = "orphans")]
    pub orphans_older_than: Option<Duration>,

    /// New files that are written at once
    #[arg(long, value_name = "NUMBER", default_value = "2", conflicts_with = "engine")]
    pub jobs: NonZeroUsize,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,

    /// Have another engine do it, for tables that outgrow one machine
    #[arg(long, value_enum)]
    pub engine: Option<Engine>,

    /// What the engine calls the catalog; by default as the configuration does
    #[arg(
        long,
        value_name = "NAME",
        visible_alias = "trino-catalog",
        requires = "engine"
    )]
    pub catalog_name: Option<String>,

    #[command(flatten)]
    pub trino: Trino,
}

impl Maintain {
    /// How old orphans have to be.
    pub fn orphans_older_than(&self) -> Duration {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        self.orphans_older_than.unwrap_or(match self.engine {
            None | Some(Engine::Spark) => 3 * DAY,
            Some(Engine::Trino) => 7 * DAY,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Print the calls, for a job of your own
    Spark,
    /// Run them in a Trino
    Trino,
}

/// How a Trino is reached.
#[derive(Debug, Arguments)]
pub struct Trino {
    /// Where Trino is asked, such as https://trino.example.com:8443
    #[arg(
        long,
        value_name = "URL",
        required_if_eq("engine", "trino"),
        requires = "engine"
    )]
    pub trino_url: Option<String>,

    /// Who asks
    #[arg(
        long,
        value_name = "USER",
        default_value = "tabletopic",
        requires = "trino_url"
    )]
    pub trino_user: String,

    /// A file with the user's password, for an https:// URL
    #[arg(long, value_name = "FILE", requires = "trino_url")]
    pub trino_password_file: Option<PathBuf>,
}

fn size(text: &str) -> Result<u64, String> {
    Size::try_from(text.to_owned()).map(|Size(bytes)| bytes)
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For machines: one JSON document
    Json,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 configuration or usage, 3 what was compared differs, 4 halted, 5 try again later";

const DEMO_EXAMPLE: &str = "\
Examples:
  tabletopic demo
  tabletopic demo --dir orders-demo --keep

It takes half a minute, and nothing has to run beside it: the Kafka broker is a part of it. The tables stay until the
next demo in the same folder. Ctrl-C ends it early, and leaves a table that is whole.

Exit codes: 0 done, or ended early; 1 failed, or the folder is not the demo's to write to";

const RUN_EXAMPLE: &str = "\
Examples:
  tabletopic run --config examples/local/tabletopic.toml
  tabletopic run --until-end      (a CI job: leaves with 0 once everything is in the tables)
  tabletopic run --serve-catalog  (engines reach the tables at http://127.0.0.1:8181 meanwhile)

The first SIGTERM or Ctrl-C commits what was read and leaves; a second one leaves at once, and loses nothing:
what is not in a table is read again.

While it works, http://127.0.0.1:8484/ shows what it does; [admin] in the configuration says where else.

Exit codes: 0 stopped, or reached the end; 1 failed; 2 configuration; 4 the end was not reached because
something is halted";

const RESOLVE_EXAMPLE: &str = "\
Examples:
  tabletopic resolve shop.orders --rewind --dry-run
  tabletopic resolve shop.orders --truncate --dry-run       (says which rows and files would go)
  tabletopic resolve shop.orders --declare-lost --reason 'retention was one day, see ticket 42'

A running service notices and goes on by itself.

Exit codes: 0 done; 1 refused or failed; 2 usage; 5 something cannot be reached now";

const ROLLBACK_EXAMPLE: &str = "\
Examples:
  tabletopic rollback shop.orders --to 2h --dry-run         (says what would be read again, and whether topics have it)
  tabletopic rollback shop.orders --to 2026-01-31T00:00:00Z --reason 'prices were wrong, see ticket 42'
  tabletopic rollback shop.orders --to 3:120000             (before offset 120000 of partition 3)
  tabletopic rollback shop.orders --to 7316890471516221234

`run` may go on meanwhile: it reads again what came after by itself. Stop it, and change the configuration, if it should
read otherwise. It is one commit: readers see the table before it or after it.

Exit codes: 0 done; 1 refused or failed; 2 configuration or usage; 4 the table is halted (see `tabletopic resolve`);
5 something cannot be reached now";

const REPLAY_EXAMPLE: &str = "\
Examples:
  tabletopic replay --into ci_42                                        (all topics, from their beginnings to now)
  tabletopic replay shop.orders --into ci_42 --same-as shop.orders      (the offsets that the table holds)
  tabletopic replay shop.orders --into try --from 2h --set on_bad_record=dead-letter --ttl 1d
  tabletopic replay shop.orders --into try --from 3:120000 --to 3:180000 --drop-after
  tabletopic replay shop.orders --into try --history raw.orders         (what the topic no longer has, then the topic)
  tabletopic replay shop.orders --into ci_42 --from-file orders.jsonl   (a captured slice; no broker)
  tabletopic compare shop.orders ci_42.orders

Nothing of the configured tables is changed, no consumer group is joined, and no group's offsets move. A replay that was
interrupted goes on when the same command is given again; `tabletopic replays` shows and removes what is left behind.

Exit codes: 0 all is read; 1 failed; 2 configuration or usage, offsets that the topic does not have; 4 a part stands still;
5 interrupted, or something cannot be reached now: the same command goes on";

const REPLAYS_EXAMPLE: &str = "\
Examples:
  tabletopic replays
  tabletopic replays --drop ci_42 --yes
  tabletopic replays --drop-expired --yes

Only tables that a replay has made are removed, with all files below their locations.

Exit codes: 0 done; 1 failed; 2 configuration or usage, no replay in that namespace; 5 something cannot be reached now";

const PROMOTE_EXAMPLE: &str = "\
Examples:
  tabletopic promote try.orders --dry-run
  tabletopic promote try.orders --reason 'amounts were strings, see ticket 42'

The table that the replay is of gets its rows, columns, partitions and dead letters; what the table has above the replay's ends
is read again. Stop the service before, if it is to go on with another mapping, and change its configuration. `tabletopic
rollback` takes it back.

Exit codes: 0 done; 1 refused or failed; 2 configuration or usage; 4 the table is halted (see `tabletopic resolve`);
5 something cannot be reached now";

const RESTORE_EXAMPLE: &str = "\
Examples:
  tabletopic restore shop.orders_raw --to-topic orders-restored --dry-run   (says what would be written)
  tabletopic restore shop.orders_raw --to-topic orders-restored --create --yes

The table is one that a topic of `format = \"raw\"` feeds. The topic has to be empty, with as many partitions; whatever ends
the command, the same one goes on where it was, and no record is there twice. Nobody else may write into the topic
meanwhile. docs/restore.md has the rest.

Exit codes: 0 done; 1 refused or failed; 2 configuration or usage; 4 the table is halted (see `tabletopic resolve`);
5 something cannot be reached now";

const DEAD_LETTERS_EXAMPLE: &str = "\
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

const STATUS_EXAMPLE: &str = "\
Examples:
  tabletopic status --config examples/local/tabletopic.toml
  tabletopic status shop.orders --output json
  tabletopic status --table shop.orders    (its health: small files, deletes, snapshots, and what maintenance would do)

It looks at the tables and asks the brokers; with --table it looks at that table alone. What only a running service
knows, such as a bad record that stopped a partition, is in that service's log.

Exit codes: 0 nothing stands still, 1 failed, 2 configuration or usage, 4 something is halted, 5 the catalog or the
brokers cannot be reached now";

const VERIFY_EXAMPLE: &str = "\
Examples:
  tabletopic verify shop.orders
  tabletopic verify shop.orders --offline --output json
  tabletopic verify shop.orders --since 5433286491823421187    (only what was added after that snapshot)

It reads the manifests, the footers of all files, and the columns of Kafka of all rows, and changes nothing. `run` may go
on meanwhile: one snapshot is judged. docs/verify.md has the checks, and what to do about a finding.

Exit codes: 0 proven; 1 failed; 2 configuration or usage; 3 the table is not as it should be; 4 it is halted; 5 the
catalog or the store cannot be reached now";

const SQL_EXAMPLE: &str = "\
Examples:
  tabletopic sql
  tabletopic sql -c 'SELECT count(*) FROM shop.orders'
  tabletopic sql -c 'SELECT * FROM \"orders$offsets\"' --output csv
  tabletopic sql -f report.sql --output parquet -o report.parquet

It only reads, and needs no broker. docs/sql.md says what there is beside the tables.

Exit codes: 0 answered, 1 a statement failed, 2 configuration or usage, 5 the catalog cannot be reached now";

const COMPARE_EXAMPLE: &str = "\
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

const COMPACT_EXAMPLE: &str = "\
Examples:
  tabletopic compact shop.orders --dry-run
  tabletopic compact shop.orders --target-size 256MiB
  tabletopic compact shop.orders --sort 'customer, created_at desc'
  tabletopic compact shop.orders --z-order customer,product --old-specs
  tabletopic compact shop.orders shop.customers --output json

Rows stay what they are. Each new file is a commit of its own, and `run` and other writers may go on meanwhile: where one
of them was quicker, the file is dropped, and the next `compact` sees what is left. What was replaced stays as long as
snapshots lead to it. docs/maintenance.md says what is chosen.

Exit codes: 0 done; 1 failed, or some files can't be rewritten; 2 configuration or usage; 4 the table is halted; 5
something cannot be reached now";

const EXPIRE_EXAMPLE: &str = "\
Examples:
  tabletopic expire shop.orders --dry-run
  tabletopic expire shop.orders --older-than 2d --keep 100
  tabletopic expire shop.customers --yes --output json

Nobody can travel to a snapshot that has left, nor roll back to it. What tags and branches lead to stays; of a table that
a topic feeds, the newest ten do as well, and what its ledger does not hold yet. `run` does the same with each commit, by
the limits in the table's properties: docs/operations.md has them.

Exit codes: 0 done; 1 failed, or not confirmed; 2 configuration or usage; 4 the table is halted; 5 something cannot be
reached now";

const MANIFESTS_EXAMPLE: &str = "\
Examples:
  tabletopic manifests shop.orders --dry-run
  tabletopic manifests shop.orders shop.customers --output json

No data file is touched. `run` and other writers may go on meanwhile: what they add keeps its own manifests, and where one
of them has replaced a manifest first, nothing is done. `run` does it by itself where a query opens many.
docs/maintenance.md says what is chosen.

Exit codes: 0 done, or nothing to do; 1 failed; 2 configuration or usage; 4 the table is halted; 5 something cannot be
reached now, or another writer was quicker";

const RETAIN_EXAMPLE: &str = "\
Examples:
  tabletopic retain shop.orders --older-than 90d --dry-run
  tabletopic retain shop.orders --older-than 90d --column created_at
  tabletopic retain shop.customers --older-than 2y --yes --output json

A partition by year, month, day or hour leaves once it has ended so long ago: no file is read or written anew, but for the
offsets of a table that a topic feeds. Rows whose time is null stay. The files themselves go with the last snapshot that
leads to them: until then the rows can be read by time travel. `run` does the same for topics with `retain`.
docs/maintenance.md says what else stays.

Exit codes: 0 done, or nothing to do; 1 failed, or not confirmed; 2 configuration or usage; 4 the table is halted; 5
something cannot be reached now";

const ORPHANS_EXAMPLE: &str = "\
Examples:
  tabletopic orphans shop.orders
  tabletopic orphans shop.orders shop.orders__dead_letters --delete
  tabletopic orphans shop.orders --older-than 7d --delete --yes --output json

A file stays that any snapshot leads to, whatever branch or tag keeps it, and so do metadata files in the log, statistics,
and what is younger. `run` and other writers may go on meanwhile. A table that shares its folder with another one is
refused. docs/maintenance.md says what is an orphan, and why no live file is taken for one.

Exit codes: 0 shown or removed; 1 failed or refused; 2 configuration or usage; 4 the table is halted; 5 something cannot
be reached now";

const MAINTAIN_EXAMPLE: &str = "\
Examples:
  tabletopic maintain shop.orders --dry-run
  tabletopic maintain shop.orders shop.customers --yes --output json
  tabletopic maintain shop.orders --orphans --yes
  tabletopic maintain shop.orders --engine spark --catalog-name lake > maintain.sql
  tabletopic maintain shop.orders --engine trino --trino-url http://127.0.0.1:8080 --catalog-name lake --yes

It does what `retain` (where a topic of the configuration says `retain`), `expire`, `compact`, `manifests` and with --orphans
`orphans --delete` do, in this order, and asks where they ask. A table that fails is told, the next ones are done, and the exit code is that of the worst. `run` and other writers may go
on meanwhile. docs/maintenance.md says what is done, and what engines do instead.

Exit codes: 0 done; 1 failed, or not confirmed, or some files can't be rewritten; 2 configuration or usage; 4 a table is
halted; 5 something cannot be reached now";

const CATALOG_SERVE_EXAMPLE: &str = "\
Examples:
  tabletopic catalog serve --config examples/local/tabletopic.toml
  tabletopic run --serve-catalog      (the same, beside the ingest and in its process)

[catalog.serve] in the configuration says where, by default http://127.0.0.1:8181, and which token others than this
host's programs need. Engines create, change and drop tables by it, and commit beside a running ingest; none of the two
loses anything. Their files they read and write themselves, with credentials of their own. docs/catalog.md says how to
connect them.

Exit codes: 0 stopped, 1 failed, 2 configuration or usage, 5 the catalog cannot be reached now";

const PLAN_EXAMPLE: &str = "\
Examples:
  tabletopic plan --config examples/local/tabletopic.toml
  tabletopic plan orders --output json      (a topic that the configuration names, or that a pattern matches)
  tabletopic plan --subject orders-value
  tabletopic plan orders --schema next.avsc      (a CI job: would this change break the table?)

It reads up to 10,000 of the records that a run would read next; with --subject or --schema none, and a broker is
needed only for topics of a pattern. Nothing is created or changed, no group is joined.

Exit codes: 0 a run would work, whether it would make or change tables or not; 1 failed; 2 configuration or usage;
4 something would halt, or the table can't follow the schema; 5 something cannot be reached now";

const CHECK_EXAMPLE: &str = "\
Example:
  tabletopic check --config examples/local/tabletopic.toml

Exit codes: 0 nothing in the way (there may be warnings), 1 something is broken, 2 fix the configuration or
what it names, 5 something cannot be reached now";
