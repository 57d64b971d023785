//! Where tables are named: the [`Catalog`] trait, its implementations and the conformance suite that each
//! of them passes.
//!
//! A catalog maps a table's name to the location of its current metadata file and moves that pointer by
//! compare-and-swap. It knows nothing of Kafka or of what a snapshot holds. What it must tell exactly is
//! what became of a commit: see [`CommitOutcome`].

mod catalog;
mod change;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod location;
mod memory;
mod serve;
mod served;
mod sqlite;
mod staged;

pub use catalog::{Catalog, CommitOutcome, LoadedTable, TableChange};
pub use error::{CatalogError, Entry};
pub use memory::MemoryCatalog;
pub use serve::{Answered, RestCatalog};
pub use served::{NamespaceChange, ServedCatalog, TableCommit};
pub use sqlite::{SqliteCatalog, SqliteOptions};
