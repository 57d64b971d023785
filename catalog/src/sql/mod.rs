//! Catalogs in a database, in the layout of Iceberg's JDBC catalog, which PyIceberg's `SqlCatalog` and Iceberg's Java
//! `JdbcCatalog` read and write too. What they do is the same on every database; how a statement runs, and what its
//! failure means, is each [`Backend`]'s own.
//!
//! **Metadata files** get a new name each time and are never overwritten, so that "the location is still the same" means
//! "the metadata is still the same".

mod backend;
mod layout;
mod moves;
mod namespaces;
mod postgres;
mod rows;
mod served;
mod sqlite;
mod tables;

use std::sync::Arc;

use iceberg::io::FileIO;
use tabletopic_clock::{Clock, Entropy};

use crate::CatalogError;
use backend::Backend;
use layout::Layout;
use rows::Rows;

pub use postgres::{Password, PostgresCatalog, PostgresOptions, Server};
pub use sqlite::{SqliteCatalog, SqliteOptions};

/// A [`Catalog`](crate::Catalog) in a database.
#[derive(Debug)]
pub struct SqlCatalog<B> {
    rows: Rows<B>,
    warehouse: String,
    file_io: FileIO,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl<B: Backend> SqlCatalog<B> {
    /// `catalog` is the `catalog_name` of its rows; `warehouse` is from [`absolute`].
    fn new(
        catalog: String,
        warehouse: String,
        backend: B,
        layout: Layout,
        file_io: FileIO,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            rows: Rows {
                catalog,
                backend,
                layout,
            },
            warehouse,
            file_io,
            clock,
            entropy,
        }
    }
}

/// The warehouse of `catalog`, without a slash at its end. `Rejected` if it is not an absolute URI.
fn absolute(catalog: &str, warehouse: &str) -> Result<String, CatalogError> {
    let warehouse = warehouse.trim_end_matches('/').to_owned();
    if warehouse.contains("://") {
        return Ok(warehouse);
    }
    Err(CatalogError::Rejected {
        catalog: catalog.to_owned(),
        operation: "open".to_owned(),
        reason: format!("the warehouse {warehouse:?} is not an absolute URI such as file:///lake/warehouse"),
    })
}
