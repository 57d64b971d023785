//! What every catalog must do, as a suite for its tests: [`conformance`] runs all cases against a catalog that
//! has none of the cases' namespaces yet. A failed case panics.
//!
//! Built for this crate's tests, and with the feature `conformance` for those of other crates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test support: a failure is a panic"
)]

mod served;

use std::collections::{HashMap, HashSet};

use iceberg::spec::{
    MAIN_BRANCH, NestedField, Operation, PrimitiveType, Schema, Snapshot, SnapshotReference,
    SnapshotRetention, StructType, Summary, TableMetadata, Transform, Type, UnboundPartitionSpec,
};
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

use crate::{Catalog, CatalogError, CommitOutcome, Entry, LoadedTable, TableChange};

pub use served::served;

const TAG: &str = "tabletopic";

/// All cases, one after the other, each in a namespace of its own.
pub async fn conformance(catalog: &dyn Catalog) {
    namespaces(catalog).await;
    create_twice(catalog).await;
    two_creators_one_wins(catalog).await;
    create_chooses_what_is_left_open(catalog).await;
    missing_is_not_found(catalog).await;
    snapshot_branch_tag_and_summary_land_together(catalog).await;
    stale_base_conflicts(catalog).await;
    resent_body_adds_nothing(catalog).await;
    two_writers_one_wins(catalog).await;
    every_requirement_is_checked(catalog).await;
    schema_changes(catalog).await;
    metadata_can_always_be_read_back(catalog).await;
    properties_change(catalog).await;
    main_can_be_set_back(catalog).await;
    metadata_locations_are_unique(catalog).await;
    rejected_update_leaves_nothing(catalog).await;
    load_sees_others(catalog).await;
    drop_forgets(catalog).await;
    odd_table_names(catalog).await;
}

/// Namespaces are made once and listed, nested ones too.
pub async fn namespaces(catalog: &dyn Catalog) {
    let outer = namespace("namespaces");
    let inner = NamespaceIdent::from_strs(["namespaces", "inner"]).unwrap();
    for namespace in [&outer, &inner] {
        catalog.create_namespace(namespace).await.unwrap();
        let again = catalog.create_namespace(namespace).await.unwrap_err();
        assert!(
            matches!(again, CatalogError::AlreadyExists { entry: Entry::Namespace(n), .. } if n == *namespace)
        );
    }
    let listed = catalog.list_namespaces().await.unwrap();
    assert!(listed.contains(&outer) && listed.contains(&inner), "{listed:?}");
    assert!(listed.is_sorted(), "{listed:?}");

    create_in(catalog, &inner, "b").await;
    create_in(catalog, &inner, "a").await;
    let tables = catalog.list_tables(&inner).await.unwrap();
    assert_eq!(
        tables.iter().map(TableIdent::name).collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert!(
        catalog.list_tables(&outer).await.unwrap().is_empty(),
        "only direct tables are listed"
    );
}

/// The second creation of a table is refused and leaves the first as it is.
pub async fn create_twice(catalog: &dyn Catalog) {
    let table = new_table(catalog, "create_twice").await;
    let again = catalog
        .create(&table.ident.namespace, creation("t"))
        .await
        .unwrap_err();
    assert!(matches!(again, CatalogError::AlreadyExists { entry: Entry::Table(t), .. } if t == table.ident));
    assert_unmoved(catalog, &table).await;
}

/// Of two creators at once one succeeds, and the other is told that the table exists.
pub async fn two_creators_one_wins(catalog: &dyn Catalog) {
    let namespace = namespace("two_creators_one_wins");
    catalog.create_namespace(&namespace).await.unwrap();
    for round in 0..10 {
        let name = format!("t{round}");
        let (a, b) = tokio::join!(
            catalog.create(&namespace, creation(&name)),
            catalog.create(&namespace, creation(&name))
        );
        let (created, refused) = match (a, b) {
            (Ok(created), Err(refused)) | (Err(refused), Ok(created)) => (created, refused),
            both => panic!("one creator must win: {both:?}"),
        };
        assert!(matches!(refused, CatalogError::AlreadyExists { .. }), "{refused}");
        assert_unmoved(catalog, &created).await;
    }
}

/// Location, uuid and time are given by the catalog; schema, spec and properties are the creation's.
pub async fn create_chooses_what_is_left_open(catalog: &dyn Catalog) {
    let created = new_table(catalog, "create_chooses").await;
    let metadata = &created.metadata;
    assert!(
        metadata.location().contains("://"),
        "not absolute: {}",
        metadata.location()
    );
    assert!(
        created.metadata_location.starts_with(metadata.location()),
        "{}",
        created.metadata_location
    );
    assert_eq!(
        metadata.properties().get("made-by").map(String::as_str),
        Some("conformance")
    );
    assert_eq!(metadata.current_schema().as_struct().fields().len(), 2);
    assert_eq!(
        metadata.default_partition_spec().fields()[0].name,
        "offset_bucket"
    );
    assert!(metadata.current_snapshot().is_none());
    let other = create_in(catalog, &created.ident.namespace, "other").await;
    assert_ne!(metadata.uuid(), other.metadata.uuid());
    assert_ne!(metadata.location(), other.metadata.location());

    let mut elsewhere = creation("elsewhere");
    elsewhere.location = Some(format!("{}-elsewhere", metadata.location()));
    let elsewhere = catalog.create(&created.ident.namespace, elsewhere).await.unwrap();
    assert_eq!(
        elsewhere.metadata.location(),
        format!("{}-elsewhere", metadata.location())
    );
}

/// What is not there is reported as such, and as what it is.
pub async fn missing_is_not_found(catalog: &dyn Catalog) {
    let missing = namespace("missing_is_not_found");
    let listed = catalog.list_tables(&missing).await.unwrap_err();
    assert!(matches!(listed, CatalogError::NotFound { entry: Entry::Namespace(n), .. } if n == missing));
    let created = catalog.create(&missing, creation("t")).await.unwrap_err();
    assert!(matches!(created, CatalogError::NotFound { entry: Entry::Namespace(n), .. } if n == missing));

    catalog.create_namespace(&missing).await.unwrap();
    let table = TableIdent::new(missing, "t".to_owned());
    let loaded = catalog.load(&table).await.unwrap_err();
    assert!(matches!(loaded, CatalogError::NotFound { entry: Entry::Table(t), .. } if t == table));
    let located = catalog.metadata_location(&table).await.unwrap_err();
    assert!(matches!(located, CatalogError::NotFound { entry: Entry::Table(t), .. } if t == table));
    let dropped = catalog.drop_table(&table).await.unwrap_err();
    assert!(matches!(dropped, CatalogError::NotFound { entry: Entry::Table(t), .. } if t == table));
}

/// The commit protocol rests on this: the snapshot with its summary, `main` and the tag move in one commit.
pub async fn snapshot_branch_tag_and_summary_land_together(catalog: &dyn Catalog) {
    let mut table = new_table(catalog, "snapshots").await;
    for id in [11, 12] {
        table = applied(catalog, &table, append(&table, id)).await;
        let loaded = catalog.load(&table.ident).await.unwrap();
        for seen in [&table.metadata, &loaded.metadata] {
            assert_eq!(seen.current_snapshot_id(), Some(id));
            assert_eq!(seen.snapshot_for_ref(TAG).unwrap().snapshot_id(), id);
            let snapshot = seen.snapshot_by_id(id).unwrap();
            assert_eq!(
                snapshot.summary().additional_properties["tabletopic.test"],
                format!("state {id}")
            );
            // A server may date the table by its own clock.
            assert!(seen.last_updated_ms() >= snapshot.timestamp_ms());
        }
        assert_eq!(loaded.metadata_location, table.metadata_location);
        assert_eq!(
            loaded.metadata, table.metadata,
            "what a commit answers is what a load shows"
        );
    }
    assert_eq!(table.metadata.snapshots().len(), 2);
    assert_eq!(
        table
            .metadata
            .history()
            .iter()
            .map(|log| log.snapshot_id)
            .collect::<Vec<_>>(),
        [11, 12]
    );
}

/// A commit on a version that is not the current one conflicts, whatever it asks for.
pub async fn stale_base_conflicts(catalog: &dyn Catalog) {
    let stale = new_table(catalog, "stale_base").await;
    let current = applied(catalog, &stale, append(&stale, 21)).await;
    assert_conflict(catalog.commit(&stale, append(&stale, 22)).await);
    assert_unmoved(catalog, &current).await;
}

/// After an unknown outcome the body is sent again: if the first did land, that is a conflict or the first once more, and
/// never a second snapshot.
pub async fn resent_body_adds_nothing(catalog: &dyn Catalog) {
    let base = new_table(catalog, "resent_body").await;
    let body = append(&base, 31);
    let current = applied(catalog, &base, body.clone()).await;
    match catalog.commit(&base, body).await {
        CommitOutcome::Conflict(words) => assert!(!words.is_empty()),
        CommitOutcome::Applied(table) => assert_eq!(table.metadata_location, current.metadata_location),
        outcome => panic!("{outcome:?}"),
    }
    assert_unmoved(catalog, &current).await;
}

/// Of two writers on one base exactly one wins, round after round, and nothing is lost between them.
pub async fn two_writers_one_wins(catalog: &dyn Catalog) {
    const ROUNDS: i64 = 25;
    let mut table = new_table(catalog, "two_writers").await;
    let mut expected = HashSet::new();
    for round in 0..ROUNDS {
        let (left, right) = (100 + 2 * round, 101 + 2 * round);
        let (a, b) = tokio::join!(
            catalog.commit(&table, append(&table, left)),
            catalog.commit(&table, append(&table, right))
        );
        let (won, winner, loser) = match (a, b) {
            (CommitOutcome::Applied(won), loser) => (won, left, loser),
            (loser, CommitOutcome::Applied(won)) => (won, right, loser),
            both => panic!("round {round}: one writer must win: {both:?}"),
        };
        assert_conflict(loser);
        expected.insert(winner);
        table = catalog.load(&table.ident).await.unwrap();
        assert_eq!(table.metadata_location, won.metadata_location);
        assert_eq!(snapshot_ids(&table.metadata), expected, "round {round}");
    }
}

/// Each kind of requirement lets a true claim pass, and turns a false one into a conflict.
pub async fn every_requirement_is_checked(catalog: &dyn Catalog) {
    let table = new_table(catalog, "requirements").await;
    let table = applied(catalog, &table, append(&table, 41)).await;
    let metadata = &table.metadata;
    let mut other_uuid = *metadata.uuid().as_bytes();
    other_uuid[0] ^= 1;
    let reference = |name: &str, snapshot_id| TableRequirement::RefSnapshotIdMatch {
        r#ref: name.to_owned(),
        snapshot_id,
    };
    let claims = [
        (
            TableRequirement::UuidMatch {
                uuid: metadata.uuid(),
            },
            true,
        ),
        (
            TableRequirement::UuidMatch {
                uuid: uuid::Uuid::from_bytes(other_uuid),
            },
            false,
        ),
        (TableRequirement::NotExist, false),
        (reference(MAIN_BRANCH, Some(41)), true),
        (reference(MAIN_BRANCH, Some(40)), false),
        (reference(MAIN_BRANCH, None), false),
        (reference(TAG, Some(41)), true),
        (reference(TAG, Some(40)), false),
        (reference("absent", None), true),
        (reference("absent", Some(41)), false),
        (
            TableRequirement::CurrentSchemaIdMatch {
                current_schema_id: metadata.current_schema_id(),
            },
            true,
        ),
        (
            TableRequirement::CurrentSchemaIdMatch { current_schema_id: 9 },
            false,
        ),
        (
            TableRequirement::LastAssignedFieldIdMatch {
                last_assigned_field_id: metadata.last_column_id(),
            },
            true,
        ),
        (
            TableRequirement::LastAssignedFieldIdMatch {
                last_assigned_field_id: 9,
            },
            false,
        ),
        (
            TableRequirement::DefaultSpecIdMatch {
                default_spec_id: metadata.default_partition_spec_id(),
            },
            true,
        ),
        (TableRequirement::DefaultSpecIdMatch { default_spec_id: 9 }, false),
        (
            TableRequirement::LastAssignedPartitionIdMatch {
                last_assigned_partition_id: metadata.last_partition_id(),
            },
            true,
        ),
        (
            TableRequirement::LastAssignedPartitionIdMatch {
                last_assigned_partition_id: 9,
            },
            false,
        ),
        (
            TableRequirement::DefaultSortOrderIdMatch {
                default_sort_order_id: metadata.default_sort_order_id(),
            },
            true,
        ),
        (
            TableRequirement::DefaultSortOrderIdMatch {
                default_sort_order_id: 9,
            },
            false,
        ),
    ];
    let mut table = table;
    for (claim, holds) in claims {
        let change = TableChange {
            requirements: vec![claim.clone()],
            ..set_property("checked", &format!("{claim:?}"))
        };
        match catalog.commit(&table, change).await {
            CommitOutcome::Applied(next) if holds => table = next,
            CommitOutcome::Conflict(words) if !holds => assert!(!words.is_empty()),
            outcome => panic!("{claim:?} (holds: {holds}): {outcome:?}"),
        }
        assert_unmoved(catalog, &table).await;
    }
}

/// A column is added under a new schema, guarded by schema and field id.
pub async fn schema_changes(catalog: &dyn Catalog) {
    let table = new_table(catalog, "schema_changes").await;
    let mut fields = table.metadata.current_schema().as_struct().fields().to_vec();
    fields.push(NestedField::optional(3, "added", Type::Primitive(PrimitiveType::Double)).into());
    let change = TableChange {
        requirements: vec![
            TableRequirement::CurrentSchemaIdMatch { current_schema_id: 0 },
            TableRequirement::LastAssignedFieldIdMatch {
                last_assigned_field_id: 2,
            },
        ],
        updates: vec![
            TableUpdate::AddSchema {
                schema: Schema::builder()
                    .with_schema_id(1)
                    .with_fields(fields)
                    .build()
                    .unwrap(),
            },
            TableUpdate::SetCurrentSchema { schema_id: -1 },
        ],
    };
    let changed = applied(catalog, &table, change.clone()).await;
    let loaded = catalog.load(&changed.ident).await.unwrap().metadata;
    assert_eq!((loaded.current_schema_id(), loaded.last_column_id()), (1, 3));
    assert!(loaded.current_schema().field_by_name("added").is_some());
    assert_eq!(loaded.schemas_iter().len(), 2);
    assert_conflict(catalog.commit(&changed, change).await);
}

/// Types nested deeper than a JSON parser follows are refused, in a change and in a creation.
pub async fn metadata_can_always_be_read_back(catalog: &dyn Catalog) {
    let table = new_table(catalog, "read_back").await;
    let deep = (4..60)
        .rev()
        .fold(Type::Primitive(PrimitiveType::Long), |inner, id| {
            Type::Struct(StructType::new(vec![
                NestedField::optional(id, "a", inner).into(),
            ]))
        });
    let mut fields = table.metadata.current_schema().as_struct().fields().to_vec();
    fields.push(NestedField::optional(3, "deep", deep).into());
    let schema = Schema::builder()
        .with_schema_id(1)
        .with_fields(fields)
        .build()
        .unwrap();
    let change = TableChange {
        updates: vec![
            TableUpdate::AddSchema {
                schema: schema.clone(),
            },
            TableUpdate::SetCurrentSchema { schema_id: -1 },
        ],
        ..TableChange::default()
    };
    match catalog.commit(&table, change).await {
        CommitOutcome::Rejected(words) => assert!(words.contains("read back"), "{words}"),
        outcome => panic!("{outcome:?}"),
    }
    assert_unmoved(catalog, &table).await;

    let creation = TableCreation {
        schema,
        ..creation("deep")
    };
    let refused = catalog
        .create(&table.ident.namespace, creation)
        .await
        .unwrap_err();
    assert!(matches!(refused, CatalogError::Rejected { .. }), "{refused}");
}

/// Properties are set, overwritten and removed.
pub async fn properties_change(catalog: &dyn Catalog) {
    let table = new_table(catalog, "properties").await;
    let table = applied(catalog, &table, set_property("a", "1")).await;
    let table = applied(catalog, &table, set_property("a", "2")).await;
    assert_eq!(
        catalog.load(&table.ident).await.unwrap().metadata.properties()["a"],
        "2"
    );
    let removal = TableUpdate::RemoveProperties {
        removals: vec!["a".to_owned()],
    };
    let table = applied(
        catalog,
        &table,
        TableChange {
            updates: vec![removal],
            ..Default::default()
        },
    )
    .await;
    let loaded = catalog.load(&table.ident).await.unwrap();
    assert!(!loaded.metadata.properties().contains_key("a"));
    assert_eq!(loaded.metadata.properties()["made-by"], "conformance");
}

/// A rollback: `main` is set to an older snapshot, the tag and the newer snapshot stay.
pub async fn main_can_be_set_back(catalog: &dyn Catalog) {
    let table = new_table(catalog, "set_back").await;
    let table = applied(catalog, &table, append(&table, 51)).await;
    let table = applied(catalog, &table, append(&table, 52)).await;
    let change = TableChange {
        updates: vec![branch(51)],
        ..Default::default()
    };
    let table = applied(catalog, &table, change).await;
    let loaded = catalog.load(&table.ident).await.unwrap();
    assert_eq!(loaded.metadata.current_snapshot_id(), Some(51));
    assert_eq!(loaded.metadata.snapshot_for_ref(TAG).unwrap().snapshot_id(), 52);
    let last = loaded.metadata.history().last().unwrap();
    assert_eq!(
        (last.snapshot_id, last.timestamp_ms()),
        (51, loaded.metadata.last_updated_ms())
    );
    // And it can be written to again.
    applied(catalog, &loaded, append(&loaded, 53)).await;
}

/// No two commits share a metadata location, not even those of tables with one name.
pub async fn metadata_locations_are_unique(catalog: &dyn Catalog) {
    let mut table = new_table(catalog, "unique_locations").await;
    let mut seen = HashSet::new();
    for _ in 0..2 {
        assert!(
            seen.insert(table.metadata_location.clone()),
            "{} is used twice",
            table.metadata_location
        );
        for value in 0..5 {
            table = applied(catalog, &table, set_property("n", &value.to_string())).await;
            assert!(
                seen.insert(table.metadata_location.clone()),
                "{} is used twice",
                table.metadata_location
            );
        }
        catalog.drop_table(&table.ident).await.unwrap();
        table = create_in(catalog, &table.ident.namespace.clone(), "t").await;
    }
}

/// An update that cannot be applied is refused with everything beside it.
pub async fn rejected_update_leaves_nothing(catalog: &dyn Catalog) {
    let table = new_table(catalog, "rejected").await;
    let mut change = set_property("a", "1");
    change.updates.push(branch(61));
    let outcome = catalog.commit(&table, change).await;
    assert!(
        matches!(outcome, CommitOutcome::Rejected(ref words) if words.contains("61")),
        "{outcome:?}"
    );
    assert_unmoved(catalog, &table).await;
    // The base still is good for a commit.
    applied(catalog, &table, append(&table, 62)).await;
}

/// What one client commits, the next load of another shows.
pub async fn load_sees_others(catalog: &dyn Catalog) {
    let mut table = new_table(catalog, "load_sees_others").await;
    for id in 71..76 {
        let before = catalog.load(&table.ident).await.unwrap();
        assert_eq!(before.metadata_location, table.metadata_location);
        table = applied(catalog, &before, append(&before, id)).await;
        let location = catalog.metadata_location(&table.ident).await.unwrap();
        assert_eq!(location, table.metadata_location);
        assert_eq!(
            catalog
                .load(&table.ident)
                .await
                .unwrap()
                .metadata
                .current_snapshot_id(),
            Some(id)
        );
    }
}

/// A dropped table is gone from loads and lists; a commit to it conflicts; its name is free.
pub async fn drop_forgets(catalog: &dyn Catalog) {
    let table = new_table(catalog, "drop_forgets").await;
    catalog.drop_table(&table.ident).await.unwrap();
    assert!(matches!(
        catalog.load(&table.ident).await,
        Err(CatalogError::NotFound { .. })
    ));
    assert!(
        catalog
            .list_tables(&table.ident.namespace)
            .await
            .unwrap()
            .is_empty()
    );
    assert_conflict(catalog.commit(&table, append(&table, 81)).await);
    let again = create_in(catalog, &table.ident.namespace, "t").await;
    assert_ne!(again.metadata.uuid(), table.metadata.uuid());
    assert_conflict(catalog.commit(&table, append(&table, 82)).await);
    assert_unmoved(catalog, &again).await;
}

/// A table's name is data: whatever it holds, it comes back and meets no other name.
pub async fn odd_table_names(catalog: &dyn Catalog) {
    let namespace = namespace("odd_names");
    catalog.create_namespace(&namespace).await.unwrap();
    let names = [
        "Orders", "orders", "or ders", "or'ders", "or\"ders", "or%ders", "or_ders", "a.b", "örders", "1;--",
    ];
    for name in names {
        let created = create_in(catalog, &namespace, name).await;
        applied(catalog, &created, set_property("name", name)).await;
    }
    let mut sorted = names.map(str::to_owned);
    sorted.sort();
    let listed = catalog.list_tables(&namespace).await.unwrap();
    assert_eq!(
        listed.iter().map(|table| table.name.clone()).collect::<Vec<_>>(),
        sorted
    );
    let mut locations = HashSet::new();
    for table in listed {
        let loaded = catalog.load(&table).await.unwrap();
        assert_eq!(loaded.metadata.properties()["name"], table.name);
        assert!(
            locations.insert(loaded.metadata.location().to_owned()),
            "{table:?} shares a location"
        );
    }
}

/// A namespace of its own with one empty table `t(offset long, value string)` in it.
pub async fn new_table(catalog: &dyn Catalog, case: &str) -> LoadedTable {
    let namespace = namespace(case);
    catalog.create_namespace(&namespace).await.unwrap();
    create_in(catalog, &namespace, "t").await
}

/// The change that sets one property, without requirements.
pub fn set_property(key: &str, value: &str) -> TableChange {
    let updates = HashMap::from([(key.to_owned(), value.to_owned())]);
    TableChange {
        requirements: Vec::new(),
        updates: vec![TableUpdate::SetProperties { updates }],
    }
}

/// An append in the shape of the commit protocol: snapshot `id` on top of `main`, `main` and the tag moved.
pub fn append(table: &LoadedTable, id: i64) -> TableChange {
    let metadata = &table.metadata;
    let requirement = |name: &str| TableRequirement::RefSnapshotIdMatch {
        r#ref: name.to_owned(),
        snapshot_id: metadata
            .snapshot_for_ref(name)
            .map(|snapshot| snapshot.snapshot_id()),
    };
    let summary = HashMap::from([("tabletopic.test".to_owned(), format!("state {id}"))]);
    let snapshot = Snapshot::builder()
        .with_snapshot_id(id)
        .with_parent_snapshot_id(metadata.current_snapshot_id())
        .with_sequence_number(metadata.next_sequence_number())
        .with_timestamp_ms(metadata.last_updated_ms() + 1)
        .with_manifest_list(format!("{}/metadata/snap-{id}.avro", metadata.location()))
        .with_summary(Summary {
            operation: Operation::Append,
            additional_properties: summary,
        })
        .with_schema_id(metadata.current_schema_id())
        .build();
    let tag = SnapshotRetention::Tag {
        max_ref_age_ms: Some(i64::MAX),
    };
    TableChange {
        requirements: vec![
            TableRequirement::UuidMatch {
                uuid: metadata.uuid(),
            },
            requirement(MAIN_BRANCH),
            requirement(TAG),
        ],
        updates: vec![
            TableUpdate::AddSnapshot { snapshot },
            branch(id),
            TableUpdate::SetSnapshotRef {
                ref_name: TAG.to_owned(),
                reference: SnapshotReference {
                    snapshot_id: id,
                    retention: tag,
                },
            },
        ],
    }
}

fn branch(snapshot_id: i64) -> TableUpdate {
    let retention = SnapshotRetention::branch(None, None, None);
    TableUpdate::SetSnapshotRef {
        ref_name: MAIN_BRANCH.to_owned(),
        reference: SnapshotReference {
            snapshot_id,
            retention,
        },
    }
}

fn namespace(case: &str) -> NamespaceIdent {
    NamespaceIdent::new(case.to_owned())
}

fn creation(name: &str) -> TableCreation {
    let schema = Schema::builder()
        .with_fields([
            NestedField::required(1, "offset", Type::Primitive(PrimitiveType::Long)).into(),
            NestedField::optional(2, "value", Type::Primitive(PrimitiveType::String)).into(),
        ])
        .build()
        .unwrap();
    let spec = UnboundPartitionSpec::builder()
        .add_partition_field(1, "offset_bucket", Transform::Bucket(4))
        .unwrap()
        .build();
    TableCreation::builder()
        .name(name.to_owned())
        .schema(schema)
        .partition_spec(spec)
        .properties([("made-by".to_owned(), "conformance".to_owned())])
        .build()
}

async fn create_in(catalog: &dyn Catalog, namespace: &NamespaceIdent, name: &str) -> LoadedTable {
    let table = catalog.create(namespace, creation(name)).await.unwrap();
    assert_eq!(table.ident, TableIdent::new(namespace.clone(), name.to_owned()));
    assert_unmoved(catalog, &table).await;
    table
}

async fn applied(catalog: &dyn Catalog, base: &LoadedTable, change: TableChange) -> LoadedTable {
    match catalog.commit(base, change).await {
        CommitOutcome::Applied(table) => table,
        other => panic!("{:?}: {other:?}", base.ident),
    }
}

fn assert_conflict(outcome: CommitOutcome) {
    assert!(
        matches!(outcome, CommitOutcome::Conflict(ref words) if !words.is_empty()),
        "{outcome:?}"
    );
}

async fn assert_unmoved(catalog: &dyn Catalog, table: &LoadedTable) {
    let loaded = catalog.load(&table.ident).await.unwrap();
    assert_eq!(loaded.metadata_location, table.metadata_location);
    assert_eq!(loaded.metadata, table.metadata);
}

fn snapshot_ids(metadata: &TableMetadata) -> HashSet<i64> {
    metadata
        .snapshots()
        .map(|snapshot| snapshot.snapshot_id())
        .collect()
}
