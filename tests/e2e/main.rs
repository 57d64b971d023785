//! End to end: the shipped binary, a real Kafka broker, and PyIceberg and DuckDB as judges of the contents.
//!
//! Run by `make test`, which starts the broker.

mod data;
mod environment;
mod feed;
mod foreign;
mod halts;
mod main_path;
mod rollback;
mod sparse_logs;
mod process_faults;

/// The binary under test.
const TABLETOPIC: &str = env!("CARGO_BIN_EXE_tabletopic");
