//! The two tables beside the main one: dead letters and the ledger (commit protocol, section 6).
//!
//! The main table is the only truth. What the followers shall hold waits in the outbox of the main table's state
//! until a *drain* takes it over in one compare-and-swap; a follower's own progress is the main state that it
//! drained last. A follower that lags is late, never wrong.

pub mod create;
pub mod dead_letters;
pub mod drain;
pub mod entry;
pub mod ledger;
pub mod letters;
pub mod positions;
mod removal;
mod state;
pub mod write;

use iceberg::TableIdent;
use tabletopic_offsets::Follower;

pub use state::FollowerState;

/// The name of a follower table.
pub fn ident(main: &TableIdent, follower: Follower) -> TableIdent {
    let suffix = match follower {
        Follower::DeadLetters => "dead_letters",
        Follower::Ledger => "ledger",
    };
    TableIdent::new(main.namespace.clone(), format!("{}__{suffix}", main.name))
}
