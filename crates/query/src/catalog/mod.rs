//! The catalog as DataFusion sees it: namespaces are schemas, and names may have a suffix that asks for a metadata
//! table or for an earlier state.
//!
//! One is made for each statement. It lists what there is at its start, and loads each table once, so that all parts
//! of a statement see the same snapshot.

mod name;
mod namespace;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, SchemaProvider};
use iceberg::io::FileIO;
use tabletopic_catalog::Catalog;

use crate::error::{QueryError, quoted};
use crate::nearest::nearest;
pub use namespace::Namespace;

/// Where tables are read from.
#[derive(Debug, Clone)]
pub struct Source {
    pub catalog: Arc<dyn Catalog>,
    pub file_io: FileIO,
}

/// The catalog at the start of a statement.
#[derive(Debug, Clone)]
pub struct Listing {
    /// By name; the levels of a namespace are joined with dots.
    namespaces: BTreeMap<String, Arc<Namespace>>,
    /// That of names that have none, if somebody has said so.
    default: Option<String>,
}

impl Listing {
    /// Lists all namespaces and tables. Names without a namespace are looked for in `default`.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn load(source: &Source, default: Option<String>) -> Result<Self, QueryError> {
        let mut namespaces = BTreeMap::new();
        for ident in source.catalog.list_namespaces().await? {
            let tables = source.catalog.list_tables(&ident).await?;
            let tables = tables.into_iter().map(|table| table.name).collect();
            namespaces.insert(
                ident.join("."),
                Arc::new(Namespace::new(source.clone(), ident, tables)),
            );
        }
        Ok(Self { namespaces, default })
    }

    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &Arc<Namespace>)> {
        self.namespaces
            .iter()
            .map(|(name, namespace)| (name.as_str(), namespace))
    }

    /// The namespace of names that have none: the one that was asked for, or the only one that has tables.
    pub fn default_namespace(&self) -> Option<&str> {
        if let Some(default) = &self.default {
            return Some(default);
        }
        let mut with_tables = self
            .namespaces()
            .filter(|(_, namespace)| !namespace.tables().is_empty());
        match (with_tables.next(), with_tables.next()) {
            (Some((only, _)), None) => Some(only),
            _ => None,
        }
    }

    /// Finds a namespace as it is named in a query, or as nothing was named.
    ///
    /// # Errors
    /// One that does not exist, with those that do.
    pub fn namespace(&self, named: Option<&str>, table: &str) -> Result<&Arc<Namespace>, QueryError> {
        match named.or(self.default_namespace()) {
            Some(name) => self.named(name),
            None => Err(self.nowhere(table)),
        }
    }

    /// Finds a namespace by its name.
    ///
    /// # Errors
    /// One that does not exist, with those that do.
    pub fn named(&self, name: &str) -> Result<&Arc<Namespace>, QueryError> {
        self.namespaces
            .get(name)
            .ok_or_else(|| QueryError::UnknownNamespace {
                namespace: quoted(name),
                nearest: nearest(name, self.namespaces().map(|(name, _)| name))
                    .iter()
                    .map(|name| quoted(name))
                    .collect(),
            })
    }

    /// A table without a namespace, where it is not clear which is meant.
    fn nowhere(&self, table: &str) -> QueryError {
        let with: Vec<String> = self
            .namespaces()
            .filter(|(_, namespace)| namespace.tables().iter().any(|name| name == table))
            .map(|(name, _)| quoted(name))
            .collect();
        if with.is_empty() {
            let all = self.namespaces().flat_map(|(_, namespace)| namespace.tables());
            return QueryError::UnknownTable {
                table: quoted(table),
                nearest: nearest(table, all.map(String::as_str)),
            };
        }
        QueryError::NoNamespace {
            table: quoted(table),
            namespaces: with,
        }
    }
}

impl CatalogProvider for Listing {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema_names(&self) -> Vec<String> {
        self.namespaces.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let namespace = self.namespaces.get(name)?.clone();
        Some(namespace)
    }
}
