//! The statements, which are the same for every database.

use std::collections::BTreeSet;

use iceberg::{NamespaceIdent, TableIdent};
use sqlx::error::ErrorKind;

use super::backend::{Backend, Statement, Transacted};
use super::layout::{self, Layout};
use crate::{CatalogError, Entry};

/// The rows of one catalog; several can share a database.
#[derive(Debug)]
pub(super) struct Rows<B> {
    /// The `catalog_name` that they have.
    pub(super) catalog: String,
    pub(super) backend: B,
    pub(super) layout: Layout,
}

/// What became of moving a table from one metadata location to the next.
pub(super) enum Move {
    Done,
    /// The location is not the expected one, or the table is gone.
    Moved,
    /// A proven non-commit.
    NotSent(CatalogError),
    /// Open: in the database's words.
    Unanswered(String),
}

impl<B: Backend> Rows<B> {
    /// Every namespace that has an entry or a table, and those that they lie in.
    pub(super) async fn namespaces(&self) -> Result<BTreeSet<NamespaceIdent>, CatalogError> {
        let sql = "SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = $1
                   UNION SELECT table_namespace FROM iceberg_tables WHERE catalog_name = $1";
        let written = self.backend.read(sql, &[&self.catalog]).await;
        let written = written.map_err(|error| self.failed("list namespaces", error))?;
        Ok(written
            .iter()
            .flatten()
            .flatten()
            .flat_map(|written| layout::read_namespace(written))
            .collect())
    }

    /// Sorted by name.
    pub(super) async fn tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        let operation = || format!("list the tables of {}", Entry::Namespace(namespace.clone()));
        let sql = format!(
            "SELECT table_name FROM iceberg_tables WHERE catalog_name = $1 AND table_namespace = $2 AND {}",
            self.layout.is_table()
        );
        let written = self.written(namespace, operation)?;
        let names = self.backend.read(&sql, &[&self.catalog, &written]).await;
        let names = names.map_err(|error| self.failed(operation(), error))?;
        let mut tables: Vec<TableIdent> = names
            .into_iter()
            .flatten()
            .flatten()
            .map(|name| TableIdent::new(namespace.clone(), name))
            .collect();
        // Not by the database, which may sort by the rules of a language.
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tables)
    }

    /// The metadata location of a table, `None` if there is no such table.
    pub(super) async fn location(&self, table: &TableIdent) -> Result<Option<String>, CatalogError> {
        let operation = || format!("load {}", Entry::Table(table.clone()));
        let sql = format!(
            "SELECT metadata_location FROM iceberg_tables WHERE {}",
            self.layout.one_table()
        );
        let written = self.written(&table.namespace, operation)?;
        let rows = self
            .backend
            .read(&sql, &[&self.catalog, &written, &table.name])
            .await;
        let rows = rows.map_err(|error| self.failed(operation(), error))?;
        match rows.into_iter().flatten().next() {
            Some(None) => Err(CatalogError::Corrupt {
                catalog: self.catalog.clone(),
                entry: Entry::Table(table.clone()),
                location: self.backend.place(),
                reason: "its row has no metadata_location".to_owned(),
            }),
            location => Ok(location.flatten()),
        }
    }

    /// Whether the table was inserted; false if the name is taken.
    pub(super) async fn insert_table(
        &self,
        table: &TableIdent,
        location: &str,
    ) -> Result<bool, CatalogError> {
        let operation = || format!("create {}", Entry::Table(table.clone()));
        let written = self.written(&table.namespace, operation)?;
        let parameters = [self.catalog.as_str(), &written, &table.name, location];
        let inserted = self.backend.write(self.layout.insert_table(), &parameters).await;
        self.unless_taken(inserted, operation)
    }

    /// Whether there was such a table.
    pub(super) async fn delete_table(&self, table: &TableIdent) -> Result<bool, CatalogError> {
        let operation = || format!("drop {}", Entry::Table(table.clone()));
        let sql = format!("DELETE FROM iceberg_tables WHERE {}", self.layout.one_table());
        let written = self.written(&table.namespace, operation)?;
        let deleted = self
            .backend
            .write(&sql, &[&self.catalog, &written, &table.name])
            .await;
        deleted
            .map(|rows| rows > 0)
            .map_err(|error| self.failed(operation(), error))
    }

    /// Moves a table from one metadata location to the next.
    pub(super) async fn swap(&self, table: &TableIdent, from: &str, to: &str) -> Move {
        let operation = || format!("commit to {}", Entry::Table(table.clone()));
        let sql = self.layout.swap_table();
        let written = match self.written(&table.namespace, operation) {
            Ok(written) => written,
            Err(error) => return Move::NotSent(error),
        };
        let parameters = [self.catalog.as_str(), &written, &table.name, from, to];
        let statement = Statement::must_write(&sql, &parameters);
        self.moved(self.backend.transact(&[statement]).await, operation)
    }

    /// The same with the meaning of its failure.
    pub(super) fn moved(&self, transacted: Transacted, operation: impl FnOnce() -> String) -> Move {
        match transacted {
            Transacted::Done(_) => Move::Done,
            Transacted::Moved => Move::Moved,
            Transacted::NotSent(error) => Move::NotSent(self.failed(operation(), error)),
            Transacted::Unanswered(words) => Move::Unanswered(words),
        }
    }

    pub(super) fn written(
        &self,
        namespace: &NamespaceIdent,
        operation: impl FnOnce() -> String,
    ) -> Result<String, CatalogError> {
        layout::write_namespace(namespace).ok_or_else(|| CatalogError::Rejected {
            catalog: self.catalog.clone(),
            operation: operation(),
            reason: format!(
                "an SQL catalog writes namespace levels joined by dots, so that none of {:?} may be empty or hold one",
                namespace.as_ref()
            ),
        })
    }

    pub(super) fn unless_taken(
        &self,
        inserted: sqlx::Result<u64>,
        operation: impl FnOnce() -> String,
    ) -> Result<bool, CatalogError> {
        match inserted {
            Ok(_) => Ok(true),
            Err(sqlx::Error::Database(error)) if error.kind() == ErrorKind::UniqueViolation => Ok(false),
            Err(error) => Err(self.failed(operation(), error)),
        }
    }

    pub(super) fn failed(&self, operation: impl Into<String>, error: sqlx::Error) -> CatalogError {
        self.backend.failed(&self.catalog, operation.into(), error)
    }
}
