//! What proves what a table holds.

pub mod compare;
