//! PyIceberg in the same database: each sees what the other makes, and of two commits on one base one loses.

use iceberg::{NamespaceIdent, TableIdent};
use tabletopic_catalog::conformance::{new_table, set_property};
use tabletopic_catalog::{Catalog, CommitOutcome};
use tabletopic_testkit::PyIceberg;

use crate::{Lake, SERVER};

fn table() -> TableIdent {
    TableIdent::from_strs(["theirs", "t"]).unwrap()
}

fn beside(lake: &Lake) -> PyIceberg {
    let warehouse = format!("file://{}", lake.warehouse.path().display());
    PyIceberg::beside(&SERVER.sqlalchemy(&lake.database), &warehouse)
}

#[tokio::test]
async fn each_sees_what_the_other_makes() {
    let lake = Lake::new("pyiceberg");
    // It comes first here, and makes the tables of the layout.
    let mut pyiceberg = beside(&lake);
    let location = pyiceberg.does("create theirs.t");
    lake.grant().await;
    let ours = lake.catalog().await;
    let loaded = ours.load(&table()).await.unwrap();
    assert_eq!(location, loaded.metadata_location.as_str());

    let made = new_table(&ours, "ours").await;
    let seen = pyiceberg.does("load ours.t");
    assert_eq!(seen["location"], made.metadata_location.as_str());
    assert_eq!(seen["properties"]["made-by"], "conformance");
    assert_eq!(pyiceberg.does("tables ours")[0], "ours.t");
    let theirs = ours
        .list_tables(&NamespaceIdent::new("theirs".to_owned()))
        .await
        .unwrap();
    assert_eq!(theirs, [table()]);
}

#[tokio::test]
async fn of_two_commits_on_one_base_the_later_one_loses() {
    let lake = Lake::new("conflict");
    let ours = lake.catalog().await;
    let mut pyiceberg = beside(&lake);
    pyiceberg.does("create theirs.t");
    let base = ours.load(&table()).await.unwrap();
    pyiceberg.does("load theirs.t");
    let committed = pyiceberg.does("append 1");
    assert!(committed["committed"].is_string(), "{committed}");
    let outcome = ours.commit(&base, set_property("a", "1")).await;
    assert!(matches!(outcome, CommitOutcome::Conflict(_)), "{outcome:?}");

    let base = ours.load(&table()).await.unwrap();
    let rolled_back = tabletopic_catalog::TableChange {
        updates: vec![iceberg::TableUpdate::RemoveSnapshotRef {
            ref_name: iceberg::spec::MAIN_BRANCH.to_owned(),
        }],
        ..Default::default()
    };
    let outcome = ours.commit(&base, rolled_back).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    let lost = pyiceberg.does("append 2");
    assert!(lost["conflict"].is_string(), "{lost}");
    assert_eq!(pyiceberg.does("load theirs.t")["rows"], serde_json::json!([]));
}

/// Nothing that either has committed is missing at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_write_at_once_and_neither_loses_a_commit() {
    const EACH: usize = 15;
    let lake = Lake::new("together");
    let ours = lake.catalog().await;
    let mut pyiceberg = beside(&lake);
    pyiceberg.does("create theirs.t");
    pyiceberg.does("load theirs.t");
    let theirs = tokio::task::spawn_blocking(move || {
        pyiceberg.does(&format!("appends {EACH}"));
        pyiceberg
    });
    for n in 0..EACH {
        loop {
            let base = ours.load(&table()).await.unwrap();
            match ours.commit(&base, set_property(&format!("ours-{n}"), "1")).await {
                CommitOutcome::Applied(_) => break,
                CommitOutcome::Conflict(_) => {}
                outcome => panic!("{outcome:?}"),
            }
        }
    }
    let mut pyiceberg = theirs.await.unwrap();
    let seen = pyiceberg.does("load theirs.t");
    let rows: Vec<usize> = (0..EACH).collect();
    assert_eq!(seen["rows"], serde_json::json!(rows));
    let properties = seen["properties"].as_object().unwrap();
    let kept = properties.keys().filter(|key| key.starts_with("ours-")).count();
    assert_eq!(kept, EACH, "{properties:?}");
}
