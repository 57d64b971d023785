//! A topic in memory, the raw-history table that the ingest made of it, and the log that is read back: the same records, the
//! same answers, however the rows lie.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

mod arranged;
mod deleted;
mod feed;
mod read;
mod same;
