//! What can go wrong in a catalog, apart from a commit's outcome. Each error tells its reader what to do.

use std::error::Error;
use std::fmt;

use iceberg::{NamespaceIdent, TableIdent};

/// What a catalog names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Namespace(NamespaceIdent),
    Table(TableIdent),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Namespace(namespace) => write!(f, "namespace {}", namespace.join(".")),
            Entry::Table(table) => write!(f, "table {}.{}", table.namespace.join("."), table.name),
        }
    }
}

/// An operation on a catalog that failed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Create it, or correct the name.
    #[error("catalog {catalog}: {entry} does not exist; create it, or correct the name in the configuration")]
    NotFound { catalog: String, entry: Entry },

    /// Somebody has created it: load it.
    #[error("catalog {catalog}: {entry} exists already; load it, or choose another name")]
    AlreadyExists { catalog: String, entry: Entry },

    /// Remove what is in it first.
    #[error("catalog {catalog}: {entry} is not empty; remove what is in it first")]
    NotEmpty { catalog: String, entry: Entry },

    /// The catalog or the store that holds its metadata files cannot be reached now: try again later. Reads
    /// change nothing; whether a write went through has to be looked up (load or list) before it is repeated.
    #[error("catalog {catalog}: cannot {operation} now: {reason}; try again, and if it lasts check {check}")]
    Unavailable {
        catalog: String,
        /// What was being done, as a verb with its object: `load table shop.orders`.
        operation: String,
        /// The words of the catalog's backend.
        reason: String,
        /// What a person should look at: a file, a host.
        check: String,
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },

    /// The request cannot be carried out as it is: correct it.
    #[error("catalog {catalog}: refused to {operation}: {reason}")]
    Rejected {
        catalog: String,
        operation: String,
        reason: String,
    },

    /// What the catalog holds cannot be understood: stop and look; trying again cannot help.
    #[error(
        "catalog {catalog}: {entry} cannot be read from {location}: {reason}; restore that file or point the catalog at a good one"
    )]
    Corrupt {
        catalog: String,
        entry: Entry,
        location: String,
        reason: String,
    },
}
