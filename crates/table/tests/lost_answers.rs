//! Commits whose answers get lost, on the real SQLite catalog and real files: each unit is in the table once, and
//! of two owners of the same offsets only one's.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test: a failure is a panic with its reason"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int32Array, Int64Array, RecordBatch};
use bytes::Bytes;
use iceberg::TableIdent;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Struct, Type};
use tabletopic_catalog::{LoadedTable, SqliteCatalog, SqliteOptions};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_offsets::{Counts, JobId, Offset, OffsetRange, TableState, TopicIdentity, UnitRange};
use tabletopic_table::Lake;
use tabletopic_table::commit::resolve::Rollback;
use tabletopic_table::commit::{Anchor, Append, Base, Dropped, Fate, LogWaiting, Look, Unit, commit};
use tabletopic_table::file::{Encodings, FileNames, FileSchema, FileSettings, FileWriter};
use tabletopic_table::follower::create;
use tabletopic_table::rows::{self, Held};
use tabletopic_table::storage::{DurableLocal, RequestCounts, file_io};
use tabletopic_testkit::{Lost, LostAnswers};
use tempfile::TempDir;

const ROUNDS: usize = 20;
/// Offsets of each partition that a round adds.
const STEP: Offset = 10;
const PARTITIONS: [i32; 2] = [0, 1];

/// What one commit may meet before it is through. The round's number chooses.
const SCRIPTS: [&[Lost]; 6] = [
    &[Lost::Answer],
    &[Lost::Request],
    &[Lost::Late],
    &[Lost::Request, Lost::Answer],
    &[Lost::Request, Lost::Late],
    &[Lost::Request, Lost::Request, Lost::Answer],
];

/// A process that commits: its own connection to the catalog, which loses answers.
struct Committer {
    lake: Lake,
    catalog: Arc<LostAnswers>,
}

impl Committer {
    async fn open(folder: &Path, name: &str) -> Self {
        let file_io = file_io(
            Arc::new(DurableLocal::new()),
            "file:///",
            Arc::new(RequestCounts::default()),
        );
        let options = SqliteOptions {
            name: "test".to_owned(),
            path: folder.join("catalog.db"),
            warehouse: format!("file://{}/warehouse", folder.display()),
            busy_timeout: Duration::from_secs(30),
            commit_timeout: Duration::from_secs(30),
        };
        let sqlite = SqliteCatalog::open(
            options,
            file_io.clone(),
            Arc::new(SystemClock),
            Arc::new(OsEntropy),
        );
        let catalog = Arc::new(LostAnswers::new(Arc::new(sqlite.await.unwrap())));
        let lake = Lake {
            catalog: catalog.clone(),
            file_io,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            actor: name.into(),
        };
        Self { lake, catalog }
    }

    /// Makes the table, with its anchor at 0.
    async fn anchor(&self) {
        let field = |id, name: &str, ty| Arc::new(NestedField::optional(id, name, Type::Primitive(ty)));
        let fields = [
            field(1, "_kafka_partition", PrimitiveType::Int),
            field(2, "_kafka_offset", PrimitiveType::Long),
        ];
        let schema = Schema::builder().with_fields(fields).build().unwrap();
        create::table(&self.lake, &table(), schema, None).await.unwrap();
        let starts = PARTITIONS.map(|partition| (partition, 0)).into();
        let mut anchor = Anchor {
            lake: &self.lake,
            job: &job(),
            identity: &topic(),
            starts: &starts,
        };
        commit(&self.lake, &table(), &mut anchor, &LogWaiting)
            .await
            .unwrap();
    }

    /// A unit as a worker cuts it, its file stored: `[start, end)` of both partitions.
    async fn unit(&self, range: OffsetRange) -> Unit {
        let base = self.base().await;
        let now = &base.table;
        let schema = now.metadata.current_schema().clone();
        let spec = now.metadata.default_partition_spec().clone();
        let files = FileSchema::new(schema.clone(), spec.clone()).unwrap();
        let unpartitioned = Struct::empty();
        let names = FileNames::new(now.metadata.location());
        let path = names
            .next(&files, &unpartitioned, self.lake.entropy.as_ref())
            .unwrap();
        let rows = PARTITIONS
            .iter()
            .flat_map(|partition| (range.start..range.end).map(|offset| (*partition, offset)));
        let (partitions, offsets): (Vec<i32>, Vec<Offset>) = rows.unzip();
        let columns = [
            Arc::new(Int32Array::from(partitions)) as _,
            Arc::new(Int64Array::from(offsets)) as _,
        ];
        let batch = RecordBatch::try_new(files.arrow().clone(), columns.into()).unwrap();
        let encodings = Encodings::choose(&files, &batch);
        let mut writer =
            FileWriter::new(&FileSettings::default(), files, &encodings, unpartitioned, path).unwrap();
        writer.write(&batch).unwrap();
        let file = writer.finish().unwrap();
        let output = self.lake.file_io.new_output(&file.path).unwrap();
        output.write(Bytes::from(file.payload)).await.unwrap();
        let ranges = PARTITIONS.map(|partition| UnitRange {
            job: job(),
            partition,
            identity: topic(),
            generation: base.state().unwrap().job(&job()).unwrap().generation,
            range,
            leader_epoch: None,
            counts: Counts::of_rows(range.len(), range.offset_sum()),
        });
        Unit {
            created: self.lake.clock.now(),
            schema,
            spec_id: spec.spec_id(),
            files: vec![file.data_file],
            dead_letters: None,
            ranges: ranges.into(),
        }
    }

    async fn base(&self) -> Base<TableState> {
        let looked = commit(&self.lake, &table(), &mut Look, &LogWaiting).await;
        looked.unwrap().base
    }

    /// Commits one unit: its fate, and how many bodies it took.
    async fn append(&self, unit: &Unit) -> (Fate, u32) {
        let units = [unit.clone()];
        let mut plan = Append::new(&self.lake, &units, &[]);
        let committed = commit(&self.lake, &table(), &mut plan, &LogWaiting)
            .await
            .unwrap();
        (plan.into_fates().remove(0), committed.attempts)
    }

    /// The table, by its rows, its state and its history: everything below `end` once, and nothing else.
    async fn holds(&self, end: Offset) {
        let base = self.base().await;
        let head = base.head().unwrap().snapshot_id();
        let whole = OffsetRange::new(0, end);
        let held = Held {
            rows: whole.len(),
            offset_sum: whole.offset_sum(),
        };
        assert_eq!(
            rows::held(&self.lake, &base.table, head).await.unwrap(),
            each(held)
        );
        assert_eq!(
            rows::ranges(&self.lake, &base.table, head).await.unwrap(),
            each(vec![whole])
        );
        let state = &base.state().unwrap().job(&job()).unwrap().partitions;
        let counted = state
            .iter()
            .map(|(partition, state)| (*partition, (state.progress.live_end(), state.counts)));
        let counts = Counts::of_rows(whole.len(), whole.offset_sum());
        assert_eq!(counted.collect::<BTreeMap<_, _>>(), each((end, counts)));
        assert_eq!(
            snapshots(&base.table),
            1 + (end / STEP) as usize,
            "the anchor and one for each unit"
        );
    }
}

fn each<T: Clone>(value: T) -> BTreeMap<i32, T> {
    PARTITIONS.map(|partition| (partition, value.clone())).into()
}

fn snapshots(table: &LoadedTable) -> usize {
    table.metadata.snapshots().len()
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
        topic_id: Some("orders-1".to_owned()),
    }
}

fn range_of(round: usize) -> OffsetRange {
    let start = round as Offset * STEP;
    OffsetRange::new(start, start + STEP)
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_made_once() {
    let folder = TempDir::new().unwrap();
    let ours = Committer::open(folder.path(), "ours").await;
    ours.anchor().await;
    for round in 0..ROUNDS {
        let unit = ours.unit(range_of(round)).await;
        ours.catalog.lose(SCRIPTS[round % SCRIPTS.len()]);
        let (fate, attempts) = ours.append(&unit).await;
        assert!(matches!(fate, Fate::Committed), "round {round}: {fate:?}");
        assert_eq!(
            attempts, 1,
            "round {round}: nothing moved, so that the body is sent again as it was"
        );
        assert_eq!(ours.catalog.still_to_lose(), 0, "round {round}");
        ours.holds(range_of(round).end).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_owners_whose_answers_are_lost_one_commits() {
    let folder = TempDir::new().unwrap();
    let (ours, theirs) = (
        Committer::open(folder.path(), "ours").await,
        Committer::open(folder.path(), "theirs").await,
    );
    ours.anchor().await;
    for round in 0..ROUNDS {
        let (unit, same) = tokio::join!(ours.unit(range_of(round)), theirs.unit(range_of(round)));
        ours.catalog.lose(SCRIPTS[round % SCRIPTS.len()]);
        theirs.catalog.lose(SCRIPTS[round / 2 % SCRIPTS.len()]);
        let ((our_fate, _), (their_fate, _)) = tokio::join!(ours.append(&unit), theirs.append(&same));
        match (&our_fate, &their_fate) {
            (Fate::Committed, Fate::Dropped(Dropped::Fenced(fenced)))
            | (Fate::Dropped(Dropped::Fenced(fenced)), Fate::Committed) => {
                assert!(!fenced.is_ahead(), "round {round}: {fenced}");
            }
            fates => panic!("round {round}: {fates:?}"),
        }
        // A file is never deleted because of a commit's fate: the next load may show that it was made.
        for file in unit.files.iter().chain(&same.files) {
            assert!(
                ours.lake.file_io.exists(file.file_path()).await.unwrap(),
                "{} is gone",
                file.file_path()
            );
        }
        ours.holds(range_of(round).end).await;
    }
}

/// `main` and progress go back together, whatever becomes of the answer; and what was given up can be added again.
#[tokio::test]
async fn a_rollback_whose_answer_is_lost_is_made_once() {
    for script in SCRIPTS {
        let folder = TempDir::new().unwrap();
        let ours = Committer::open(folder.path(), "ours").await;
        ours.anchor().await;
        let mut heads = Vec::new();
        for round in 0..3 {
            let unit = ours.unit(range_of(round)).await;
            assert!(matches!(ours.append(&unit).await.0, Fate::Committed));
            heads.push(ours.base().await.head().unwrap().snapshot_id());
        }
        let late = ours.unit(range_of(3)).await;

        ours.catalog.lose(script);
        let mut plan = Rollback::new(&ours.lake, heads[0], i64::MAX, "ticket 42".to_owned());
        let committed = commit(&ours.lake, &table(), &mut plan, &LogWaiting)
            .await
            .unwrap();
        assert!(committed.snapshot.is_some(), "{script:?}");
        assert_eq!(ours.catalog.still_to_lose(), 0, "{script:?}");
        let base = ours.base().await;
        let parent = base.head().unwrap().parent_snapshot_id();
        assert_eq!(parent, Some(heads[0]), "{script:?}: it was made once");
        let left = |id: &&i64| base.metadata().snapshot_by_id(**id).is_some();
        assert_eq!(
            heads.iter().filter(left).collect::<Vec<_>>(),
            [&heads[0]],
            "{script:?}"
        );

        assert!(
            matches!(ours.append(&late).await.0, Fate::Dropped(Dropped::Fenced(_))),
            "{script:?}: it was read before"
        );
        for round in 1..4 {
            let unit = ours.unit(range_of(round)).await;
            assert!(
                matches!(ours.append(&unit).await.0, Fate::Committed),
                "{script:?}"
            );
        }
        let head = ours.base().await.head().unwrap().snapshot_id();
        let held = rows::ranges(&ours.lake, &ours.base().await.table, head)
            .await
            .unwrap();
        assert_eq!(
            held,
            each(vec![OffsetRange::new(0, range_of(3).end)]),
            "{script:?}"
        );
    }
}
