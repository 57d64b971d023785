//! `tabletopic sql`: what it answers is what DuckDB answers on the same table; what it prunes, refuses and says; and
//! the shell on a terminal. No broker is needed: the tables are committed as the service commits them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

mod answers;
mod arranged;
mod assertions;
mod compaction;
mod compare;
mod deletes;
mod errors;
mod health;
mod lake;
mod maintain;
mod metadata;
mod orders;
mod output;
mod page;
mod pruning;
mod shell;
mod verify;

/// The binary under test.
const TABLETOPIC: &str = env!("CARGO_BIN_EXE_tabletopic");
