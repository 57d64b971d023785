//! One Iceberg table as DataFusion sees it.
//!
//! ```text
//! Expr ─ predicate ─▶ iceberg's scan planning ─ plan ─▶ files, spread over partitions ─ exec ─▶ file ─▶ RecordBatch
//!                     (manifests, partitions, bounds)                              row groups, deletes, columns
//! ```
//!
//! Whatever is pruned here is pruned because it cannot hold a wanted row; every filter is applied once more, to the
//! rows, by DataFusion.

mod columns;
mod deletes;
mod exec;
mod file;
mod floats;
mod plan;
mod predicate;
mod provider;
mod row_groups;
mod widened;

pub use columns::arrow_schema;
pub use provider::TableAt;
