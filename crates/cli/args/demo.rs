//! `tabletopic demo`.

use std::path::PathBuf;

use clap::Args as Arguments;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic demo
  tabletopic demo --dir orders-demo --keep

It takes half a minute, and nothing has to run beside it: the Kafka broker is a part of it. The tables stay until the
next demo in the same folder. Ctrl-C ends it early, and leaves a table that is whole.

Exit codes: 0 done, or ended early; 1 failed, or the folder is not the demo's to write to";

#[derive(Debug, Arguments)]
pub struct Demo {
    /// Where the tables go: a folder that is not there yet, is empty, or is an earlier demo's
    #[arg(long, value_name = "DIR", default_value = "tabletopic-demo")]
    pub dir: PathBuf,

    /// Keep the tables for good: no later demo replaces them
    #[arg(long)]
    pub keep: bool,
}
