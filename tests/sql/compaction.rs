//! What DuckDB reads of a compacted table is what was in it before: rows that were deleted by position and by value stay
//! away.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use iceberg::spec::{
    Literal, MAIN_BRANCH, SnapshotReference, SnapshotRetention, Transform, UnboundPartitionSpec,
};
use iceberg::{TableIdent, TableUpdate};
use serde_json::{Value, json};
use tabletopic_catalog::{CommitOutcome, TableChange};
use tabletopic_maintain::Allowance;
use tabletopic_maintain::compact::{Known, Means, Options, Outcome, Round, carry_out};
use tabletopic_maintain::pace::Unbounded;
use tabletopic_table::Lake;
use tabletopic_table::commit::LogWaiting;
use tabletopic_testkit::must;

use crate::deletes::{delete_in, table};
use crate::lake::{TestLake, make, open};

/// `tabletopic compact`, which has to succeed: what it did.
pub fn compact(lake: &TestLake, table: &str, more: &[&str]) -> Value {
    let output = lake.tabletopic(&[&["compact", table, "--output", "json"], more].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{said}"))[0].clone()
}

#[test]
fn duckdb_reads_the_same_rows_after_it() {
    let lake = make();
    let catalog = lake.path("catalog.db").display().to_string();
    let (asked, answer) = (lake.path("asked.sql"), lake.path("answer.parquet"));
    let (asked, answer) = (asked.display().to_string(), answer.display().to_string());
    let query = "SELECT * FROM returns";
    std::fs::write(&asked, query).unwrap();
    let output = lake.sql(&["-c", query, "--output", "parquet", "-o", &answer]);
    assert!(output.status.success(), "{output:?}");
    let files = || must("files", &["--catalog", &catalog, "--table", "shop.returns"]);
    let before = files();
    assert!(before["live_delete_files"].as_u64() > Some(2), "{before:#}");

    let did = compact(&lake, "shop.returns", &[]);
    let pieces = did["pieces"].as_array().unwrap();
    assert!(
        pieces.len() == 1 && pieces[0]["outcome"] == "committed",
        "{did:#}"
    );
    let after = files();
    assert_eq!(
        (&after["live_delete_files"], &after["live_data_files"]),
        (&json!(0), &json!(1))
    );

    let compared = must(
        "answers",
        &[
            "--catalog",
            &catalog,
            "--namespace",
            "shop",
            "--answer",
            &asked,
            &answer,
        ],
    );
    assert_eq!(compared["compared"], json!(1), "{compared:#}");
    must("metrics", &["--catalog", &catalog, "--table", "shop.returns"]);
}

/// They apply by sequence numbers, which entries keep when they move.
#[test]
fn rows_stay_deleted_where_manifests_are_written_anew() {
    let lake = make();
    let catalog = lake.path("catalog.db").display().to_string();
    let duckdb_agrees = || {
        let (asked, answer) = (lake.path("asked.sql"), lake.path("answer.parquet"));
        let (asked, answer) = (asked.display().to_string(), answer.display().to_string());
        std::fs::write(&asked, "SELECT * FROM returns").unwrap();
        let of = ["--catalog", &catalog, "--namespace", "shop"];
        must("answers", &[&of[..], &["--answer", &asked, &answer]].concat())
    };
    let answer = lake.path("answer.parquet").display().to_string();
    let query = [
        "-c",
        "SELECT * FROM returns",
        "--output",
        "parquet",
        "-o",
        &answer,
    ];
    assert!(lake.sql(&query).status.success());
    let seen = || must("manifests", &["--catalog", &catalog, "--table", "shop.returns"]);
    let before = seen();
    assert_eq!((&before["data"], &before["deletes"]), (&json!(3), &json!(1)));

    let output = lake.tabletopic(&["manifests", "shop.returns", "--output", "json"]);
    assert!(output.status.success(), "{output:?}");
    let after = seen();
    assert_eq!((&after["data"], &after["deletes"]), (&json!(1), &json!(1)));
    assert_eq!(after["entries"], before["entries"]);
    let compared = duckdb_agrees();
    assert_eq!(compared["compared"], json!(1), "{compared:#}");
}

/// Deletes that were applied while files were read are not in `main` any more: their rows are.
#[tokio::test]
async fn it_is_dropped_where_main_was_rolled_back_since_it_was_read() {
    let made = tokio::task::spawn_blocking(make).await.unwrap();
    let lake = open(&made.path("")).await;
    let round = surveyed(&lake, &Options::BY_HAND).await;
    roll_back(&lake, &table()).await;

    let why = dropped(&lake, &round).await;
    assert!(why.contains("is not in `main` any more"), "{why}");
    let now = lake.catalog.load(&table()).await.unwrap();
    assert_eq!(now.metadata.current_snapshot().unwrap().sequence_number(), 2);
}

/// Deletes of values in a partition are not of rows that come into it from elsewhere with what was read before.
#[tokio::test]
async fn rows_that_move_are_dropped_where_values_were_deleted_meanwhile_in_their_new_partition() {
    let made = tokio::task::spawn_blocking(make).await.unwrap();
    let lake = open(&made.path("")).await;
    let base = lake.catalog.load(&table()).await.unwrap();
    let spec = UnboundPartitionSpec::builder()
        .with_spec_id(1)
        .add_partition_field(2, "reason", Transform::Identity)
        .unwrap();
    let change = TableChange {
        requirements: Vec::new(),
        updates: vec![
            TableUpdate::AddSpec { spec: spec.build() },
            TableUpdate::SetDefaultSpec { spec_id: -1 },
        ],
    };
    let outcome = lake.catalog.commit(&base, change).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    let options = Options {
        old_specs: true,
        ..Options::BY_HAND
    };
    let round = surveyed(&lake, &options).await;
    let late = [Some(Literal::string("late"))].into_iter().collect();
    delete_in(&lake, 2, 1, late).await;

    let why = dropped(&lake, &round).await;
    assert!(why.contains("were deleted meanwhile"), "{why}");
}

/// A round in which there is one piece to rewrite.
async fn surveyed(lake: &Lake, options: &Options) -> Round {
    let round = Round::of(lake, &table(), options, &Known::NOTHING, &LogWaiting).await;
    let round = round.unwrap().expect("it has snapshots");
    assert_eq!(round.pieces.len(), 1);
    round
}

/// Carries out a round that comes to nothing, and answers why.
async fn dropped(lake: &Lake, round: &Round) -> String {
    let means = Means {
        lake,
        waiting: &LogWaiting,
        memory: &Allowance::new(1 << 20),
        pace: Arc::new(Unbounded),
        sort_memory: 0,
    };
    let told = Mutex::new(Vec::new());
    carry_out(&means, round, NonZeroUsize::MIN, &|done| {
        told.lock().unwrap().push(done)
    })
    .await
    .unwrap();
    let told = told.into_inner().unwrap();
    let [done] = told.as_slice() else {
        panic!("{told:?}")
    };
    match &done.outcome {
        Outcome::Dropped { why } => why.clone(),
        _ => panic!("{done:?}"),
    }
}

/// To the last snapshot without deletes.
async fn roll_back(lake: &Lake, table: &TableIdent) {
    let base = lake.catalog.load(table).await.unwrap();
    let mut snapshots = base.metadata.snapshots();
    let second = snapshots
        .find(|snapshot| snapshot.sequence_number() == 2)
        .unwrap();
    let retention = SnapshotRetention::branch(None, None, None);
    let change = TableChange {
        requirements: Vec::new(),
        updates: vec![TableUpdate::SetSnapshotRef {
            ref_name: MAIN_BRANCH.to_owned(),
            reference: SnapshotReference::new(second.snapshot_id(), retention),
        }],
    };
    let outcome = lake.catalog.commit(&base, change).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}
