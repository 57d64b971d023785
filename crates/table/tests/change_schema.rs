//! Schema changes that two workers ask for at once: what was asked of an older schema is not applied to a newer one.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test: a failure is a panic with its reason"
)]

use std::sync::Arc;

use iceberg::TableIdent;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use tabletopic_catalog::MemoryCatalog;
use tabletopic_clock::{ManualClock, SeededEntropy};
use tabletopic_offsets::{JobId, TableState, TopicIdentity};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Anchor, ChangeSchema, CommitError, Committed, LogWaiting, commit};
use tabletopic_table::follower::create;
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
        cause: "orders/0 offset 7".to_owned(),
    };
    commit(lake, &table(), &mut plan, &LogWaiting).await
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
async fn two_columns_never_differ_only_in_case() {
    let folder = TempDir::new().unwrap();
    let lake = anchored(&folder).await;
    let error = add(&lake, 0, "ID", PrimitiveType::Long).await.unwrap_err();
    assert!(
        error.to_string().contains("`ID` would have the name of `id`"),
        "{error}"
    );
}
