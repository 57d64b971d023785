//! What every catalog must do that is served to engines.

use std::collections::{BTreeMap, BTreeSet};

use iceberg::{NamespaceIdent, TableIdent, TableUpdate};
use serde_json::json;

use super::{append, applied, assert_unmoved, create_in, creation, namespace, new_table, set_property};
use crate::{CatalogError, CommitOutcome, Entry, LoadedTable, NamespaceChange, ServedCatalog, TableCommit};

/// All cases, one after the other, each in namespaces of its own.
pub async fn served(catalog: &dyn ServedCatalog) {
    namespaces_have_properties(catalog).await;
    a_namespace_is_dropped_when_it_is_empty(catalog).await;
    staging_makes_nothing(catalog).await;
    a_staged_table_is_made_once(catalog).await;
    a_dropped_table_can_be_registered(catalog).await;
    a_table_can_be_renamed(catalog).await;
    all_tables_change_or_none(catalog).await;
    a_table_is_dated_as_its_newest_snapshot(catalog).await;
}

fn properties<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    BTreeMap::from(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())))
}

fn keys<const N: usize>(keys: [&str; N]) -> BTreeSet<String> {
    BTreeSet::from(keys.map(str::to_owned))
}

/// Properties are given at the creation, changed and removed together, and belong to one namespace.
pub async fn namespaces_have_properties(catalog: &dyn ServedCatalog) {
    let (shop, plain) = (namespace("has_properties"), namespace("has_none"));
    let missing = catalog.namespace_properties(&shop).await.unwrap_err();
    assert!(matches!(missing, CatalogError::NotFound { entry: Entry::Namespace(n), .. } if n == shop));
    let missing = catalog
        .change_namespace(&shop, NamespaceChange::default())
        .await
        .unwrap_err();
    assert!(matches!(missing, CatalogError::NotFound { .. }), "{missing}");

    let first = properties([("owner", "Ann"), ("cost", "7")]);
    catalog.create_namespace_with(&shop, first.clone()).await.unwrap();
    let again = catalog
        .create_namespace_with(&shop, BTreeMap::new())
        .await
        .unwrap_err();
    assert!(matches!(again, CatalogError::AlreadyExists { .. }), "{again}");
    catalog.create_namespace(&plain).await.unwrap();
    assert_eq!(catalog.namespace_properties(&shop).await.unwrap(), first);
    assert_eq!(
        catalog.namespace_properties(&plain).await.unwrap(),
        BTreeMap::new()
    );

    let change = NamespaceChange {
        updates: properties([("owner", "Bob"), ("a", "1")]),
        removals: keys(["cost", "absent"]),
    };
    let removed = catalog.change_namespace(&shop, change).await.unwrap();
    assert_eq!(removed, keys(["cost"]));
    assert_eq!(
        catalog.namespace_properties(&shop).await.unwrap(),
        properties([("owner", "Bob"), ("a", "1")])
    );
    let all = NamespaceChange {
        removals: keys(["owner", "a"]),
        ..NamespaceChange::default()
    };
    catalog.change_namespace(&shop, all).await.unwrap();
    assert!(
        catalog.list_namespaces().await.unwrap().contains(&shop),
        "a namespace outlives its properties"
    );
    assert_eq!(
        catalog.namespace_properties(&plain).await.unwrap(),
        BTreeMap::new()
    );
}

/// Tables and inner namespaces keep a namespace; names that only begin alike do not.
pub async fn a_namespace_is_dropped_when_it_is_empty(catalog: &dyn ServedCatalog) {
    let outer = namespace("dropped");
    let inner = NamespaceIdent::from_strs(["dropped", "inner"]).unwrap();
    let missing = catalog.drop_namespace(&outer).await.unwrap_err();
    assert!(matches!(missing, CatalogError::NotFound { entry: Entry::Namespace(n), .. } if n == outer));
    for made in [&outer, &inner, &namespace("dropped_not")] {
        catalog.create_namespace(made).await.unwrap();
    }
    let not_empty = |error: CatalogError, namespace: &NamespaceIdent| {
        assert!(
            matches!(&error, CatalogError::NotEmpty { entry: Entry::Namespace(n), .. } if n == namespace),
            "{error}"
        );
    };
    not_empty(catalog.drop_namespace(&outer).await.unwrap_err(), &outer);
    let table = create_in(catalog, &inner, "t").await;
    not_empty(catalog.drop_namespace(&inner).await.unwrap_err(), &inner);
    catalog.drop_table(&table.ident).await.unwrap();
    catalog.drop_namespace(&inner).await.unwrap();
    catalog.drop_namespace(&outer).await.unwrap();
    let listed = catalog.list_namespaces().await.unwrap();
    assert!(!listed.contains(&outer) && !listed.contains(&inner), "{listed:?}");
    assert!(listed.contains(&namespace("dropped_not")), "{listed:?}");
    catalog.create_namespace(&outer).await.unwrap();
}

/// What is staged is what would be made, and nothing is there afterwards.
pub async fn staging_makes_nothing(catalog: &dyn ServedCatalog) {
    let home = namespace("staging");
    let missing = catalog.stage(&home, creation("t")).await.unwrap_err();
    assert!(
        matches!(
            missing,
            CatalogError::NotFound {
                entry: Entry::Namespace(_),
                ..
            }
        ),
        "{missing}"
    );
    catalog.create_namespace(&home).await.unwrap();
    let staged = catalog.stage(&home, creation("t")).await.unwrap();
    assert!(staged.location().contains("://"), "{}", staged.location());
    assert!(catalog.list_tables(&home).await.unwrap().is_empty());
    let made = create_in(catalog, &home, "t").await;
    assert_eq!(staged.current_schema(), made.metadata.current_schema());
    assert_eq!(staged.location(), made.metadata.location());
    let taken = catalog.stage(&home, creation("t")).await.unwrap_err();
    assert!(matches!(taken, CatalogError::AlreadyExists { .. }), "{taken}");
}

/// A table that updates describe is made with their ids; the second to make it conflicts.
pub async fn a_staged_table_is_made_once(catalog: &dyn ServedCatalog) {
    let home = namespace("staged");
    catalog.create_namespace(&home).await.unwrap();
    let ident = TableIdent::new(home, "t".to_owned());
    let create = || {
        vec![TableCommit::Create {
            ident: ident.clone(),
            updates: described(),
        }]
    };
    let table = one(catalog.commit_all(create()).await);
    assert_eq!(table.ident, ident);
    assert_eq!(table.metadata.current_schema().field_id_by_name("c"), Some(9));
    assert_unmoved(catalog, &table).await;
    let again = catalog.commit_all(create()).await;
    assert!(matches!(again, CommitOutcome::Conflict(_)), "{again:?}");
    assert_unmoved(catalog, &table).await;
    applied(catalog, &table, append(&table, 1)).await;
}

/// All of a table with the one column `c`, whose id is 9.
fn described() -> Vec<TableUpdate> {
    serde_json::from_value(json!([
        { "action": "add-schema", "schema": { "type": "struct", "schema-id": 0, "fields": [
            { "id": 9, "name": "c", "required": true, "type": "long" } ] } },
        { "action": "set-current-schema", "schema-id": -1 },
    ]))
    .unwrap()
}

/// Under its old name or another one, at the metadata that it had; not over a table that is there.
pub async fn a_dropped_table_can_be_registered(catalog: &dyn ServedCatalog) {
    let table = new_table(catalog, "registered").await;
    let table = applied(catalog, &table, append(&table, 1)).await;
    let location = table.metadata_location.as_str();
    catalog.drop_table(&table.ident).await.unwrap();
    let name = |name: &str| TableIdent::new(table.ident.namespace.clone(), name.to_owned());

    let nowhere = TableIdent::new(namespace("registered_nowhere"), "t".to_owned());
    let missing = catalog.register(&nowhere, location).await.unwrap_err();
    assert!(
        matches!(
            missing,
            CatalogError::NotFound {
                entry: Entry::Namespace(_),
                ..
            }
        ),
        "{missing}"
    );
    let absent = format!("{location}.absent");
    let missing = catalog.register(&name("again"), &absent).await.unwrap_err();
    assert!(
        matches!(&missing, CatalogError::Corrupt { location, .. } if *location == absent),
        "{missing}"
    );

    let again = catalog.register(&name("again"), location).await.unwrap();
    assert_eq!(
        (again.metadata_location.as_str(), &again.metadata),
        (location, &table.metadata)
    );
    assert_unmoved(catalog, &again).await;
    let taken = catalog.register(&name("again"), location).await.unwrap_err();
    assert!(
        matches!(&taken, CatalogError::AlreadyExists { entry: Entry::Table(t), .. } if *t == name("again")),
        "{taken}"
    );
    applied(catalog, &again, append(&again, 2)).await;
}

/// A renamed table is the same table; commits under its old name conflict.
pub async fn a_table_can_be_renamed(catalog: &dyn ServedCatalog) {
    let table = new_table(catalog, "renamed").await;
    let other = create_in(catalog, &table.ident.namespace, "other").await;
    catalog.create_namespace(&namespace("renamed_to")).await.unwrap();
    let to = TableIdent::new(namespace("renamed_to"), "u".to_owned());

    let taken = catalog.rename(&table.ident, &other.ident).await.unwrap_err();
    assert!(
        matches!(&taken, CatalogError::AlreadyExists { entry: Entry::Table(t), .. } if *t == other.ident),
        "{taken}"
    );
    let nowhere = TableIdent::new(namespace("renamed_nowhere"), "u".to_owned());
    let missing = catalog.rename(&table.ident, &nowhere).await.unwrap_err();
    assert!(
        matches!(&missing, CatalogError::NotFound { entry: Entry::Namespace(n), .. } if *n == nowhere.namespace),
        "{missing}"
    );
    let missing = catalog.rename(&to, &table.ident).await.unwrap_err();
    assert!(
        matches!(&missing, CatalogError::NotFound { entry: Entry::Table(t), .. } if *t == to),
        "{missing}"
    );

    catalog.rename(&table.ident, &to).await.unwrap();
    assert!(matches!(
        catalog.load(&table.ident).await,
        Err(CatalogError::NotFound { .. })
    ));
    let renamed = catalog.load(&to).await.unwrap();
    assert_eq!(
        (&renamed.metadata_location, &renamed.metadata),
        (&table.metadata_location, &table.metadata)
    );
    let stale = catalog.commit(&table, append(&table, 1)).await;
    assert!(matches!(stale, CommitOutcome::Conflict(_)), "{stale:?}");
    applied(catalog, &renamed, append(&renamed, 2)).await;
}

/// One stale base, one taken name or one update that cannot be applied, and no table has changed.
pub async fn all_tables_change_or_none(catalog: &dyn ServedCatalog) {
    let a = new_table(catalog, "all").await;
    let b = create_in(catalog, &a.ident.namespace, "b").await;
    let change = |base: &LoadedTable, id| TableCommit::Change {
        base: base.clone(),
        change: append(base, id),
    };
    let create = |name: &str| TableCommit::Create {
        ident: TableIdent::new(a.ident.namespace.clone(), name.to_owned()),
        updates: described(),
    };
    let tables = match catalog
        .commit_all(vec![change(&a, 1), create("c"), change(&b, 2)])
        .await
    {
        CommitOutcome::Applied(tables) => tables,
        other => panic!("{other:?}"),
    };
    let names: Vec<&str> = tables.iter().map(|table| table.ident.name()).collect();
    assert_eq!(names, ["t", "c", "b"], "in the order of the commits");
    for table in &tables {
        assert_unmoved(catalog, table).await;
    }
    assert_eq!(tables[0].metadata.current_snapshot_id(), Some(1));
    assert_eq!(tables[2].metadata.current_snapshot_id(), Some(2));

    let (new_a, new_b) = (&tables[0], &tables[2]);
    let mut unknown = set_property("a", "1");
    unknown
        .updates
        .push(TableUpdate::RemovePartitionSpecs { spec_ids: vec![0] });
    let impossible = TableCommit::Change {
        base: new_b.clone(),
        change: unknown,
    };
    for (commits, conflicts) in [
        (vec![change(new_a, 3), change(&b, 4)], true),
        (vec![change(&a, 5), change(new_b, 6)], true),
        (vec![change(new_a, 7), create("c")], true),
        (vec![create("d"), impossible], false),
    ] {
        let outcome = catalog.commit_all(commits).await;
        match &outcome {
            CommitOutcome::Conflict(words) if conflicts => assert!(!words.is_empty()),
            CommitOutcome::Rejected(words) if !conflicts => assert!(!words.is_empty()),
            _ => panic!("{outcome:?}"),
        }
        for table in &tables {
            assert_unmoved(catalog, table).await;
        }
    }
    let listed = catalog.list_tables(&a.ident.namespace).await.unwrap();
    assert_eq!(listed.len(), 3, "{listed:?}");
}

fn one(outcome: CommitOutcome<Vec<LoadedTable>>) -> LoadedTable {
    match outcome {
        CommitOutcome::Applied(mut tables) if tables.len() == 1 => tables.remove(0),
        other => panic!("{other:?}"),
    }
}

/// By the clock of whoever made the snapshot and not by the host's, which a simulated one would stand before.
pub async fn a_table_is_dated_as_its_newest_snapshot(catalog: &dyn ServedCatalog) {
    let mut table = new_table(catalog, "dated").await;
    for id in [1, 2] {
        table = applied(catalog, &table, append(&table, id)).await;
        let loaded = catalog.load(&table.ident).await.unwrap().metadata;
        let snapshot = loaded.snapshot_by_id(id).unwrap();
        assert_eq!(loaded.last_updated_ms(), snapshot.timestamp_ms());
    }
}
