//! Worlds in which one promise is broken on purpose: the simulation has to notice, or it proves nothing.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use iceberg::spec::{ManifestList, ManifestListWriter, Snapshot};
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableUpdate};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use tabletopic_catalog::{Catalog, CatalogError, CommitOutcome, LoadedTable, TableChange};
use tabletopic_table::Lake;

use crate::replay::replay;
use crate::world::Nature;

/// Schedules among which one has to fail.
const SCHEDULES: u64 = 400;

fn is_caught(nature: &dyn Nature, as_what: &str) {
    let mut reasons = Vec::new();
    for seed in 0..SCHEDULES {
        let Err(failure) = replay(seed, nature) else {
            continue;
        };
        if failure.reason.contains(as_what) {
            return;
        }
        reasons.push(failure.reason);
    }
    panic!("{SCHEDULES} schedules of {nature:?} do not show `{as_what}`, but {reasons:#?}");
}

#[test]
fn a_commit_that_is_rebased_past_its_guard_is_caught() {
    is_caught(&Rebases, "is there 2 times");
}

#[test]
fn a_catalog_that_forgets_a_commit_which_it_applied_is_caught() {
    is_caught(&Forgets, "the snapshot is not in the table");
}

#[test]
fn a_store_that_loses_files_is_caught() {
    is_caught(&Loses, "not found");
}

/// Commits that lost the race are put on top of the winner, as a generic "transaction" does.
#[derive(Debug)]
struct Rebases;

/// One commit in twenty is answered and not made.
#[derive(Debug)]
struct Forgets;

/// One data file in twenty is acknowledged and not kept.
#[derive(Debug)]
struct Loses;

impl Nature for Rebases {
    fn catalog(&self, catalog: Arc<dyn Catalog>, lake: &Lake) -> Arc<dyn Catalog> {
        Arc::new(Broken {
            catalog,
            lake: lake.clone(),
            how: How::Rebase,
        })
    }
}

impl Nature for Forgets {
    fn catalog(&self, catalog: Arc<dyn Catalog>, lake: &Lake) -> Arc<dyn Catalog> {
        Arc::new(Broken {
            catalog,
            lake: lake.clone(),
            how: How::Forget,
        })
    }
}

impl Nature for Loses {
    fn store(&self, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(LosingStore(store))
    }
}

#[derive(Debug, Clone, Copy)]
enum How {
    Rebase,
    Forget,
}

#[derive(Debug)]
struct Broken {
    catalog: Arc<dyn Catalog>,
    lake: Lake,
    how: How,
}

impl Broken {
    /// The change on top of what the table is now.
    async fn rebased(&self, now: &LoadedTable, mut change: TableChange) -> Option<TableChange> {
        let mut rebased = false;
        for update in &mut change.updates {
            match update {
                TableUpdate::AddSnapshot { snapshot } => {
                    *snapshot = self.moved(now, snapshot).await;
                    rebased = true;
                }
                TableUpdate::SetSnapshotRef { .. } => {}
                _ => return None,
            }
        }
        change.requirements.clear();
        rebased.then_some(change)
    }

    async fn moved(&self, now: &LoadedTable, snapshot: &Snapshot) -> Snapshot {
        let (metadata, file_io) = (&now.metadata, &self.lake.file_io);
        let list = async |path: &str| {
            let bytes = file_io
                .new_input(path)
                .expect("a path")
                .read()
                .await
                .expect("a manifest list");
            ManifestList::parse_with_version(&bytes, metadata.format_version()).expect("a manifest list")
        };
        let mut manifests = Vec::new();
        for manifest in list(snapshot.manifest_list()).await.consume_entries() {
            if manifest.added_snapshot_id == snapshot.snapshot_id() {
                manifests.push(manifest);
            }
        }
        let head = metadata.current_snapshot();
        if let Some(head) = head {
            manifests.extend(list(head.manifest_list()).await.consume_entries());
        }
        let sequence_number = metadata.last_sequence_number() + 1;
        let parent = head.map(|head| head.snapshot_id());
        let path = format!(
            "{}/metadata/rebased-{}.avro",
            metadata.location(),
            self.lake.entropy.uuid()
        );
        let file = file_io
            .new_output(&path)
            .expect("a path")
            .writer()
            .await
            .expect("memory takes all");
        let mut writer = ManifestListWriter::v2(file, snapshot.snapshot_id(), parent, sequence_number);
        writer.add_manifests(manifests.into_iter()).expect("manifests");
        writer.close().await.expect("memory takes all");
        // The totals would give it away before its rows do.
        let mut summary = snapshot.summary().clone();
        summary
            .additional_properties
            .retain(|key, _| !key.starts_with("total-"));
        Snapshot::builder()
            .with_snapshot_id(snapshot.snapshot_id())
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence_number)
            .with_timestamp_ms(snapshot.timestamp_ms().max(metadata.last_updated_ms() + 1))
            .with_manifest_list(path)
            .with_summary(summary)
            .with_schema_id(metadata.current_schema_id())
            .build()
    }
}

#[async_trait]
impl Catalog for Broken {
    fn name(&self) -> &str {
        self.catalog.name()
    }

    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.catalog.create_namespace(namespace).await
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>, CatalogError> {
        self.catalog.list_namespaces().await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        self.catalog.list_tables(namespace).await
    }

    async fn load(&self, table: &TableIdent) -> Result<LoadedTable, CatalogError> {
        self.catalog.load(table).await
    }

    async fn create(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        self.catalog.create(namespace, creation).await
    }

    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome {
        match self.how {
            How::Forget if self.lake.entropy.next_u64().is_multiple_of(20) => {
                CommitOutcome::Applied(base.clone())
            }
            How::Forget => self.catalog.commit(base, change).await,
            How::Rebase => match self.catalog.commit(base, change.clone()).await {
                CommitOutcome::Conflict(words) => {
                    let Ok(now) = self.catalog.load(&base.ident).await else {
                        return CommitOutcome::Conflict(words);
                    };
                    match self.rebased(&now, change).await {
                        Some(change) => self.catalog.commit(&now, change).await,
                        None => CommitOutcome::Conflict(words),
                    }
                }
                outcome => outcome,
            },
        }
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError> {
        self.catalog.drop_table(table).await
    }
}

#[derive(Debug)]
struct LosingStore(Arc<dyn ObjectStore>);

impl fmt::Display for LosingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LosingStore({})", self.0)
    }
}

#[async_trait]
impl ObjectStore for LosingStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        // By its name, which the seed made.
        let unlucky = location
            .as_ref()
            .bytes()
            .map(u32::from)
            .sum::<u32>()
            .is_multiple_of(20);
        if unlucky && location.as_ref().ends_with(".parquet") {
            return Ok(PutResult {
                e_tag: None,
                version: None,
            });
        }
        self.0.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
