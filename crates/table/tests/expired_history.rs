//! Rolled back, and then expired: no snapshot of ours is left in the history of `main`. The ledger tells what was read,
//! and where it does not, nothing is guessed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test: a failure is a panic with its reason"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{
    DataFile, MAIN_BRANCH, NestedField, Operation, PrimitiveType, Schema, SnapshotReference,
    SnapshotRetention, TableMetadataBuilder, Type,
};
use iceberg::{Runtime, TableIdent};
use object_store::memory::InMemory;
use tabletopic_catalog::{CommitOutcome, LoadedTable, MemoryCatalog, TableChange};
use tabletopic_clock::{Clock, Entropy, SeededEntropy, SystemClock};
use tabletopic_offsets::{
    Counts, Follower, JobId, OffsetRange, PendingRange, TableState, TopicIdentity, UnitRange,
};
use tabletopic_table::Lake;
use tabletopic_table::commit::resolve::{LogCut, Rewind, Truncate};
use tabletopic_table::commit::{
    Anchor, Append, Base, CommitError, Committed, DeadLetterFile, Fate, Halt, LogWaiting, Plan, SnapshotAt,
    TAG, Unit, check_standing, commit,
};
use tabletopic_table::follower::drain::drain;
use tabletopic_table::follower::positions::positions;
use tabletopic_table::follower::{create, ident, write};
use tabletopic_table::snapshot::build::{self, FileChange};
use tabletopic_table::snapshot::live::{self, FileId};
use tabletopic_table::storage::{RequestCounts, file_io};

/// A table `shop.orders` that topic `orders` with two partitions feeds.
struct Table(Lake);

/// Offsets of one topic partition, of which the last few are dead letters.
struct Cut {
    partition: i32,
    range: OffsetRange,
    letters: i64,
}

fn read(partition: i32, start: i64, end: i64) -> Cut {
    let range = OffsetRange::new(start, end);
    Cut {
        partition,
        range,
        letters: 0,
    }
}

impl Cut {
    fn with_letters(self, letters: i64) -> Self {
        Self { letters, ..self }
    }

    fn rows(&self) -> OffsetRange {
        OffsetRange::new(self.range.start, self.range.end - self.letters)
    }
}

impl Table {
    async fn new() -> Self {
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
            (Arc::new(SystemClock), Arc::new(SeededEntropy::new(7)));
        let catalog = MemoryCatalog::new("memory", "memory:///warehouse", clock.clone(), entropy.clone());
        let store = Arc::new(InMemory::new());
        let lake = Lake {
            catalog: Arc::new(catalog),
            file_io: file_io(store, "memory:///", Arc::new(RequestCounts::default())),
            clock,
            entropy,
            actor: "operator".into(),
        };
        let field = |id, name: &str, ty| Arc::new(NestedField::optional(id, name, Type::Primitive(ty)));
        let fields = [
            field(1, "_kafka_partition", PrimitiveType::Int),
            field(2, "_kafka_offset", PrimitiveType::Long),
        ];
        let schema = Schema::builder().with_fields(fields).build().unwrap();
        create::table(&lake, &main(), schema, None).await.unwrap();
        create::followers(&lake, &main()).await.unwrap();
        let mut anchor = Anchor {
            lake: &lake,
            job: &job(),
            identity: &topic(),
            starts: &[(0, 0), (1, 0)].into(),
        };
        commit(&lake, &main(), &mut anchor, &LogWaiting).await.unwrap();
        Self(lake)
    }

    async fn load(&self, table: &TableIdent) -> LoadedTable {
        self.0.catalog.load(table).await.unwrap()
    }

    async fn base(&self) -> Base<TableState> {
        Base::read(self.load(&main()).await).unwrap()
    }

    async fn state(&self) -> TableState {
        self.base().await.state().unwrap().clone()
    }

    async fn file(&self, cut: &Cut) -> DataFile {
        let OffsetRange { start, end } = cut.rows();
        let columns: [(&str, ArrayRef); 2] = [
            (
                "_kafka_partition",
                Arc::new(Int32Array::from_iter_values((start..end).map(|_| cut.partition))),
            ),
            (
                "_kafka_offset",
                Arc::new(Int64Array::from_iter_values(start..end)),
            ),
        ];
        self.store(&main(), &columns).await
    }

    async fn letters(&self, cut: &Cut) -> DeadLetterFile {
        let range = OffsetRange::new(cut.rows().end, cut.range.end);
        let offsets = || range.start..range.end;
        let text = |text: &str| Arc::new(StringArray::from_iter_values(offsets().map(|_| text))) as ArrayRef;
        let columns: [(&str, ArrayRef); 7] = [
            ("job", text("orders")),
            ("topic", text("orders")),
            ("topic_id", text("t1")),
            (
                "partition",
                Arc::new(Int32Array::from_iter_values(offsets().map(|_| cut.partition))),
            ),
            ("offset", Arc::new(Int64Array::from_iter_values(offsets()))),
            ("reason", text("wrong_type")),
            ("detail", text("")),
        ];
        DeadLetterFile {
            file: self.store(&ident(&main(), Follower::DeadLetters), &columns).await,
            ranges: vec![PendingRange {
                job: job(),
                partition: cut.partition,
                range,
            }],
            reasons: [("wrong_type", range.len())].into(),
        }
    }

    /// Writes a file with these columns; the others are null.
    async fn store(&self, table: &TableIdent, columns: &[(&str, ArrayRef)]) -> DataFile {
        let metadata = self.load(table).await.metadata;
        let schema = Arc::new(schema_to_arrow_schema(metadata.current_schema()).unwrap());
        let values = schema.fields().iter().map(|field| {
            let known = columns.iter().find(|(name, _)| name == field.name());
            known.map_or_else(
                || new_null_array(field.data_type(), columns[0].1.len()),
                |(_, values)| values.clone(),
            )
        });
        let batch = RecordBatch::try_new(schema.clone(), values.collect()).unwrap();
        write::store(&self.0, &metadata, &batch).await.unwrap()
    }

    /// A snapshot with what was read; its id.
    async fn append(&self, cuts: &[Cut]) -> i64 {
        let base = self.base().await;
        let mut files = Vec::new();
        let mut letters = None;
        for cut in cuts {
            if !cut.rows().is_empty() {
                files.push(self.file(cut).await);
            }
            if cut.letters > 0 {
                letters = Some(self.letters(cut).await);
            }
        }
        let ranges = cuts.iter().map(|cut| UnitRange {
            job: job(),
            partition: cut.partition,
            identity: topic(),
            generation: base.state().unwrap().job(&job()).unwrap().generation,
            range: cut.range,
            leader_epoch: Some(1),
            counts: Counts {
                dead_letters: cut.letters as u64,
                ..Counts::of_rows(cut.rows().len(), cut.rows().offset_sum())
            },
        });
        let units = [Unit {
            created: self.0.clock.now(),
            schema: base.metadata().current_schema().clone(),
            spec_id: 0,
            files,
            dead_letters: letters,
            ranges: ranges.collect(),
        }];
        let followers = positions(&self.0, &main()).await.unwrap();
        let mut plan = Append::new(&self.0, &units, &followers);
        let snapshot = self.commit(&mut plan).await.unwrap().snapshot;
        let fate = plan.into_fates().remove(0);
        assert!(matches!(fate, Fate::Committed), "{fate:?}");
        snapshot.unwrap().snapshot_id()
    }

    async fn commit(&self, plan: &mut dyn Plan<TableState>) -> Result<Committed<TableState>, CommitError> {
        commit(&self.0, &main(), plan, &LogWaiting).await
    }

    async fn rewind(&self) -> Result<Committed<TableState>, CommitError> {
        let mut rewind = Rewind::new(&self.0, "ticket 42".to_owned());
        self.commit(&mut rewind).await
    }

    async fn refused(&self) -> String {
        let location = self.load(&main()).await.metadata_location;
        let words = self.rewind().await.expect_err("it cannot be told").to_string();
        assert_eq!(
            self.load(&main()).await.metadata_location,
            location,
            "nothing was changed"
        );
        words
    }

    async fn drain(&self) {
        let base = self.base().await;
        for follower in [Follower::DeadLetters, Follower::Ledger] {
            drain(&self.0, &base, follower, &LogWaiting).await.unwrap();
        }
    }

    async fn foreign(&self, change: impl FnOnce(TableMetadataBuilder) -> TableMetadataBuilder) {
        let table = self.load(&main()).await;
        let built = change((*table.metadata).clone().into_builder(None))
            .build()
            .unwrap();
        let change = TableChange {
            requirements: Vec::new(),
            updates: built.changes,
        };
        let outcome = self.0.catalog.commit(&table, change).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    }

    async fn set_main(&self, snapshot: i64) {
        let main = SnapshotReference::new(snapshot, SnapshotRetention::branch(None, None, None));
        self.foreign(|table| table.set_ref(MAIN_BRANCH, main).unwrap())
            .await;
    }

    /// Somebody else's snapshot.
    async fn foreign_snapshot(&self, files: FileChange) {
        let metadata = self.load(&main()).await.metadata;
        let at = SnapshotAt {
            sequence_number: metadata.last_sequence_number() + 1,
            snapshot_id: self.0.entropy.snapshot_id(),
            timestamp_ms: self.0.clock.now().max(metadata.last_updated_ms() + 1),
            schema_id: 0,
        };
        let (parent, summary) = (metadata.current_snapshot(), BTreeMap::new());
        let operation = Operation::Overwrite;
        let snapshot = build::build(&self.0, &metadata, parent, at, operation, &files, summary)
            .await
            .unwrap();
        self.foreign(|table| table.set_branch_snapshot(snapshot, MAIN_BRANCH).unwrap())
            .await;
    }

    /// Live files that other snapshots than this one added.
    async fn files_but_of(&self, snapshot: i64) -> BTreeSet<FileId> {
        let base = self.base().await;
        let manifests = live::manifests(&self.0, base.metadata(), base.head().unwrap()).await;
        let mut paths = BTreeSet::new();
        for manifest in manifests.unwrap() {
            let files = live::files(&self.0, &manifest).await.unwrap();
            let others = files.into_iter().filter(|live| live.snapshot_id != snapshot);
            paths.extend(others.map(|live| FileId::of(&live.file)));
        }
        paths
    }

    /// All snapshots go but those that `main` and the tag point at.
    async fn expire(&self) {
        let metadata = self.load(&main()).await.metadata;
        let kept = [MAIN_BRANCH, TAG].map(|name| metadata.snapshot_for_ref(name).unwrap().snapshot_id());
        let ids = metadata.snapshots().map(|snapshot| snapshot.snapshot_id());
        let gone: Vec<i64> = ids.filter(|id| !kept.contains(id)).collect();
        self.foreign(|table| table.remove_snapshots(&gone)).await;
    }

    /// Somebody rolls back, changes something, and expires what there was before.
    async fn roll_back_and_expire(&self, to: i64, files: FileChange) {
        self.set_main(to).await;
        self.foreign_snapshot(files).await;
        self.expire().await;
        let base = self.base().await;
        let halt = check_standing(&self.0, &base)
            .await
            .expect_err("rows are missing");
        assert!(
            matches!(halt, CommitError::Halt(Halt::HistoryExpired { .. })),
            "{halt}"
        );
    }

    /// How often each offset is in a table, as a reader sees it.
    async fn offsets(&self, table: &TableIdent, columns: [&str; 2]) -> BTreeMap<(i32, i64), u32> {
        let loaded = self.load(table).await;
        let scan = iceberg::table::Table::builder()
            .identifier(table.clone())
            .metadata(loaded.metadata)
            .file_io(self.0.file_io.clone())
            .disable_cache()
            .runtime(Runtime::try_current().unwrap())
            .build()
            .unwrap()
            .scan()
            .select(columns)
            .build()
            .unwrap();
        let batches: Vec<RecordBatch> = scan.to_arrow().await.unwrap().try_collect().await.unwrap();
        let mut found = BTreeMap::new();
        for batch in batches {
            let partitions = batch.column(0).as_primitive::<Int32Type>();
            let offsets = batch.column(1).as_primitive::<Int64Type>();
            for (partition, offset) in partitions.values().iter().zip(offsets.values()) {
                *found.entry((*partition, *offset)).or_default() += 1;
            }
        }
        found
    }

    async fn rows(&self) -> BTreeMap<(i32, i64), u32> {
        self.offsets(&main(), ["_kafka_partition", "_kafka_offset"]).await
    }

    async fn dead_letters(&self) -> BTreeMap<(i32, i64), u32> {
        let table = ident(&main(), Follower::DeadLetters);
        self.offsets(&table, ["partition", "offset"]).await
    }
}

fn main() -> TableIdent {
    TableIdent::from_strs(["shop", "orders"]).unwrap()
}

fn job() -> JobId {
    JobId::new("orders")
}

fn topic() -> TopicIdentity {
    TopicIdentity {
        cluster_id: None,
        topic: "orders".into(),
        topic_id: Some("t1".to_owned()),
    }
}

fn once(places: &[(i32, std::ops::Range<i64>)]) -> BTreeMap<(i32, i64), u32> {
    let all = places.iter().flat_map(|(partition, offsets)| {
        let partition = *partition;
        offsets.clone().map(move |offset| ((partition, offset), 1))
    });
    all.collect()
}

#[tokio::test]
async fn a_rewind_reads_again_just_what_is_missing() {
    let table = Table::new().await;
    table.append(&[read(0, 0, 10), read(1, 0, 5)]).await;
    let rolled_back_to = table.append(&[read(0, 10, 20)]).await;
    // Dead letters alone: `main` has the same rows before and after.
    let since = table.append(&[read(0, 20, 22).with_letters(2)]).await;
    table.append(&[read(0, 22, 30).with_letters(1)]).await;
    table.drain().await;
    // Waits in the outbox.
    table
        .append(&[read(0, 30, 33).with_letters(3), read(1, 5, 8)])
        .await;
    let before = table.base().await.tagged.unwrap();
    table
        .roll_back_and_expire(rolled_back_to, FileChange::default())
        .await;
    assert_eq!(table.rows().await, once(&[(0, 0..20), (1, 0..5)]));

    let rewound = table.rewind().await.unwrap();
    let snapshot = rewound.snapshot.expect("a commit");
    let state = rewound.base.state().unwrap();
    let progress = |state: &TableState, partition| {
        let partition = state.partition(&job(), partition).unwrap();
        (partition.progress.live_end(), partition.counts)
    };
    let letters = Counts {
        dead_letters: 2,
        ..Counts::of_rows(20, OffsetRange::new(0, 20).offset_sum())
    };
    assert_eq!(progress(state, 0), (22, letters));
    assert_eq!(
        progress(state, 1),
        (5, Counts::of_rows(5, OffsetRange::new(0, 5).offset_sum()))
    );
    let stamp = &state.outbox.ledger.last().unwrap().stamp;
    assert_eq!(stamp.reason, "ticket 42");
    assert_eq!(stamp.abandons_since.map(|since| since.snapshot_id), Some(since));
    let metadata = rewound.base.metadata();
    assert!(
        metadata.snapshot_by_id(before.snapshot.snapshot_id()).is_none(),
        "nobody can cherry-pick it back"
    );
    let parent = snapshot.parent_snapshot_id().expect("somebody else's");
    assert_eq!(
        metadata
            .snapshots()
            .map(|kept| kept.snapshot_id())
            .collect::<BTreeSet<_>>(),
        [parent, snapshot.snapshot_id()].into()
    );
    table.drain().await;
    assert_eq!(table.dead_letters().await, once(&[(0, 20..22)]));
    check_standing(&table.0, &table.base().await).await.unwrap();

    table.append(&[read(0, 22, 30).with_letters(1)]).await;
    table
        .append(&[read(0, 30, 33).with_letters(3), read(1, 5, 8)])
        .await;
    table.drain().await;
    assert_eq!(table.rows().await, once(&[(0, 0..20), (0, 22..29), (1, 0..8)]));
    assert_eq!(table.dead_letters().await, once(&[(0, 20..22), (0, 29..33)]));
    for partition in [0, 1] {
        let after = table.state().await;
        assert_eq!(progress(&after, partition), progress(&before.state, partition));
    }
}

#[tokio::test]
async fn without_a_row_in_main_all_is_read_again_from_the_anchors() {
    let table = Table::new().await;
    let anchor = table.base().await.head().unwrap().snapshot_id();
    table.append(&[read(0, 0, 10).with_letters(2)]).await;
    table.drain().await;
    table.append(&[read(0, 10, 20), read(1, 0, 3)]).await;
    table.roll_back_and_expire(anchor, FileChange::default()).await;
    let rewound = table.rewind().await.unwrap();
    let state = rewound.base.state().unwrap();
    let since = state.outbox.ledger.last().unwrap().stamp.abandons_since;
    assert_eq!(since.map(|since| since.snapshot_id), Some(anchor));
    table.append(&[read(0, 0, 20), read(1, 0, 3)]).await;
    table.drain().await;
    assert_eq!(table.rows().await, once(&[(0, 0..20), (1, 0..3)]));
    assert!(table.dead_letters().await.is_empty());
}

/// A rewind is itself an entry of the ledger, and what it abandoned is passed over.
#[tokio::test]
async fn a_second_rewind_goes_back_beyond_the_first() {
    let table = Table::new().await;
    let first = table.append(&[read(0, 0, 10)]).await;
    let second = table.append(&[read(0, 10, 20)]).await;
    table.append(&[read(0, 20, 30)]).await;
    table.roll_back_and_expire(second, FileChange::default()).await;
    table.rewind().await.unwrap();
    table.append(&[read(0, 20, 40)]).await;
    table.drain().await;
    // As after a rollback to the first, whose snapshot is long gone.
    table.foreign_snapshot(FileChange::default()).await;
    let head = table.base().await.head().unwrap().snapshot_id();
    let change = FileChange {
        remove: table.files_but_of(first).await,
        ..FileChange::default()
    };
    assert_eq!(change.remove.len(), 2);
    table.roll_back_and_expire(head, change).await;
    table.rewind().await.unwrap();
    table.append(&[read(0, 10, 40)]).await;
    assert_eq!(table.rows().await, once(&[(0, 0..40)]));
}

#[tokio::test]
async fn rows_that_no_state_of_ours_had_are_not_guessed_at() {
    let table = Table::new().await;
    let cut = read(0, 0, 10);
    let first = table.append(std::slice::from_ref(&cut)).await;
    table.append(&[read(0, 10, 20)]).await;
    let newest = table.append(&[read(0, 20, 30)]).await;
    table.drain().await;
    let some_rows_again = FileChange {
        add: vec![(0, table.file(&read(0, 12, 15)).await)],
        ..FileChange::default()
    };
    table.roll_back_and_expire(first, some_rows_again).await;
    let words = table.refused().await;
    for part in [
        "orders/0: `main` holds 13 rows",
        &format!("Set `main` to our newest snapshot {newest}"),
        "`--declare-lost`",
    ] {
        assert!(words.contains(part), "{part:?} is missing in: {words}");
    }
    // It does what it says.
    table.set_main(newest).await;
    assert!(
        table.rewind().await.unwrap().snapshot.is_none(),
        "nothing is left to do"
    );
    assert_eq!(table.rows().await, once(&[(0, 0..30)]));

    let table = Table::new().await;
    let first = table.append(std::slice::from_ref(&cut)).await;
    table.append(&[read(0, 10, 20)]).await;
    let the_same_again = FileChange {
        add: vec![(0, table.file(&cut).await)],
        ..FileChange::default()
    };
    table.roll_back_and_expire(first, the_same_again).await;
    let words = table.refused().await;
    assert!(words.contains("an offset more than once"), "{words}");
}

#[tokio::test]
async fn rows_that_may_be_older_than_a_cut_of_their_log_are_not_guessed_at() {
    let table = Table::new().await;
    let stale = table.append(&[read(0, 0, 18)]).await;
    table.append(&[read(0, 18, 20)]).await;
    let cut = LogCut {
        offset: 15,
        leader_epoch: Some(1),
    };
    let mut truncate = Truncate {
        lake: &table.0,
        job: job(),
        generation: Default::default(),
        cuts: [(0, cut)].into(),
        reason: String::new(),
    };
    // Its files mix: 15 to 17 are written out of the first.
    table.commit(&mut truncate).await.unwrap();
    table.append(&[read(0, 15, 18)]).await;
    table.append(&[read(0, 18, 30)]).await;
    table.drain().await;
    table.roll_back_and_expire(stale, FileChange::default()).await;
    let words = table.refused().await;
    assert!(
        words.contains("orders/0: its log was cut at offset 15") && words.contains("Set `main`"),
        "{words}"
    );
    assert!(
        !words.contains("--declare-lost"),
        "it is refused as well: {words}"
    );
}

#[tokio::test]
async fn without_its_ledger_what_waits_for_it_tells_as_far_as_it_goes() {
    for waits in [true, false] {
        let table = Table::new().await;
        let first = table.append(&[read(0, 0, 10)]).await;
        table.drain().await;
        // Acknowledges what the ledger has.
        let second = table.append(&[read(0, 10, 20)]).await;
        table.append(&[read(0, 20, 30)]).await;
        let ledger = ident(&main(), Follower::Ledger);
        table.0.catalog.drop_table(&ledger).await.unwrap();
        let to = if waits { second } else { first };
        table.roll_back_and_expire(to, FileChange::default()).await;
        if waits {
            table.rewind().await.unwrap();
            table.append(&[read(0, 20, 30)]).await;
            assert_eq!(table.rows().await, once(&[(0, 0..30)]));
        } else {
            let words = table.refused().await;
            assert!(words.contains("the ledger goes back no further"), "{words}");
        }
    }
}

#[tokio::test]
async fn without_a_snapshot_of_ours_to_be_seen_a_table_that_is_whole_is_left_alone() {
    let table = Table::new().await;
    table.append(&[read(0, 0, 10)]).await;
    table.foreign_snapshot(FileChange::default()).await;
    table.foreign_snapshot(FileChange::default()).await;
    table.expire().await;
    check_standing(&table.0, &table.base().await).await.unwrap();
    assert!(table.rewind().await.unwrap().snapshot.is_none());
}
