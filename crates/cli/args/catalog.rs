//! `tabletopic catalog`.

use clap::{Args as Arguments, Subcommand};

pub const EXAMPLE: &str = "\
Examples:
  tabletopic catalog serve --config examples/local/tabletopic.toml
  tabletopic run --serve-catalog      (the same, beside the ingest and in its process)

[catalog.serve] in the configuration says where, by default http://127.0.0.1:8181, and which token others than this
host's programs need. Engines create, change and drop tables by it, and commit beside a running ingest; none of the two
loses anything. Their files they read and write themselves, with credentials of their own. docs/catalog.md says how to
connect them.

Exit codes: 0 stopped, 1 failed, 2 configuration or usage, 5 the catalog cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Catalog {
    #[command(subcommand)]
    pub command: CatalogCommand,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum CatalogCommand {
    /// Serve the catalog as an Iceberg REST catalog, for Spark, Trino, DuckDB, PyIceberg and others, until told to stop
    #[command(after_help = EXAMPLE)]
    Serve,
}
