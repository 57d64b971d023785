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
mod file_access;
mod location;
mod memory;
mod properties;
mod rest;
mod serve;
mod served;
mod sql;
mod staged;
mod unknown_types;

pub use catalog::{Catalog, CommitOutcome, LoadedTable, TableChange};
pub use error::{CatalogError, Entry};
pub use file_access::{FileAccess, Granted, Signature, StoreRequest};
pub use memory::MemoryCatalog;
pub use properties::unknown_property;
pub use rest::{AwsKeys, AwsLogin, AwsSigner, PropertyError, RestClient, RestSettings};
pub use serve::{Answered, RestCatalog};
pub use served::{NamespaceChange, ServedCatalog, TableCommit};
pub use sql::{Password, PostgresCatalog, PostgresOptions, Server, SqliteCatalog, SqliteOptions};
