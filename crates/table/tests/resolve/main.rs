//! The answers to a halt, on real files.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test: a failure is a panic with its reason"
)]

mod letters;
mod partitions;
mod several_topics;
mod table;
mod truncate;
