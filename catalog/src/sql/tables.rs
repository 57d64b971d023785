//! The catalog proper: metadata files and the pointer to the current one.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::{MetadataLog, TableMetadata};
use iceberg::{ErrorKind, NamespaceIdent, TableCreation, TableIdent};
use tracing::warn;

use super::SqlCatalog;
use super::backend::Backend;
use super::rows::Move;
use crate::location::metadata_file;
use crate::serve::NO_FILE;
use crate::{Catalog, CatalogError, CommitOutcome, Entry, LoadedTable, ServedCatalog, TableChange};
use crate::{change, unknown_types};

/// Table property: whether metadata files that leave the metadata log are deleted.
const DELETE_AFTER_COMMIT: &str = "write.metadata.delete-after-commit.enabled";

/// A table as it will be once its entry points there, and the metadata files that leave its log then.
pub(super) type Written = (LoadedTable, Vec<MetadataLog>);

#[async_trait]
impl<B: Backend> Catalog for SqlCatalog<B> {
    fn name(&self) -> &str {
        &self.rows.catalog
    }

    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.create_namespace_with(namespace, BTreeMap::new()).await
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>, CatalogError> {
        Ok(self.rows.namespaces().await?.into_iter().collect())
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        self.require_namespace(namespace).await?;
        self.rows.tables(namespace).await
    }

    async fn load(&self, table: &TableIdent) -> Result<LoadedTable, CatalogError> {
        let mut location = self.require_location(table).await?;
        loop {
            match TableMetadata::read_from(&self.file_io, &location).await {
                Ok(metadata) => {
                    let metadata = Arc::new(metadata);
                    return Ok(LoadedTable {
                        ident: table.clone(),
                        metadata_location: location,
                        metadata,
                    });
                }
                Err(error) => {
                    // A file that left the metadata log between the two reads is not a loss.
                    let now = self.require_location(table).await?;
                    if now == location {
                        return Err(self.unreadable(table, location, error).await);
                    }
                    location = now;
                }
            }
        }
    }

    async fn metadata_location(&self, table: &TableIdent) -> Result<String, CatalogError> {
        self.require_location(table).await
    }

    async fn create(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        let ident = TableIdent::new(namespace.clone(), creation.name.clone());
        let metadata = self.stage(namespace, creation).await?;
        let location = self.write_first(&ident, &metadata).await?;
        let metadata_location = location.to_string();
        if !self.rows.insert_table(&ident, &metadata_location).await? {
            return Err(self.already_exists(Entry::Table(ident)));
        }
        Ok(LoadedTable {
            ident,
            metadata_location,
            metadata: Arc::new(metadata),
        })
    }

    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome {
        let entry = Entry::Table(base.ident.clone());
        // Before anything is written; the swap asks again.
        match self.rows.location(&base.ident).await {
            Ok(Some(location)) if location == base.metadata_location => {}
            Ok(Some(location)) => {
                let then = &base.metadata_location;
                return CommitOutcome::Conflict(format!("{entry} is at {location} now, no longer at {then}"));
            }
            Ok(None) => return CommitOutcome::Conflict(format!("{entry} does not exist any more")),
            Err(error) => return not_applied(error),
        }
        let (table, expired) = match self.write_next(base, change).await {
            Ok(written) => written,
            Err(outcome) => return outcome,
        };
        match self
            .rows
            .swap(&base.ident, &base.metadata_location, &table.metadata_location)
            .await
        {
            Move::Done => {}
            Move::Moved => {
                let then = &base.metadata_location;
                return CommitOutcome::Conflict(format!("{entry} left {then} while this commit was written"));
            }
            Move::NotSent(error) => return not_applied(error),
            Move::Unanswered(words) => return CommitOutcome::Unknown(format!("COMMIT for {entry}: {words}")),
        }
        self.delete_expired(&entry, &table.metadata, &expired).await;
        CommitOutcome::Applied(table)
    }

    async fn may_write(&self) -> Result<(), CatalogError> {
        self.rows.backend.may_write(self.name()).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError> {
        if self.rows.delete_table(table).await? {
            Ok(())
        } else {
            Err(self.not_found(Entry::Table(table.clone())))
        }
    }
}

impl<B: Backend> SqlCatalog<B> {
    pub(super) async fn require_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        if self.rows.namespaces().await?.contains(namespace) {
            Ok(())
        } else {
            Err(self.not_found(Entry::Namespace(namespace.clone())))
        }
    }

    pub(super) async fn require_location(&self, table: &TableIdent) -> Result<String, CatalogError> {
        let location = self.rows.location(table).await?;
        location.ok_or_else(|| self.not_found(Entry::Table(table.clone())))
    }

    /// What it means that the current metadata file cannot be read.
    pub(super) async fn unreadable(
        &self,
        table: &TableIdent,
        location: String,
        error: iceberg::Error,
    ) -> CatalogError {
        let entry = Entry::Table(table.clone());
        let catalog = self.name().to_owned();
        let columns = self.unknown_types(&location, &error).await;
        if !columns.is_empty() {
            return CatalogError::Rejected {
                catalog,
                operation: format!("load {entry}"),
                reason: format!(
                    "it has columns of types that are not known here: {}; use an engine that knows them",
                    columns.join(", ")
                ),
            };
        }
        match self.file_io.exists(&location).await {
            Ok(false) => CatalogError::Corrupt {
                catalog,
                entry,
                location,
                reason: NO_FILE.to_owned(),
            },
            Ok(true) if error.kind() == ErrorKind::DataInvalid => CatalogError::Corrupt {
                catalog,
                entry,
                location,
                reason: error.to_string(),
            },
            _ => CatalogError::Unavailable {
                catalog,
                operation: format!("load {entry}"),
                reason: format!("its metadata file {location} cannot be read: {error}"),
                check: location,
                source: Some(error.into()),
            },
        }
    }

    /// Columns because of which a metadata file may have been invalid.
    async fn unknown_types(&self, location: &str, error: &iceberg::Error) -> Vec<String> {
        if error.kind() != ErrorKind::DataInvalid {
            return Vec::new();
        }
        let read = match self.file_io.new_input(location) {
            Ok(file) => file.read().await,
            Err(error) => Err(error),
        };
        // That it can't be read is said by who asks for it.
        read.map_or_else(|_| Vec::new(), |metadata| unknown_types::of(&metadata))
    }

    /// Writes the metadata file of what `change` makes of `base`, and answers the table as it will be then.
    pub(super) async fn write_next<T>(
        &self,
        base: &LoadedTable,
        change: TableChange,
    ) -> Result<Written, CommitOutcome<T>> {
        let built = change::apply(base, change, self.clock.now())?;
        let location = metadata_file(
            &built.metadata,
            Some(&base.metadata_location),
            self.entropy.uuid(),
        )
        .map_err(|error| CommitOutcome::Rejected(error.to_string()))?;
        if let Err(error) = built.metadata.write_to(&self.file_io, &location).await {
            let entry = Entry::Table(base.ident.clone());
            return Err(CommitOutcome::Unavailable(format!(
                "metadata file {location} of {entry} cannot be written: {error}"
            )));
        }
        let table = LoadedTable {
            ident: base.ident.clone(),
            metadata_location: location.to_string(),
            metadata: Arc::new(built.metadata),
        };
        Ok((table, built.expired_metadata_logs))
    }

    /// Deletes the metadata files that left the log, if the table wants it. Only tidies up: the commit is applied
    /// whatever happens here, so that a failure is logged. The orphan removal finds what stays behind.
    pub(super) async fn delete_expired(
        &self,
        entry: &Entry,
        metadata: &TableMetadata,
        expired: &[MetadataLog],
    ) {
        let wanted = metadata.properties().get(DELETE_AFTER_COMMIT);
        if !wanted.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return;
        }
        for log in expired {
            if let Err(error) = self.file_io.delete(&log.metadata_file).await {
                warn!(table = %entry, file = log.metadata_file, %error, "an old metadata file could not be deleted");
            }
        }
    }

    pub(super) fn not_found(&self, entry: Entry) -> CatalogError {
        CatalogError::NotFound {
            catalog: self.name().to_owned(),
            entry,
        }
    }

    pub(super) fn already_exists(&self, entry: Entry) -> CatalogError {
        CatalogError::AlreadyExists {
            catalog: self.name().to_owned(),
            entry,
        }
    }
}

/// The outcome of a commit that failed before `COMMIT` was sent: a proof that it did not happen.
pub(super) fn not_applied<T>(error: CatalogError) -> CommitOutcome<T> {
    match error {
        CatalogError::Unavailable { .. } => CommitOutcome::Unavailable(error.to_string()),
        permanent => CommitOutcome::Rejected(permanent.to_string()),
    }
}
