//! A log written back into a topic: each record once, in order, into the partition of its number (`docs/restore.md`).
//!
//! What is written next is decided by [`Plan`] from the log, the topic and how far a restore before this one was;
//! [`restore`] carries it out in transactions, each of which commits how far it is along with its records.

mod error;
mod plan;
mod run;

pub use error::RestoreError;
pub use plan::{Begun, Log, Plan, Topic, Whole};
pub use run::{Progress, Rate, Restored, Writer, restore};
