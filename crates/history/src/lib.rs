//! A raw-history table read back as the log that it was made of: its rows as records, in the order of their offsets, behind
//! the traits of `crates/source`. Whatever reads a topic can read such a table in its place.
//!
//! ```text
//! manifests ─▶ files ─▶ scout: where the rows of each row group are from ─▶ extents
//!                                                                             │ plan
//!            Source ◀─ pieces, in order ─ reader ◀─ one pass after the other ─┘
//! ```
//!
//! One snapshot is read, whatever is committed meanwhile. Rows lie in files as somebody has put them: in the order of their
//! offsets, several topic partitions mixed, as the ingest writes them; or in any other order, after a compaction that sorts.
//! So the columns that tell where rows are from are read first, and of each row group is known which offsets of which
//! partitions it has. A row group whose rows ascend is read as it lies, once for all partitions. Where rows do not ascend,
//! or row groups overlap, as many rows are held and sorted as [`MOST_HELD`] allows, and the row groups are read as often as
//! that takes.

mod broker;
mod columns;
mod error;
mod extents;
mod files;
mod history;
mod pass;
mod reader;
mod rows;
mod scout;
mod sorted;
mod source;

pub use broker::HistoryBroker;
pub use error::HistoryError;
pub use history::{Gone, History, PartitionLog};
pub use sorted::MOST_HELD;
pub use source::HistorySource;
