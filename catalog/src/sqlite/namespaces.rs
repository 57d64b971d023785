//! The statements about namespaces. A namespace has a row for each property, one of them [`EXISTS`].

use std::collections::{BTreeMap, BTreeSet};

use iceberg::NamespaceIdent;

use super::backend::{Backend, Swap};
use super::layout::EXISTS;
use crate::{CatalogError, Entry, NamespaceChange};

impl Backend {
    /// Whether the namespace was inserted; false if it has an entry.
    pub(super) async fn insert_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: BTreeMap<String, String>,
    ) -> Result<bool, CatalogError> {
        let operation = || format!("create {}", Entry::Namespace(namespace.clone()));
        let written = self.written(namespace, operation)?;
        let rows = properties
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let rows = [(EXISTS, "true")].into_iter().chain(rows);
        let mut transaction = self
            .pool
            .begin_with("BEGIN EXCLUSIVE")
            .await
            .map_err(|error| self.failed(operation(), error))?;
        for (key, value) in rows {
            let inserted = sqlx::query(
                "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value)
                 VALUES (?, ?, ?, ?)",
            )
            .bind(&self.catalog)
            .bind(&written)
            .bind(key)
            .bind(value)
            .execute(&mut *transaction)
            .await;
            if !self.unless_taken(inserted, operation)? {
                return Ok(false);
            }
        }
        self.answered(self.send(transaction).await, operation)?;
        Ok(true)
    }

    /// The properties of a namespace; none for one without an entry.
    pub(super) async fn properties(
        &self,
        namespace: &NamespaceIdent,
    ) -> Result<BTreeMap<String, String>, CatalogError> {
        let operation = || format!("load {}", Entry::Namespace(namespace.clone()));
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT property_key, property_value FROM iceberg_namespace_properties
             WHERE catalog_name = ? AND namespace = ? AND property_key <> ?",
        )
        .bind(&self.catalog)
        .bind(self.written(namespace, operation)?)
        .bind(EXISTS)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(operation(), error))?;
        Ok(rows
            .into_iter()
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect())
    }

    /// Changes the properties of a namespace, and answers which of the removals were there. One without an entry gets
    /// one.
    pub(super) async fn change_properties(
        &self,
        namespace: &NamespaceIdent,
        change: NamespaceChange,
    ) -> Result<BTreeSet<String>, CatalogError> {
        let operation = || format!("change {}", Entry::Namespace(namespace.clone()));
        let failed = |error| self.failed(operation(), error);
        let written = self.written(namespace, operation)?;
        let mut transaction = self.pool.begin_with("BEGIN EXCLUSIVE").await.map_err(failed)?;
        let mut removed = BTreeSet::new();
        for key in change.removals {
            let deleted = sqlx::query(
                "DELETE FROM iceberg_namespace_properties
                 WHERE catalog_name = ? AND namespace = ? AND property_key = ?",
            )
            .bind(&self.catalog)
            .bind(&written)
            .bind(&key)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
            if deleted.rows_affected() > 0 {
                removed.insert(key);
            }
        }
        let kept = [(EXISTS.to_owned(), "true".to_owned())];
        for (key, value) in kept.into_iter().chain(change.updates) {
            sqlx::query(
                "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value)
                 VALUES (?, ?, ?, ?)
                 ON CONFLICT (catalog_name, namespace, property_key)
                 DO UPDATE SET property_value = excluded.property_value",
            )
            .bind(&self.catalog)
            .bind(&written)
            .bind(key)
            .bind(value)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        self.answered(self.send(transaction).await, operation)?;
        Ok(removed)
    }

    /// Whether the namespace was deleted; false while something is in it.
    pub(super) async fn delete_namespace(&self, namespace: &NamespaceIdent) -> Result<bool, CatalogError> {
        let operation = || format!("drop {}", Entry::Namespace(namespace.clone()));
        let failed = |error| self.failed(operation(), error);
        let written = self.written(namespace, operation)?;
        let inner = format!("{written}.");
        let mut transaction = self.pool.begin_with("BEGIN EXCLUSIVE").await.map_err(failed)?;
        // Views share the table with tables, and keep a namespace as well.
        let held: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM iceberg_tables WHERE catalog_name = ?1
                     AND (table_namespace = ?2 OR substr(table_namespace, 1, length(?3)) = ?3))
                  + (SELECT count(*) FROM iceberg_namespace_properties WHERE catalog_name = ?1
                     AND substr(namespace, 1, length(?3)) = ?3)",
        )
        .bind(&self.catalog)
        .bind(&written)
        .bind(&inner)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
        if held > 0 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?")
            .bind(&self.catalog)
            .bind(&written)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        self.answered(self.send(transaction).await, operation)?;
        Ok(true)
    }

    /// An answer to `COMMIT` that is not "done", as the error of an operation.
    pub(super) fn answered(
        &self,
        answer: Swap,
        operation: impl FnOnce() -> String,
    ) -> Result<(), CatalogError> {
        match answer {
            Swap::Done | Swap::Moved => Ok(()),
            Swap::NotSent(error) => Err(error),
            Swap::Unanswered(reason) => Err(CatalogError::Unavailable {
                catalog: self.catalog.clone(),
                operation: operation(),
                reason,
                check: "whether it was done all the same".to_owned(),
                source: None,
            }),
        }
    }
}
