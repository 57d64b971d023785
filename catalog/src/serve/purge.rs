//! A table dropped with its files.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};
use iceberg::TableIdent;
use iceberg::spec::{ManifestFile, ManifestList, TableMetadata};

use super::RestCatalog;
use super::error::Refusal;

/// Files that are read or deleted at once.
const AT_ONCE: usize = 8;

/// Table property: the files belong to this table alone.
const GC_ENABLED: &str = "gc.enabled";

impl RestCatalog {
    /// Drops the table, and then deletes what its metadata leads to. The files are looked for first, so that nothing is
    /// dropped whose files cannot be told.
    pub(super) async fn purge(&self, table: &TableIdent) -> Result<(), Refusal> {
        let loaded = self.catalog.load(table).await?;
        let owned = loaded.metadata.properties().get(GC_ENABLED);
        if owned.is_some_and(|value| value.eq_ignore_ascii_case("false")) {
            return Err(Refusal::bad_request(format!(
                "Cannot purge table {table}: its property {GC_ENABLED} is false, so that others may use its files; drop it \
                 without purging it"
            )));
        }
        let mut files = self.files(&loaded.metadata).await.map_err(|error| {
            Refusal::bad_request(format!(
                "Cannot purge table {table}, because its files cannot be told: {error}; drop it without purging it"
            ))
        })?;
        files.insert(loaded.metadata_location.clone());
        self.catalog.drop_table(table).await?;
        self.delete(table, files).await;
        Ok(())
    }

    /// Everything that the metadata leads to, but for the metadata file itself.
    async fn files(&self, metadata: &TableMetadata) -> iceberg::Result<BTreeSet<String>> {
        let mut files = BTreeSet::new();
        let log = metadata.metadata_log().iter();
        files.extend(log.map(|entry| entry.metadata_file.clone()));
        let statistics = metadata.statistics_iter();
        files.extend(statistics.map(|file| file.statistics_path.clone()));
        let statistics = metadata.partition_statistics_iter();
        files.extend(statistics.map(|file| file.statistics_path.clone()));

        let lists: Vec<String> = metadata
            .snapshots()
            .map(|one| one.manifest_list().to_owned())
            .collect();
        let mut manifests = BTreeMap::new();
        for some in lists.chunks(AT_ONCE) {
            let read = try_join_all(some.iter().map(|list| self.manifests(list, metadata))).await?;
            let read = read.into_iter().flatten();
            manifests.extend(read.map(|one| (one.manifest_path.clone(), one)));
        }
        files.extend(lists);
        let paths: Vec<String> = manifests.keys().cloned().collect();
        let manifests: Vec<ManifestFile> = manifests.into_values().collect();
        for some in manifests.chunks(AT_ONCE) {
            let read = try_join_all(some.iter().map(|one| self.data_files(one))).await?;
            files.extend(read.into_iter().flatten());
        }
        files.extend(paths);
        Ok(files)
    }

    async fn manifests(&self, list: &str, metadata: &TableMetadata) -> iceberg::Result<Vec<ManifestFile>> {
        let bytes = self.file_io.new_input(list)?.read().await?;
        let list = ManifestList::parse_with_version(&bytes, metadata.format_version())?;
        Ok(list.entries().to_vec())
    }

    async fn data_files(&self, manifest: &ManifestFile) -> iceberg::Result<Vec<String>> {
        let manifest = manifest.load_manifest(&self.file_io).await?;
        let entries = manifest.entries().iter();
        Ok(entries.map(|entry| entry.file_path().to_owned()).collect())
    }

    /// The table is gone already, so that what cannot be deleted is only told.
    async fn delete(&self, table: &TableIdent, files: BTreeSet<String>) {
        let (ours, others): (Vec<String>, Vec<String>) =
            files.into_iter().partition(|file| self.places.hold(file));
        if !others.is_empty() {
            tracing::warn!(%table, files = others.len(), first = others[0], "files outside of the warehouse stay");
        }
        let mut deleted = 0;
        for some in ours.chunks(AT_ONCE) {
            let done = join_all(some.iter().map(|file| self.file_io.delete(file))).await;
            for (file, done) in some.iter().zip(done) {
                match done {
                    Ok(()) => deleted += 1,
                    Err(error) => {
                        tracing::warn!(%table, file, %error, "a file of a purged table could not be deleted");
                    }
                }
            }
        }
        tracing::info!(%table, files = deleted, "purged");
    }
}
