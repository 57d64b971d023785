//! What is taken for an orphan and what is refused, on tables in memory, whose files are all a real moment old: the clock
//! goes ahead of them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, NestedField, PrimitiveType, Schema, Struct,
    Type,
};
use iceberg::{TableCreation, TableIdent, TableUpdate};
use object_store::memory::InMemory;
use tabletopic_catalog::{CommitOutcome, MemoryCatalog, TableChange};
use tabletopic_clock::{Clock, Entropy, ManualClock, Millis, SeededEntropy, SystemClock};
use tabletopic_maintain::Allowance;
use tabletopic_maintain::background::{self, Removal};
use tabletopic_maintain::compact::Options;
use tabletopic_maintain::orphans::{Found, LEAST_AGE, Means, OrphansError, Progress, find, remove};
use tabletopic_maintain::pace::Share;
use tabletopic_maintain::retain::Retention;
use tabletopic_maintain::survey::Tally;
use tabletopic_offsets::{
    Counts, Follower, JobId, Kind, OffsetRange, PendingRange, TableState, TopicIdentity, UnitRange,
};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Anchor, Append, Base, DeadLetterFile, Fate, LogWaiting, Look, Unit, commit};
use tabletopic_table::follower::{self, create};
use tabletopic_table::storage::{Listing, RequestCounts, file_io, listing};

const DAY: Millis = 24 * 60 * 60 * 1000;

/// `shop.orders`, which topic `orders` feeds.
struct World {
    lake: Lake,
    clock: Arc<ManualClock>,
    listing: Arc<dyn Listing>,
}

fn orders() -> TableIdent {
    TableIdent::from_strs(["shop", "orders"]).unwrap()
}

fn letters() -> TableIdent {
    follower::ident(&orders(), Follower::DeadLetters)
}

fn schema() -> Schema {
    let column = NestedField::optional(1, "n", Type::Primitive(PrimitiveType::Long));
    Schema::builder().with_fields([Arc::new(column)]).build().unwrap()
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let (store, counts) = (Arc::new(InMemory::new()), Arc::new(RequestCounts::default()));
        let lake = Lake {
            catalog: Arc::new(MemoryCatalog::new(
                "memory",
                "memory:///warehouse",
                clock.clone(),
                entropy.clone(),
            )),
            file_io: file_io(store.clone(), "memory:///", counts.clone()),
            clock: clock.clone(),
            entropy,
            actor: "operator".into(),
        };
        create::table(&lake, &orders(), schema(), None).await.unwrap();
        create::followers(&lake, &orders()).await.unwrap();
        let mut anchor = Anchor {
            lake: &lake,
            job: &JobId::new("orders"),
            identity: &identity(),
            starts: &[(0, 0)].into(),
        };
        commit(&lake, &orders(), &mut anchor, &LogWaiting).await.unwrap();
        Self {
            lake,
            clock,
            listing: listing(store, "memory:///", counts),
        }
    }

    fn means(&self) -> Means<'_> {
        Means {
            lake: &self.lake,
            listing: self.listing.as_ref(),
        }
    }

    async fn base(&self) -> Base<TableState> {
        commit(&self.lake, &orders(), &mut Look, &LogWaiting)
            .await
            .unwrap()
            .base
    }

    async fn location(&self, table: &TableIdent) -> String {
        self.lake
            .catalog
            .load(table)
            .await
            .unwrap()
            .metadata
            .location()
            .to_owned()
    }

    async fn put(&self, location: &str) {
        let file = self.lake.file_io.new_output(location).unwrap();
        file.write("words".into()).await.unwrap();
    }

    /// A file at `location`; a table names it by `spelled`.
    async fn file(&self, location: &str, spelled: &str) -> DataFile {
        self.put(location).await;
        DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(spelled.to_owned())
            .file_format(DataFileFormat::Parquet)
            .partition(Struct::empty())
            .partition_spec_id(0)
            .record_count(1)
            .file_size_in_bytes(5)
            .build()
            .unwrap()
    }

    /// Commits the offsets `start` and the one after it, as a row and a letter if there are files for them.
    async fn append(&self, start: i64, files: Vec<DataFile>, dead_letters: Option<DataFile>) {
        let base = self.base().await;
        let job = JobId::new("orders");
        let known = base.state().unwrap().job(&job).unwrap();
        let range = OffsetRange::new(start, start + 2);
        let counts = match &dead_letters {
            None => Counts::of_rows(range.len(), range.offset_sum()),
            Some(_) => Counts {
                dead_letters: range.len(),
                ..Counts::default()
            },
        };
        let unit = Unit {
            created: self.lake.clock.now(),
            schema: base.metadata().current_schema().clone(),
            spec_id: 0,
            files,
            dead_letters: dead_letters.map(|file| DeadLetterFile {
                file,
                ranges: vec![PendingRange {
                    job: job.clone(),
                    partition: 0,
                    range,
                }],
                reasons: Default::default(),
            }),
            ranges: vec![UnitRange {
                job: job.clone(),
                partition: 0,
                identity: known.identity.clone(),
                generation: known.generation,
                range,
                leader_epoch: Some(1),
                counts,
            }],
        };
        let units = [unit];
        let mut plan = Append::new(&self.lake, &units, &[]);
        commit(&self.lake, &orders(), &mut plan, &LogWaiting)
            .await
            .unwrap();
        let fates = plan.into_fates();
        assert!(matches!(fates[..], [Fate::Committed]), "{fates:?}");
    }

    async fn find(&self, table: &TableIdent) -> Result<Found, OrphansError> {
        find(self.means(), table, LEAST_AGE).await
    }

    async fn remove(&self, table: &TableIdent) -> Result<Found, OrphansError> {
        remove(self.means(), table, LEAST_AGE, &LogWaiting, &Silent).await
    }

    async fn set(&self, table: &TableIdent, key: &str, value: &str) {
        let base = self.lake.catalog.load(table).await.unwrap();
        let updates = HashMap::from([(key.to_owned(), value.to_owned())]);
        let change = TableChange {
            requirements: Vec::new(),
            updates: vec![TableUpdate::SetProperties { updates }],
        };
        let outcome = self.lake.catalog.commit(&base, change).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    }

    /// A table of somebody else's.
    async fn create(&self, name: &str, location: Option<String>) -> TableIdent {
        let creation = TableCreation::builder()
            .name(name.to_owned())
            .schema(schema())
            .location_opt(location)
            .build();
        let created = self.lake.catalog.create(orders().namespace(), creation).await;
        created.unwrap().ident
    }
}

fn identity() -> TopicIdentity {
    TopicIdentity {
        cluster_id: Some("cluster".to_owned()),
        topic: "orders".into(),
        topic_id: Some("id-1".to_owned()),
    }
}

struct Silent;

impl Progress for Silent {
    fn begins(&self, _all: Tally) {}

    fn removed(&self, _some: Tally) {}
}

fn locations(found: &Found) -> Vec<&str> {
    found
        .orphans
        .iter()
        .map(|orphan| orphan.location.as_str())
        .collect()
}

#[tokio::test]
async fn only_what_no_snapshot_leads_to_is_an_orphan_and_only_once_it_is_old() {
    let world = World::new().await;
    let location = world.location(&orders()).await;
    let at = |name: &str| format!("{location}/{name}");
    // As others spell what is there as "b c.parquet", and as "100%25.parquet".
    let files = [
        world.file(&at("data/a.parquet"), &at("data/a.parquet")).await,
        world
            .file(&at("data/b c.parquet"), &at("data//b%20c.parquet"))
            .await,
        world
            .file(&at("data/100%25.parquet"), &at("data/100%.parquet"))
            .await,
    ];
    world.append(0, files.to_vec(), None).await;
    world
        .append(
            2,
            vec![world.file(&at("data/d.parquet"), &at("data/d.parquet")).await],
            None,
        )
        .await;
    let garbage = [
        at("data/%20.parquet"),
        at("data/a.parquet#123000001"),
        at("metadata/lost-m0.avro"),
        at("metadata/lost.metadata.json"),
    ];
    for file in garbage.iter().chain(&[at("data/_SUCCESS")]) {
        world.put(file).await;
    }

    let found = world.find(&orders()).await.unwrap();
    assert_eq!((locations(&found).len(), found.young.files), (0, 4), "{found:?}");
    world.clock.advance(2 * DAY);
    let found = world.find(&orders()).await.unwrap();
    assert_eq!(locations(&found), garbage.each_ref().map(String::as_str));
    assert_eq!((found.young.files, found.hidden.files), (0, 1));
    assert_eq!(found.sum, Tally { files: 4, bytes: 20 });
    // Three manifest lists, that of the anchor too, two manifests, four data files; this catalog writes no metadata files.
    assert_eq!(found.needed.files, 9, "{found:?}");
}

#[tokio::test]
async fn a_clock_that_is_ahead_of_the_stores_makes_nothing_older_once_it_matters() {
    let world = World::new().await;
    world.append(0, Vec::new(), None).await;
    let garbage = format!("{}/data/lost.parquet", world.location(&orders()).await);
    world.put(&garbage).await;
    let before = world.base().await;
    world.clock.advance(2 * DAY);
    let removed = world.remove(&orders()).await.unwrap();
    assert_eq!((removed.sum.files, removed.young.files), (0, 1), "{removed:?}");
    assert!(world.lake.file_io.exists(&garbage).await.unwrap());

    // What had been built on the older head would conflict, and the state has gone on.
    let after = world.base().await;
    let head = after.head().unwrap();
    assert_eq!(
        head.parent_snapshot_id(),
        before.head().map(|head| head.snapshot_id())
    );
    assert_eq!(after.state().unwrap().kind, Kind::Maintenance);
    assert_eq!(
        after.tagged.as_ref().unwrap().snapshot.snapshot_id(),
        head.snapshot_id()
    );
}

#[tokio::test]
async fn a_table_of_others_loses_its_garbage_and_gets_no_snapshot() {
    let world = World::new().await;
    let table = world.create("theirs", None).await;
    let garbage = format!("{}/data/lost.parquet", world.location(&table).await);
    world.put(&garbage).await;
    world.clock.advance(2 * DAY);
    let before = world.lake.catalog.load(&table).await.unwrap().metadata_location;
    assert_eq!(
        locations(&world.remove(&table).await.unwrap()),
        [garbage.as_str()]
    );
    assert!(!world.lake.file_io.exists(&garbage).await.unwrap());
    let after = world.lake.catalog.load(&table).await.unwrap().metadata_location;
    assert_eq!(after, before);
}

#[tokio::test]
async fn dead_letters_that_wait_for_their_table_are_needed_by_it() {
    let world = World::new().await;
    let location = world.location(&letters()).await;
    let (waiting, garbage) = (
        format!("{location}/data/w.parquet"),
        format!("{location}/data/x.parquet"),
    );
    let file = world.file(&waiting, &waiting).await;
    world.append(0, Vec::new(), Some(file)).await;
    world.put(&garbage).await;
    world.clock.advance(2 * DAY);
    assert_eq!(
        locations(&world.find(&letters()).await.unwrap()),
        [garbage.as_str()]
    );
}

#[tokio::test]
async fn where_a_live_file_could_be_taken_for_garbage_it_is_refused() {
    let world = World::new().await;
    world.append(0, Vec::new(), None).await;
    world.clock.advance(2 * DAY);
    let young = find(world.means(), &orders(), LEAST_AGE - 1).await.unwrap_err();
    assert!(matches!(young, OrphansError::TooYoung), "{young}");

    let location = world.location(&orders()).await;
    for (name, location) in [
        ("inside", format!("{location}/inside")),
        ("around", "memory:///warehouse".to_owned()),
        ("same", format!("{location}/")),
    ] {
        let other = world.create(name, Some(location)).await;
        let shared = world.find(&orders()).await.unwrap_err();
        assert!(
            matches!(&shared, OrphansError::Shared { other: named, .. } if *named == other),
            "{name}: {shared}"
        );
        world.lake.catalog.drop_table(&other).await.unwrap();
    }
    let other = world.create("writes_there", None).await;
    world
        .set(&other, "write.data.path", &format!("{location}/data"))
        .await;
    let shared = world.find(&orders()).await.unwrap_err();
    assert!(matches!(shared, OrphansError::Shared { .. }), "{shared}");
    world.lake.catalog.drop_table(&other).await.unwrap();

    let base = world.base().await;
    let list = base.head().unwrap().manifest_list().to_owned();
    let bytes = world.lake.file_io.new_input(&list).unwrap().read().await.unwrap();
    world.lake.file_io.delete(&list).await.unwrap();
    let unreadable = world.find(&orders()).await.unwrap_err();
    assert!(
        matches!(&unreadable, OrphansError::Unreadable { path, .. } if *path == list),
        "{unreadable}"
    );
    assert!(!unreadable.is_transient(), "{unreadable}");
    world
        .lake
        .file_io
        .new_output(&list)
        .unwrap()
        .write(bytes)
        .await
        .unwrap();

    world.set(&orders(), "gc.enabled", "false").await;
    let kept = world.find(&orders()).await.unwrap_err();
    assert!(matches!(kept, OrphansError::Kept { .. }), "{kept}");
    world.set(&orders(), "gc.enabled", "true").await;
    assert_eq!(world.find(&orders()).await.unwrap().orphans, []);
}

/// Beside the ingest: at the time that is set, and not before.
#[tokio::test]
async fn in_the_background_they_leave_once_it_is_time() {
    let world = World::new().await;
    let visits = TableIdent::from_strs(["shop", "visits"]).unwrap();
    // Somebody else's: the age of its files is told by the clock alone.
    create::table(&world.lake, &visits, schema(), None).await.unwrap();
    let garbage = format!("{}/data/lost.parquet", world.location(&visits).await);
    world.put(&garbage).await;
    world.clock.advance(2 * DAY);
    let removing = |first_after| background::Settings {
        interval: Duration::from_millis(1),
        options: Options::BY_HAND,
        share: Share {
            processor: 1.0,
            bytes_per_second: 1 << 30,
        },
        memory: Allowance::new(1 << 20),
        orphans: Some(Removal {
            older_than: LEAST_AGE,
            first_after,
            every: Duration::from_secs(3600),
        }),
    };
    let (soon, late) = (removing(Duration::ZERO), removing(Duration::from_secs(3600)));
    let one = One(visits);
    let gone = async |settings| {
        let work = background::keep_up(world.means(), settings, &one, &|_, _| {});
        let left = async {
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if !world.lake.file_io.exists(&garbage).await.unwrap() {
                    return true;
                }
            }
            false
        };
        tokio::select! {
            () = work => unreachable!("it goes on for ever"),
            gone = left => gone,
        }
    };
    assert!(!gone(&late).await, "it is not time yet");
    assert!(gone(&soon).await);
}

struct One(TableIdent);

impl background::Tables for One {
    fn all(&self) -> Vec<TableIdent> {
        vec![self.0.clone()]
    }

    fn retention(&self, _table: &TableIdent) -> Option<Retention> {
        None
    }
}
