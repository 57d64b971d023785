//! `tabletopic restore`.

use clap::Args as Arguments;
use tabletopic_history::restore::Rate;

use super::Output;

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
