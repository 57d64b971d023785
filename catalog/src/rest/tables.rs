//! Namespaces and tables: listed, made, loaded, dropped.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderMap, Method};
use iceberg::{NamespaceIdent, TableCreation, TableIdent};
use serde::Serialize;

use super::RestClient;
use super::bodies::{CreateNamespace, CreateTable, LoadedBody, Namespaces, Tables, json};
use super::connection::{Answer, Asked};
use super::failure::Failure;
use super::grants::Said;
use super::paths::value;
use super::versions::Version;
use crate::change::check_schema_readable;
use crate::{Catalog, CatalogError, CommitOutcome, Entry, LoadedTable, TableChange};

/// Names of one list, over all of its pages: a server that never comes to an end is not followed.
const MOST_NAMES: usize = 1_000_000;

#[async_trait]
impl Catalog for RestClient {
    fn name(&self) -> &str {
        &self.name
    }

    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        let entry = Entry::Namespace(namespace.clone());
        let operation = format!("create {entry}");
        let body = CreateNamespace {
            namespace,
            properties: HashMap::new(),
        };
        match self
            .write(Method::POST, &self.paths.namespaces(), None, &body, &operation)
            .await?
        {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_taken() => Err(self.already_exists(entry)),
            Err(failure) => Err(self.failed(failure, operation)),
        }
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>, CatalogError> {
        let mut found = BTreeSet::new();
        let mut open = VecDeque::from([None]);
        while let Some(parent) = open.pop_front() {
            for namespace in self.namespaces_in(parent.as_ref()).await? {
                // A server that does not know of parents answers with all that there are.
                if found.insert(namespace.clone()) && found.len() < MOST_NAMES {
                    open.push_back(Some(namespace));
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        let entry = Entry::Namespace(namespace.clone());
        let operation = format!("list the tables of {entry}");
        let path = self.path(self.paths.tables(namespace), &operation)?;
        let mut found = BTreeSet::new();
        let mut page = String::new();
        loop {
            let query = format!("pageToken={}", value(&page));
            let answer = self.connection.read(&path, Some(&query)).await;
            let tables: Tables = match answer.and_then(|answer| answer.json()) {
                Ok(tables) => tables,
                Err(failure) if failure.is_absence() => return Err(self.not_found(entry)),
                Err(failure) => return Err(self.failed(failure, operation)),
            };
            found.extend(tables.identifiers.into_iter().map(|table| table.name));
            match next(tables.next_page_token, &page, found.len()) {
                Some(token) => page = token,
                None => break,
            }
        }
        let table = |name| TableIdent::new(namespace.clone(), name);
        Ok(found.into_iter().map(table).collect())
    }

    async fn load(&self, table: &TableIdent) -> Result<LoadedTable, CatalogError> {
        self.load_since(table, self.versions.of(table)).await
    }

    async fn create(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        let table = TableIdent::new(namespace.clone(), creation.name.clone());
        let entry = Entry::Table(table.clone());
        let operation = format!("create {entry}");
        check_schema_readable(&creation.schema)
            .map_err(|error| self.rejected(operation.clone(), error.to_string()))?;
        let path = self.path(self.paths.tables(namespace), &operation)?;
        let body = CreateTable::from(creation);
        let answer = self.write(Method::POST, &path, None, &body, &operation).await?;
        match answer.and_then(|answer| self.loaded(&table, &answer)) {
            Ok(table) => Ok(table),
            Err(failure) if failure.is_taken() => Err(self.already_exists(entry)),
            Err(failure) if failure.is_absence() => Err(self.not_found(Entry::Namespace(namespace.clone()))),
            Err(failure) => Err(self.failed(failure, operation)),
        }
    }

    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome {
        self.commit_to(base, &change).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError> {
        let entry = Entry::Table(table.clone());
        let operation = format!("drop {entry}");
        let path = self.path(self.paths.table(table), &operation)?;
        let asked = Asked {
            method: Method::DELETE,
            url: self.connection.url(&path, Some("purgeRequested=false")),
            headers: HeaderMap::new(),
            body: None,
        };
        match self.connection.send(&asked).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_absence() => Err(self.not_found(entry)),
            Err(failure) => Err(self.failed(failure, operation)),
        }
    }
}

impl RestClient {
    /// The table as it is now, which is not sent where it still is the version that is `known`. Then nothing comes with it
    /// of how its files are reached.
    pub(super) async fn load_since(
        &self,
        table: &TableIdent,
        known: Option<Version>,
    ) -> Result<LoadedTable, CatalogError> {
        let entry = Entry::Table(table.clone());
        let operation = format!("load {entry}");
        let path = self.path(self.paths.table(table), &operation)?;
        let etag = known.as_ref().map(|version| &version.etag);
        let answer = self.connection.read_since(&path, etag).await;
        match (answer.and_then(|answer| self.loaded(table, &answer)), known) {
            (Ok(table), _) => Ok(table),
            (Err(failure), Some(version)) if failure.is_unchanged() => Ok(version.table),
            (Err(failure), _) if failure.is_absence() => Err(self.not_found(entry)),
            (Err(failure), _) => Err(self.failed(failure, operation)),
        }
    }

    /// The namespaces right below another one, or below none.
    async fn namespaces_in(
        &self,
        parent: Option<&NamespaceIdent>,
    ) -> Result<Vec<NamespaceIdent>, CatalogError> {
        let operation = "list namespaces".to_owned();
        let path = self.paths.namespaces();
        let parent = match parent {
            Some(parent) => {
                let levels = self.path(self.paths.levels(parent), &operation)?;
                format!("parent={levels}&")
            }
            None => String::new(),
        };
        let mut found = Vec::new();
        let mut page = String::new();
        loop {
            let query = format!("{parent}pageToken={}", value(&page));
            let answer = self.connection.read(&path, Some(&query)).await;
            let namespaces: Namespaces = match answer.and_then(|answer| answer.json()) {
                Ok(namespaces) => namespaces,
                // It has gone meanwhile, or none here has others in it.
                Err(failure) if !parent.is_empty() && (failure.is_absence() || failure.is_unsupported()) => {
                    break;
                }
                Err(failure) => return Err(self.failed(failure, operation)),
            };
            for levels in namespaces.namespaces {
                let namespace = NamespaceIdent::from_vec(levels)
                    .map_err(|error| self.rejected(operation.clone(), error.to_string()))?;
                found.push(namespace);
            }
            match next(namespaces.next_page_token, &page, found.len()) {
                Some(token) => page = token,
                None => break,
            }
        }
        Ok(found)
    }

    /// Sends a body. The outer error is one of the request itself.
    pub(super) async fn write(
        &self,
        method: Method,
        path: &str,
        query: Option<&str>,
        body: &(impl Serialize + Sync),
        operation: &str,
    ) -> Result<Result<Answer, Failure>, CatalogError> {
        let body: Bytes = json(body).map_err(|words| self.rejected(operation.to_owned(), words))?;
        let asked = Asked {
            method,
            url: self.connection.url(path, query),
            headers: HeaderMap::new(),
            body: Some(body),
        };
        Ok(self.connection.send(&asked).await)
    }

    /// The table of an answer, which is kept as the version that was seen last. What else the answer says, of how the
    /// table's files are reached, is noted.
    pub(super) fn loaded(&self, table: &TableIdent, answer: &Answer) -> Result<LoadedTable, Failure> {
        let body: LoadedBody = answer.json()?;
        let metadata_location = body.metadata_location.ok_or_else(|| {
            let words = "its answer names no metadata file, as if the table were only staged";
            Failure::Unanswered(words.to_owned())
        })?;
        let said = Said {
            config: body.config.unwrap_or_default(),
            credentials: body.storage_credentials.unwrap_or_default(),
            signing: Arc::new(body.remote_signing_config.unwrap_or_default()),
        };
        self.grants.note(table, body.metadata.location(), said);
        let table = LoadedTable {
            ident: table.clone(),
            metadata_location,
            metadata: Arc::new(body.metadata),
        };
        if let Some(etag) = answer.headers.get(ETAG) {
            self.versions.keep(Version {
                etag: etag.clone(),
                table: table.clone(),
                bytes: answer.body.len(),
            });
        }
        Ok(table)
    }

    pub(super) fn path(&self, path: Result<String, String>, operation: &str) -> Result<String, CatalogError> {
        path.map_err(|words| self.rejected(operation.to_owned(), words))
    }

    pub(super) fn failed(&self, failure: Failure, operation: String) -> CatalogError {
        failure.of(&self.name, self.connection.uri(), operation)
    }

    pub(super) fn rejected(&self, operation: String, reason: String) -> CatalogError {
        CatalogError::Rejected {
            catalog: self.name.clone(),
            operation,
            reason,
        }
    }

    fn not_found(&self, entry: Entry) -> CatalogError {
        CatalogError::NotFound {
            catalog: self.name.clone(),
            entry,
        }
    }

    fn already_exists(&self, entry: Entry) -> CatalogError {
        CatalogError::AlreadyExists {
            catalog: self.name.clone(),
            entry,
        }
    }
}

/// The page to ask for next.
fn next(token: Option<String>, page: &str, found: usize) -> Option<String> {
    token.filter(|token| !token.is_empty() && token != page && found < MOST_NAMES)
}
