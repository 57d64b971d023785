//! `tabletopic compact`.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args as Arguments;
use tabletopic_maintain::compact::SortColumns;

use super::{Output, size};

pub const EXAMPLE: &str = "\
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
