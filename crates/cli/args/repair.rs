//! `tabletopic repair`.

use clap::Args as Arguments;

use super::{Output, SAMPLES, Span, size};

pub const EXAMPLE: &str = "\
Examples:
  tabletopic repair shop.orders --offsets 3:120000..180000 --dry-run
  tabletopic repair shop.orders --offsets 3:120000..180000 --reason 'amounts were strings, see ticket 42'
  tabletopic repair shop.orders --offsets 3:0..50000 --history raw.orders --without-topic

The offsets are read again into a table of their own and compared with what the table has; then one commit swaps their rows
and dead letters. A service that runs goes on meanwhile.

Exit codes: 0 done, or nothing differs; 1 refused or failed; 2 configuration or usage; 3 with --dry-run: it would change
something; 4 the table is halted (see `tabletopic resolve`), or the offsets can't all be read; 5 something cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Repair {
    /// The table, as the configuration names it
    pub table: String,

    /// What is read again, without the offset at the end (TOPIC/PARTITION:START..END where several topics feed the table); may be
    /// given once for each partition
    #[arg(long, value_name = "PARTITION:START..END", required = true)]
    pub offsets: Vec<Span>,

    /// Read this raw-history table first, and the topic from where it ends
    #[arg(long, value_name = "TABLE")]
    pub history: Option<String>,

    /// Read the raw-history table alone: no broker is needed
    #[arg(long, requires = "history")]
    pub without_topic: bool,

    /// Read at most so many bytes of records a second, such as 20MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub read_rate: Option<u64>,

    /// The namespace that the offsets are read into, and which is left empty; by default repair_ and the table's name
    #[arg(long, value_name = "NAMESPACE")]
    pub into: Option<String>,

    /// Show so many samples of each kind of difference
    #[arg(long, value_name = "NUMBER", default_value_t = SAMPLES)]
    pub samples: usize,

    /// Read and compare, and change nothing
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
