//! `tabletopic run`.

use clap::Args as Arguments;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic run --config examples/local/tabletopic.toml
  tabletopic run --until-end      (a CI job: leaves with 0 once everything is in the tables)
  tabletopic run --serve-catalog  (engines reach the tables at http://127.0.0.1:8181 meanwhile)

The first SIGTERM or Ctrl-C commits what was read and leaves; a second one leaves at once, and loses nothing:
what is not in a table is read again.

While it works, http://127.0.0.1:8484/ shows what it does; [admin] in the configuration says where else.

Exit codes: 0 stopped, or reached the end; 1 failed; 2 configuration; 4 the end was not reached because
something is halted";

#[derive(Debug, Arguments)]
pub struct Run {
    /// Leave once the tables hold everything up to the ends that the topics have now
    #[arg(long)]
    pub until_end: bool,

    /// Serve the catalog to engines meanwhile, as `tabletopic catalog serve` does
    #[arg(long)]
    pub serve_catalog: bool,
}
