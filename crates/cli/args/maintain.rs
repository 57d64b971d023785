//! `tabletopic maintain`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Arguments, ValueEnum};

use super::Output;

pub const EXAMPLE: &str = "\
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
