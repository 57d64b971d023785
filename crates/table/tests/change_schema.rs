//! Schema changes that two workers ask for at once: what was asked of an older schema is not applied to a newer one.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test: a failure is a panic with its reason"
)]

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use iceberg::TableIdent;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use tabletopic_catalog::MemoryCatalog;
use tabletopic_clock::{ManualClock, SeededEntropy};
use tabletopic_offsets::{Follower, JobId, RecordAt, TableState, TopicIdentity};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Anchor, ChangeSchema, CommitError, Committed, LogWaiting, commit};
use tabletopic_table::follower::drain::drain;
use tabletopic_table::follower::{create, ident, ledger};
use tabletopic_table::rows::iceberg_table;
use tabletopic_table::schema::SchemaChange;
use tabletopic_table::storage::{DurableLocal, RequestCounts, file_io};
use tempfile::TempDir;

fn table() -> TableIdent {
    TableIdent::from_strs(["shop", "orders"]).unwrap()
}

/// A table with the column `id`, anchored.
async fn anchored(folder: &TempDir) -> Lake {
    let (clock, entropy) = (Arc::new(ManualClock::at(0)), Arc::new(SeededEntropy::new(1)));
    let warehouse = format!("file://{}", folder.path().display());
    let lake = Lake {
        catalog: Arc::new(MemoryCatalog::new(
            "memory",
            warehouse,
            clock.clone(),
            entropy.clone(),
        )),
        file_io: file_io(
            Arc::new(DurableLocal::new()),
            "file:///",
            Arc::new(RequestCounts::default()),
        ),
        clock,
        entropy,
        actor: "test".into(),
    };
    let id = NestedField::optional(1, "id", Type::Primitive(PrimitiveType::Long));
    let schema = Schema::builder().with_fields([Arc::new(id)]).build().unwrap();
    create::table(&lake, &table(), schema, None).await.unwrap();
    let identity = TopicIdentity {
        cluster_id: None,
        topic: "orders".into(),
        topic_id: None,
    };
    let mut anchor = Anchor {
        lake: &lake,
        job: &JobId::new("orders"),
        identity: &identity,
        starts: &[(0, 0)].into(),
    };
    commit(&lake, &table(), &mut anchor, &LogWaiting).await.unwrap();
    lake
}

async fn add(
    lake: &Lake,
    made_for: i32,
    name: &str,
    ty: PrimitiveType,
) -> Result<Committed<TableState>, CommitError> {
    let mut plan = ChangeSchema {
        lake,
        made_for,
        changes: &[SchemaChange::AddColumn {
            parent: Vec::new(),
            name: name.to_owned(),
            ty: Type::Primitive(ty),
        }],
        cause: cause(),
    };
    commit(lake, &table(), &mut plan, &LogWaiting).await
}

fn cause() -> RecordAt {
    RecordAt {
        job: JobId::new("orders"),
        topic: "orders".into(),
        topic_id: None,
        partition: 0,
        offset: 7,
    }
}

fn columns(committed: &Committed<TableState>) -> Vec<&str> {
    let fields = committed.base.metadata().current_schema().as_struct().fields();
    fields.iter().map(|field| field.name.as_str()).collect()
}

#[tokio::test]
async fn what_was_asked_of_an_older_schema_is_answered_with_the_newer_one() {
    let folder = TempDir::new().unwrap();
    let lake = anchored(&folder).await;
    let first = add(&lake, 0, "v", PrimitiveType::Long).await.unwrap();
    assert!(first.snapshot.is_some());
    assert_eq!(columns(&first), ["id", "v"]);

    // Another type, or a name that differs only in case, or something that would do: all the same.
    for (name, ty) in [
        ("v", PrimitiveType::String),
        ("V", PrimitiveType::Long),
        ("w", PrimitiveType::Long),
    ] {
        let late = add(&lake, 0, name, ty).await.unwrap();
        assert!(late.snapshot.is_none(), "{name}");
        assert_eq!(columns(&late), ["id", "v"], "{name}");
        assert_eq!(late.base.metadata().current_schema_id(), 1, "{name}");
    }

    let next = add(&lake, 1, "w", PrimitiveType::Long).await.unwrap();
    assert_eq!(columns(&next), ["id", "v", "w"]);
}

#[tokio::test]
async fn a_change_is_told_by_its_snapshot_and_by_a_ledger_of_an_earlier_release() {
    let folder = TempDir::new().unwrap();
    let lake = anchored(&folder).await;
    let ident = ident(&table(), Follower::Ledger);
    let columns = ledger::schema().unwrap().as_struct().fields()[..18].to_vec();
    let earlier = Schema::builder().with_fields(columns).build().unwrap();
    create::table(&lake, &ident, earlier, None).await.unwrap();

    let changed = add(&lake, 0, "v", PrimitiveType::Long).await.unwrap();
    let told = changed.base.state().unwrap().evolved.clone().unwrap();
    assert_eq!(told.changes, ["add column v long"]);
    assert_eq!(
        told.cause.map(|cause| cause.to_string()).unwrap(),
        "orders/0 offset 7"
    );
    drain(&lake, &changed.base, Follower::Ledger, &LogWaiting)
        .await
        .unwrap();

    let ledger = lake.catalog.load(&ident).await.unwrap();
    let ledger = iceberg_table(&lake, &ledger).unwrap();
    let scan = ledger.scan().select_all().build().unwrap();
    let rows: Vec<RecordBatch> = scan.to_arrow().await.unwrap().try_collect().await.unwrap();
    let rows = concat_batches(&rows[0].schema(), &rows).unwrap();
    let [change, topic, offset] = ["change", "topic", "record_offset"].map(|name| rows[name].clone());
    assert_eq!(
        change.as_string::<i32>().iter().collect::<Vec<_>>(),
        [None, Some("add column v long")]
    );
    assert_eq!(topic.as_string::<i32>().value(1), "orders");
    assert_eq!(
        offset.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
        [None, Some(7)]
    );
}

#[tokio::test]
async fn thousands_of_changes_are_cut_short() {
    let folder = TempDir::new().unwrap();
    let lake = anchored(&folder).await;
    let changes: Vec<SchemaChange> = (0..2_000)
        .map(|number| SchemaChange::AddColumn {
            parent: Vec::new(),
            name: format!("{number}-{}", "ä".repeat(1_000)),
            ty: Type::Primitive(PrimitiveType::Long),
        })
        .collect();
    let mut plan = ChangeSchema {
        lake: &lake,
        made_for: 0,
        changes: &changes,
        cause: cause(),
    };
    let changed = commit(&lake, &table(), &mut plan, &LogWaiting).await.unwrap();
    let state = changed.base.state().unwrap();
    let told = &state.evolved.as_ref().unwrap().changes;
    assert_eq!((told.len(), told[50].as_str()), (51, "1950 more"));
    assert!(
        told[0].starts_with("add column 0-ää") && told[0].ends_with("ä…"),
        "{}",
        told[0]
    );
    assert!(
        state.outbox.encoded_bytes() < 32 * 1024,
        "{}",
        state.outbox.encoded_bytes()
    );
}

#[tokio::test]
async fn two_columns_never_differ_only_in_case() {
    let folder = TempDir::new().unwrap();
    let lake = anchored(&folder).await;
    let error = add(&lake, 0, "ID", PrimitiveType::Long).await.unwrap_err();
    assert!(
        error.to_string().contains("`ID` would have the name of `id`"),
        "{error}"
    );
}
