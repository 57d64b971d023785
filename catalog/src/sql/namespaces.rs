//! The statements about namespaces. A namespace has a row for each property, one of them [`EXISTS`].

use std::collections::{BTreeMap, BTreeSet};

use iceberg::NamespaceIdent;
use sqlx::error::ErrorKind;

use super::backend::{Backend, Statement, Transacted};
use super::layout::EXISTS;
use super::rows::Rows;
use crate::{CatalogError, Entry, NamespaceChange};

const INSERT: &str = "INSERT INTO iceberg_namespace_properties
                      (catalog_name, namespace, property_key, property_value) VALUES ($1, $2, $3, $4)";

impl<B: Backend> Rows<B> {
    /// Whether the namespace was inserted; false if it has an entry.
    pub(super) async fn insert_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: &BTreeMap<String, String>,
    ) -> Result<bool, CatalogError> {
        let operation = || format!("create {}", Entry::Namespace(namespace.clone()));
        let written = self.written(namespace, operation)?;
        let rows = properties
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let statements: Vec<Statement<'_>> = [(EXISTS, "true")]
            .into_iter()
            .chain(rows)
            .map(|(key, value)| Statement::must_write(INSERT, &[&self.catalog, &written, key, value]))
            .collect();
        match self.backend.transact(&statements).await {
            Transacted::NotSent(sqlx::Error::Database(error))
                if error.kind() == ErrorKind::UniqueViolation =>
            {
                Ok(false)
            }
            transacted => self.written_rows(transacted, operation).map(|_| true),
        }
    }

    /// The properties of a namespace; none for one without an entry.
    pub(super) async fn properties(
        &self,
        namespace: &NamespaceIdent,
    ) -> Result<BTreeMap<String, String>, CatalogError> {
        let operation = || format!("load {}", Entry::Namespace(namespace.clone()));
        let sql = "SELECT property_key, property_value FROM iceberg_namespace_properties
                   WHERE catalog_name = $1 AND namespace = $2 AND property_key <> $3";
        let written = self.written(namespace, operation)?;
        let rows = self.backend.read(sql, &[&self.catalog, &written, EXISTS]).await;
        let rows = rows.map_err(|error| self.failed(operation(), error))?;
        let pairs = rows.into_iter().filter_map(|row| {
            let mut columns = row.into_iter().map(Option::unwrap_or_default);
            Some((columns.next()?, columns.next()?))
        });
        Ok(pairs.collect())
    }

    /// Changes the properties of a namespace, and answers which of the removals were there. One without an entry gets
    /// one.
    pub(super) async fn change_properties(
        &self,
        namespace: &NamespaceIdent,
        change: NamespaceChange,
    ) -> Result<BTreeSet<String>, CatalogError> {
        let operation = || format!("change {}", Entry::Namespace(namespace.clone()));
        let delete = "DELETE FROM iceberg_namespace_properties
                      WHERE catalog_name = $1 AND namespace = $2 AND property_key = $3";
        let upsert = format!(
            "{INSERT} ON CONFLICT (catalog_name, namespace, property_key)
             DO UPDATE SET property_value = excluded.property_value"
        );
        let written = self.written(namespace, operation)?;
        let removals = change
            .removals
            .iter()
            .map(|key| Statement::may_write(delete, &[&self.catalog, &written, key]));
        let updates = change
            .updates
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let updates = [(EXISTS, "true")]
            .into_iter()
            .chain(updates)
            .map(|(key, value)| Statement::must_write(&upsert, &[&self.catalog, &written, key, value]));
        let statements: Vec<Statement<'_>> = removals.chain(updates).collect();
        let rows = self.written_rows(self.backend.transact(&statements).await, operation)?;
        let removals = change.removals.into_iter().zip(rows);
        Ok(removals
            .filter(|(_, rows)| *rows > 0)
            .map(|(key, _)| key)
            .collect())
    }

    /// Whether the namespace was deleted; false while something is in it.
    pub(super) async fn delete_namespace(&self, namespace: &NamespaceIdent) -> Result<bool, CatalogError> {
        let operation = || format!("drop {}", Entry::Namespace(namespace.clone()));
        // Views share the table with tables, and keep a namespace as well.
        let sql = "DELETE FROM iceberg_namespace_properties WHERE catalog_name = $1 AND namespace = $2
                   AND NOT EXISTS (SELECT 1 FROM iceberg_tables WHERE catalog_name = $1
                       AND (table_namespace = $2 OR substr(table_namespace, 1, length($3)) = $3))
                   AND NOT EXISTS (SELECT 1 FROM iceberg_namespace_properties AS inside WHERE inside.catalog_name = $1
                       AND substr(inside.namespace, 1, length($3)) = $3)";
        let written = self.written(namespace, operation)?;
        let inside = format!("{written}.");
        let deleted = self.backend.write(sql, &[&self.catalog, &written, &inside]).await;
        deleted
            .map(|rows| rows > 0)
            .map_err(|error| self.failed(operation(), error))
    }

    /// How many rows each statement of a transaction has written.
    fn written_rows(
        &self,
        transacted: Transacted,
        operation: impl Fn() -> String,
    ) -> Result<Vec<u64>, CatalogError> {
        match transacted {
            Transacted::Done(rows) => Ok(rows),
            // Inserts find a place, or fail.
            Transacted::Moved => Ok(Vec::new()),
            Transacted::NotSent(error) => Err(self.failed(operation(), error)),
            Transacted::Unanswered(reason) => Err(CatalogError::Unavailable {
                catalog: self.catalog.clone(),
                operation: operation(),
                reason,
                check: "whether it was done all the same".to_owned(),
                source: None,
            }),
        }
    }
}
