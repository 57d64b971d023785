//! One Iceberg table as DataFusion sees it.
//!
//! ```text
//! Expr ─ predicate ─▶ iceberg's scan planning ─ plan ─▶ files, spread over partitions ─ exec ─▶ table::read ─▶ RecordBatch
//!                     (manifests, partitions, bounds)                              row groups, deletes, columns, floats
//! ```
//!
//! Whatever is pruned here is pruned because it cannot hold a wanted row; every filter is applied once more, to the
//! rows, by DataFusion.

mod exec;
mod floats;
mod memory;
mod plan;
mod predicate;
mod provider;
mod row_groups;
mod widened;

pub use provider::TableAt;
