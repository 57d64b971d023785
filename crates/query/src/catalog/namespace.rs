//! One namespace: finds and loads tables by the names that queries have for them.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use iceberg::{NamespaceIdent, TableIdent};
use tabletopic_catalog::LoadedTable;
use tokio::sync::Mutex;

use super::Source;
use super::name::{Asked, parse, snapshot};
use crate::error::{QueryError, quoted};
use crate::metadata;
use crate::nearest::nearest;
use crate::scan::TableAt;

/// A namespace at the start of a statement.
#[derive(Debug)]
pub struct Namespace {
    source: Source,
    ident: NamespaceIdent,
    /// Sorted.
    tables: Vec<String>,
    /// What this statement has loaded already.
    loaded: Mutex<HashMap<String, LoadedTable>>,
}

impl Namespace {
    pub fn new(source: Source, ident: NamespaceIdent, tables: Vec<String>) -> Self {
        Self {
            source,
            ident,
            tables,
            loaded: Mutex::default(),
        }
    }

    /// The names of all tables, sorted.
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// Loads a table by its own name, once.
    ///
    /// # Errors
    /// A name that no table has, with the nearest ones; those of the catalog.
    pub async fn load(&self, name: &str) -> Result<LoadedTable, QueryError> {
        if !self.table_exist(name) {
            return Err(self.unknown(name));
        }
        let mut loaded = self.loaded.lock().await;
        if let Some(table) = loaded.get(name) {
            return Ok(table.clone());
        }
        let ident = TableIdent::new(self.ident.clone(), name.to_owned());
        let table = self.source.catalog.load(&ident).await?;
        loaded.insert(name.to_owned(), table.clone());
        Ok(table)
    }

    /// Loads a table as it is now, whether or not this statement has loaded it before.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn load_again(&self, name: &str) -> Result<LoadedTable, QueryError> {
        self.loaded.lock().await.remove(name);
        self.load(name).await
    }

    fn unknown(&self, name: &str) -> QueryError {
        let near = nearest(name, self.tables.iter().map(String::as_str));
        QueryError::UnknownTable {
            table: format!("{}.{}", quoted(&self.ident.join(".")), quoted(name)),
            nearest: near.iter().map(|name| quoted(name)).collect(),
        }
    }

    /// What `name` asks for. A table's own name may have the letters of a suffix in it.
    fn asked<'a>(&self, name: &'a str) -> Result<(&'a str, Asked<'a>), QueryError> {
        match self.table_exist(name) {
            true => Ok((name, Asked::Now)),
            false => parse(name),
        }
    }

    /// Whether a query may name `name`.
    ///
    /// # Errors
    /// One that names nothing, with what is near.
    pub fn check(&self, name: &str) -> Result<(), QueryError> {
        let (table, _) = self.asked(name)?;
        match self.table_exist(table) {
            true => Ok(()),
            false => Err(self.unknown(table)),
        }
    }

    /// What a query reads when it names `name`.
    ///
    /// # Errors
    /// Names that name nothing, with what is near; those of reading metadata.
    pub async fn find(&self, name: &str) -> Result<Arc<dyn TableProvider>, QueryError> {
        let file_io = self.source.file_io.clone();
        let (name, asked) = self.asked(name)?;
        let table = match asked {
            Asked::Metadata(kind) => return metadata::provider(self, &file_io, name, kind).await,
            Asked::Now => TableAt::now(self.load(name).await?, file_io)?,
            Asked::At(point) => {
                let table = self.load(name).await?;
                let at = snapshot(&table.metadata, &table.ident.to_string(), name, point)?;
                TableAt::at(table, file_io, at)?
            }
        };
        Ok(Arc::new(table))
    }
}

#[async_trait]
impl SchemaProvider for Namespace {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn table_names(&self) -> Vec<String> {
        self.tables.clone()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.check(name) {
            // It may be the name of a function.
            Err(QueryError::UnknownTable { .. }) => Ok(None),
            _ => Ok(Some(self.find(name).await?)),
        }
    }

    async fn table_type(&self, _name: &str) -> Result<Option<TableType>> {
        Ok(Some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.iter().any(|table| table == name)
    }
}
