//! The pipeline: workers read, decode and cut; one committer per table makes snapshots of what they cut.
//! `ARCHITECTURE.md` draws the flow with the bounds of its queues.

pub mod ask_broker;
pub mod committer;
pub mod dead_letters;
mod diagnose;
pub mod halts;
pub mod job;
mod lane;
pub mod memory_budget;
pub mod observe;
mod patterns;
pub mod plan;
pub mod prepare;
pub mod rate;
pub mod resolve;
pub mod run;
mod schema_lookups;
mod withheld;
pub mod worker;

pub use job::{Backfill, Job, PartitionBy, Start};
pub use lane::{Lane, Stretch};
pub use patterns::{Matched, Patterns};
pub use schema_lookups::{SchemaLookups, imports, learn};
