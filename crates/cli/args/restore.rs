//! `tabletopic restore`.

use clap::Args as Arguments;
use tabletopic_history::restore::Rate;

use super::Output;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic restore shop.orders_raw --to-topic orders-restored --dry-run   (says what would be written)
  tabletopic restore shop.orders_raw --to-topic orders-restored --create --yes

The table is one that a topic of `format = \"raw\"` feeds. The topic has to be empty, with as many partitions; whatever ends
the command, the same one goes on where it was, and no record is there twice. Nobody else may write into the topic
meanwhile. docs/restore.md has the rest.

Exit codes: 0 done; 1 refused or failed; 2 configuration or usage; 4 the table is halted (see `tabletopic resolve`);
5 something cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Restore {
    /// A raw-history table of the catalog
    pub table: String,

    /// The topic to write into; its brokers are those of the configuration
    #[arg(long, value_name = "TOPIC")]
    pub to_topic: String,

    /// Whose rows, where several jobs feed the table
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,

    /// Make the topic if it is not there: with as many partitions, and so that nothing is removed from it
    #[arg(long)]
    pub create: bool,

    /// Bytes a second at most, such as 20MiB, of keys, values and headers
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    pub rate: Option<Rate>,

    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

fn rate(text: &str) -> Result<Rate, String> {
    let bytes: bytesize::ByteSize = text.parse()?;
    match bytes.as_u64() {
        0 => Err("write how many bytes a second, such as 20MiB".to_owned()),
        bytes => Ok(Rate(bytes)),
    }
}
