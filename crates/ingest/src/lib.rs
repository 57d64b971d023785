//! The pipeline: workers read, decode and cut; one committer per table makes snapshots of what they cut.
//! `ARCHITECTURE.md` draws the flow with the bounds of its queues.

pub mod job;
pub mod worker;

pub use job::{Job, Start};
