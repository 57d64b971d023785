//! Many commits to one table: its history is expired, its manifests are merged, and nothing that it needs is gone.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test: a failure is a panic with its reason"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::TryStreamExt;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Literal, Manifest, NestedField,
    PrimitiveType, Schema, SchemaRef, SnapshotReference, SnapshotRetention, Struct, Type,
};
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableUpdate};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tabletopic_catalog::{Catalog, CatalogError, CommitOutcome, LoadedTable, MemoryCatalog, TableChange};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_offsets::{
    Counts, Follower, FollowerPosition, Generation, JobId, OffsetRange, RecordAt, TableState, TopicIdentity,
    UnitRange,
};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Anchor, Append, Base, ChangeSchema, Dropped, Fate, LogWaiting, Unit, commit};
use tabletopic_table::follower::create;
use tabletopic_table::follower::drain::drain;
use tabletopic_table::follower::ident;
use tabletopic_table::partition::parse_partition_by;
use tabletopic_table::schema::SchemaChange;
use tabletopic_table::snapshot::live;
use tabletopic_table::storage::{RequestCounts, RequestKind, file_io};

const COMMITS: i64 = 120;

/// A table in memory, with its files and its followers.
struct Kept {
    lake: Lake,
    store: Arc<InMemory>,
    requests: Arc<RequestCounts>,
    schema: SchemaRef,
    followers: Vec<(Follower, FollowerPosition)>,
    next: i64,
}

impl Kept {
    async fn new(properties: &[(&str, &str)]) -> Self {
        let store = Arc::new(InMemory::new());
        let requests = Arc::new(RequestCounts::default());
        let catalog = MemoryCatalog::new(
            "memory",
            "memory:///lake",
            Arc::new(SystemClock),
            Arc::new(OsEntropy),
        );
        let lake = Lake {
            catalog: Arc::new(catalog),
            file_io: file_io(store.clone(), "memory:///", requests.clone()),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            actor: "test".into(),
        };
        let field = |id, name: &str, ty| Arc::new(NestedField::optional(id, name, Type::Primitive(ty)));
        let schema = Schema::builder().with_fields([
            field(1, "_kafka_offset", PrimitiveType::Long),
            field(2, "shelf", PrimitiveType::Int),
        ]);
        let schema = schema.build().unwrap();
        let spec = parse_partition_by(&["shelf"], &schema).unwrap();
        let made = create::table(&lake, &table(), schema, Some(spec)).await.unwrap();
        create::followers(&lake, &table()).await.unwrap();
        set(&lake, &made, properties).await;
        for follower in [Follower::DeadLetters, Follower::Ledger] {
            let made = lake.catalog.load(&ident(&table(), follower)).await.unwrap();
            set(&lake, &made, properties).await;
        }
        let mut anchor = Anchor {
            lake: &lake,
            job: &job(),
            identity: &topic(),
            starts: &[(0, 0)].into(),
        };
        commit(&lake, &table(), &mut anchor, &LogWaiting).await.unwrap();
        Self {
            lake,
            store,
            requests,
            schema: made.metadata.current_schema().clone(),
            followers: Vec::new(),
            next: 0,
        }
    }

    /// One snapshot with one file, then the followers. Answers the requests to write that the snapshot took.
    async fn commit(&mut self) -> u64 {
        let puts = || self.requests.of(RequestKind::Put).requests;
        let before = puts();
        let (main, fate) = self.append(self.next).await;
        assert!(matches!(fate, Fate::Committed), "{fate:?}");
        let puts = puts() - before;
        self.next += 1;
        self.drain(&main).await;
        puts
    }

    /// Commits a unit of one offset with one file.
    async fn append(&self, offset: i64) -> (Base<TableState>, Fate) {
        let range = OffsetRange::new(offset, offset + 1);
        let units = [Unit {
            created: self.lake.clock.now(),
            schema: self.schema.clone(),
            spec_id: 0,
            files: vec![data_file(&self.schema, offset)],
            dead_letters: None,
            ranges: vec![UnitRange {
                job: job(),
                partition: 0,
                identity: topic(),
                generation: Generation::default(),
                range,
                leader_epoch: None,
                counts: Counts::of_rows(1, range.offset_sum()),
            }],
        }];
        let mut append = Append::new(&self.lake, &units, &self.followers);
        let main = commit(&self.lake, &table(), &mut append, &LogWaiting)
            .await
            .unwrap()
            .base;
        (main, append.into_fates().pop().unwrap())
    }

    async fn drain(&mut self, main: &Base<TableState>) {
        self.followers.clear();
        for follower in [Follower::DeadLetters, Follower::Ledger] {
            let position = drain(&self.lake, main, follower, &LogWaiting).await.unwrap();
            self.followers.push((follower, position.unwrap()));
        }
    }

    async fn load(&self) -> LoadedTable {
        self.lake.catalog.load(&table()).await.unwrap()
    }

    /// Manifest lists and manifests of a table that are in the store, and those that its snapshots lead to.
    async fn metadata_files(&self, table: &LoadedTable) -> (BTreeSet<String>, BTreeSet<String>) {
        let location = table.metadata.location();
        let folder = format!("{}/metadata", location.trim_start_matches("memory:///"));
        let stored: Vec<_> = self
            .store
            .list(Some(&folder.as_str().into()))
            .try_collect()
            .await
            .unwrap();
        let stored = stored
            .iter()
            .map(|file| format!("memory:///{}", file.location))
            .collect();
        let mut reached = BTreeSet::new();
        for snapshot in table.metadata.snapshots() {
            reached.insert(snapshot.manifest_list().to_owned());
            let manifests = live::manifests(&self.lake, &table.metadata, snapshot)
                .await
                .unwrap();
            reached.extend(manifests.into_iter().map(|manifest| manifest.manifest_path));
        }
        (stored, reached)
    }
}

fn table() -> TableIdent {
    TableIdent::from_strs(["shop", "orders"]).unwrap()
}

fn job() -> JobId {
    JobId::new("orders")
}

fn topic() -> TopicIdentity {
    TopicIdentity {
        cluster_id: None,
        topic: "orders".into(),
        topic_id: None,
    }
}

async fn set(lake: &Lake, table: &LoadedTable, properties: &[(&str, &str)]) {
    let pairs = properties
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let update = TableUpdate::SetProperties {
        updates: pairs.collect(),
    };
    change(lake, table, update).await;
}

async fn change(lake: &Lake, table: &LoadedTable, update: TableUpdate) {
    let change = TableChange {
        requirements: Vec::new(),
        updates: vec![update],
    };
    assert!(matches!(
        lake.catalog.commit(table, change).await,
        CommitOutcome::Applied(_)
    ));
}

/// What a manifest says of a file with this one offset. There is no such file: commits do not look.
fn data_file(schema: &Schema, offset: i64) -> DataFile {
    let number = offset % 7;
    let is_long = schema.field_by_id(2).unwrap().field_type.to_string() == "long";
    let (shelf, bound) = match is_long {
        true => (Literal::long(number), Datum::long(number)),
        false => (Literal::int(number as i32), Datum::int(number as i32)),
    };
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(format!("memory:///lake/shop/orders/data/{offset}.parquet"))
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::from_iter([Some(shelf)]))
        .partition_spec_id(0)
        .record_count(1)
        .file_size_in_bytes(100 + offset as u64)
        .column_sizes([(1, 40), (2, 41)].into())
        .value_counts([(1, 1), (2, 1)].into())
        .null_value_counts([(1, 0), (2, 0)].into())
        .lower_bounds([(1, Datum::long(offset)), (2, bound.clone())].into())
        .upper_bounds([(1, Datum::long(offset)), (2, bound)].into())
        .split_offsets(Some(vec![4]))
        .build()
        .unwrap()
}

const SMALL: &[(&str, &str)] = &[
    ("commit.manifest.min-count-to-merge", "3"),
    ("tabletopic.expire.max-snapshots", "16"),
];

#[tokio::test]
async fn every_file_is_live_just_as_it_was_committed() {
    let mut kept = Kept::new(SMALL).await;
    let mut committed = BTreeMap::new();
    for offset in 0..COMMITS {
        assert_eq!(
            kept.commit().await,
            2,
            "a manifest and a list (no metadata file: the catalog is in memory)"
        );
        let now = kept.load().await;
        let head = now.metadata.current_snapshot().unwrap();
        committed.insert(offset, (head.snapshot_id(), head.sequence_number()));
    }
    let now = kept.load().await;
    let head = now.metadata.current_snapshot().unwrap();
    let manifests = live::manifests(&kept.lake, &now.metadata, head).await.unwrap();
    assert!(
        manifests.len() <= 2 * 5,
        "two of each tier, and not {}",
        manifests.len()
    );
    let mut found = BTreeMap::new();
    for manifest in &manifests {
        let loaded: Manifest = manifest.load_manifest(&kept.lake.file_io).await.unwrap();
        let counts = (
            manifest.added_files_count.unwrap(),
            manifest.existing_files_count.unwrap(),
        );
        assert_eq!((counts.0 + counts.1) as usize, loaded.entries().len());
        for entry in loaded.entries() {
            let offset = entry.file_size_in_bytes() as i64 - 100;
            let (snapshot_id, sequence_number) = committed[&offset];
            assert_eq!(entry.data_file(), &data_file(&kept.schema, offset));
            assert_eq!(entry.snapshot_id(), Some(snapshot_id), "offset {offset}");
            assert_eq!(entry.sequence_number(), Some(sequence_number), "offset {offset}");
            assert_eq!(
                entry.file_sequence_number,
                Some(sequence_number),
                "offset {offset}"
            );
            assert!(manifest.min_sequence_number <= sequence_number);
            assert!(
                found.insert(offset, ()).is_none(),
                "offset {offset} is there twice"
            );
        }
    }
    assert_eq!(found.len() as i64, COMMITS);
    assert!(now.metadata.snapshots().len() <= 16);
}

/// Their partition values are of another type than those of today, so they stay as they are.
#[tokio::test]
async fn manifests_from_before_a_promotion_keep_no_others_from_being_merged() {
    let mut kept = Kept::new(SMALL).await;
    for _ in 0..5 {
        kept.commit().await;
    }
    let mut widen = ChangeSchema {
        lake: &kept.lake,
        made_for: kept.schema.schema_id(),
        changes: &[SchemaChange::Widen {
            path: vec!["shelf".to_owned()],
            to: PrimitiveType::Long,
        }],
        cause: RecordAt {
            job: JobId::new("orders"),
            topic: "orders".into(),
            topic_id: None,
            partition: 0,
            offset: 5,
        },
    };
    let widened = commit(&kept.lake, &table(), &mut widen, &LogWaiting)
        .await
        .unwrap();
    kept.schema = widened.base.metadata().current_schema().clone();
    for _ in 0..COMMITS {
        kept.commit().await;
    }
    let now = kept.load().await;
    let head = now.metadata.current_snapshot().unwrap();
    let manifests = live::manifests(&kept.lake, &now.metadata, head).await.unwrap();
    assert!(manifests.len() <= 2 * 5 + 5, "{}", manifests.len());
    let mut files = 0;
    for manifest in &manifests {
        files += live::files(&kept.lake, manifest).await.unwrap().len() as i64;
    }
    assert_eq!(files, 5 + COMMITS);
}

#[tokio::test]
async fn files_of_expired_snapshots_are_gone_and_no_other() {
    let mut kept = Kept::new(SMALL).await;
    for _ in 0..COMMITS {
        kept.commit().await;
    }
    let (stored, reached) = kept.metadata_files(&kept.load().await).await;
    assert_eq!(stored, reached);
    for follower in [Follower::DeadLetters, Follower::Ledger] {
        let follower = kept.lake.catalog.load(&ident(&table(), follower)).await.unwrap();
        assert!(follower.metadata.snapshots().len() <= 16);
        let (stored, reached) = kept.metadata_files(&follower).await;
        assert_eq!(stored, reached, "{}", follower.ident);
    }
}

#[tokio::test]
async fn what_somebodys_tag_and_branch_need_stays() {
    let mut kept = Kept::new(SMALL).await;
    for _ in 0..10 {
        kept.commit().await;
    }
    let (tagged, branched) = {
        let history: Vec<i64> = kept
            .load()
            .await
            .metadata
            .history()
            .iter()
            .map(|at| at.snapshot_id)
            .collect();
        (history[4], history[8])
    };
    let tag = SnapshotRetention::Tag { max_ref_age_ms: None };
    let branch = SnapshotRetention::branch(None, None, None);
    for (name, snapshot, retention) in [("release", tagged, tag), ("audit", branched, branch)] {
        let update = TableUpdate::SetSnapshotRef {
            ref_name: name.to_owned(),
            reference: SnapshotReference::new(snapshot, retention),
        };
        change(&kept.lake, &kept.load().await, update).await;
    }
    for _ in 0..COMMITS {
        kept.commit().await;
    }
    let now = kept.load().await;
    let (stored, reached) = kept.metadata_files(&now).await;
    assert!(stored.is_superset(&reached), "{:#?}", reached.difference(&stored));
    for name in ["release", "audit"] {
        assert!(now.metadata.snapshot_for_ref(name).is_some(), "{name}");
    }
    assert!(now.metadata.snapshots().len() <= 16 + 9);
}

#[tokio::test]
async fn a_commit_that_slept_while_its_base_was_expired_looks_again() {
    let mut kept = Kept::new(SMALL).await;
    kept.commit().await;
    let old = kept.load().await;
    for _ in 0..COMMITS {
        kept.commit().await;
    }
    let list = old
        .metadata
        .current_snapshot()
        .unwrap()
        .manifest_list()
        .to_owned();
    assert!(!kept.lake.file_io.exists(&list).await.unwrap(), "{list}");

    // As after a long sleep between loading the table and reading its manifest list.
    kept.lake.catalog = Arc::new(Asleep {
        inner: kept.lake.catalog.clone(),
        old: Mutex::new(Some(old)),
    });
    let (main, fate) = kept.append(1).await;
    assert!(
        matches!(fate, Fate::Dropped(Dropped::Fenced(_))),
        "others have committed it: {fate:?}"
    );
    let progress = &main.state().unwrap().partition(&job(), 0).unwrap().progress;
    assert_eq!(progress.live_end(), COMMITS + 1);
}

/// A catalog whose next answer is an old one.
#[derive(Debug)]
struct Asleep {
    inner: Arc<dyn Catalog>,
    old: Mutex<Option<LoadedTable>>,
}

#[async_trait]
impl Catalog for Asleep {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.inner.create_namespace(namespace).await
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>, CatalogError> {
        self.inner.list_namespaces().await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        self.inner.list_tables(namespace).await
    }

    async fn load(&self, table: &TableIdent) -> Result<LoadedTable, CatalogError> {
        let old = self.old.lock().unwrap().take();
        match old {
            Some(old) => Ok(old),
            None => self.inner.load(table).await,
        }
    }

    async fn create(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        self.inner.create(namespace, creation).await
    }

    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome {
        self.inner.commit(base, change).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError> {
        self.inner.drop_table(table).await
    }
}
