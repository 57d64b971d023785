//! Reading data files: the rows of a Parquet file as the table's columns, without those that delete files take, in
//! batches. Values come bit by bit as they were written.
//!
//! Which files there are, and which delete files apply to which, its callers know: queries, and whoever writes files
//! again.

mod columns;
mod defaults;
mod deletes;
mod deletion_vector;
mod error;
mod file;
mod lineage;
mod memory;
mod paged;
mod positions;
mod row_groups;
#[cfg(test)]
mod tests;
mod values;

pub use self::columns::{FileColumns, column_id, row_schema};
pub use self::deletes::{DeleteFile, DeleteFiles, Deletes};
pub use self::deletion_vector::VectorBlob;
pub use self::error::ReadError;
pub use self::file::OpenFile;
pub use self::lineage::{Lineage, with_lineage};
pub use self::memory::{Memory, Reservation};
pub use self::row_groups::{LEAST, RowGroup, RowGroups};
