//! Several writers: none loses a commit, and whoever has to wait knows for what.

use std::time::Duration;

use tabletopic_catalog::conformance::{append, new_table, set_property};
use tabletopic_catalog::{Catalog, CommitOutcome, LoadedTable, ServedCatalog, TableCommit};

use crate::{Lake, open, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_at_once_one_wins_each_round() {
    let lake = Lake::new("writers");
    let first = lake.catalog().await;
    let writers = [lake.catalog().await, lake.catalog().await, lake.catalog().await];
    let table = new_table(&first, "shop").await;
    for round in 0..20 {
        let current = first.load(&table.ident).await.unwrap();
        let [a, b, c] = &writers;
        let id = |writer: i64| 3 * round + writer;
        let (a, b, c) = tokio::join!(
            a.commit(&current, append(&current, id(1))),
            b.commit(&current, append(&current, id(2))),
            c.commit(&current, append(&current, id(3)))
        );
        let outcomes = [a, b, c];
        let count =
            |wanted: fn(&CommitOutcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
        let won = count(|outcome| matches!(outcome, CommitOutcome::Applied(_)));
        let lost = count(|outcome| matches!(outcome, CommitOutcome::Conflict(_)));
        assert_eq!((won, lost), (1, 2), "{outcomes:?}");
    }
    let held = first.load(&table.ident).await.unwrap();
    assert_eq!(held.metadata.snapshots().len(), 20);
}

/// They name the tables in opposite orders, and yet never wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_transactions_on_the_same_tables_one_wins_each_round() {
    let lake = Lake::new("transactions");
    let (one, other) = (lake.catalog().await, lake.catalog().await);
    let (mut a, mut b) = (new_table(&one, "a").await, new_table(&one, "b").await);
    for round in 0..20 {
        let commit = |base: &LoadedTable, writer: i64| TableCommit::Change {
            base: base.clone(),
            change: append(base, 2 * round + writer),
        };
        let outcomes = tokio::join!(
            one.commit_all(vec![commit(&a, 1), commit(&b, 1)]),
            other.commit_all(vec![commit(&b, 2), commit(&a, 2)])
        );
        assert!(
            matches!(
                outcomes,
                (CommitOutcome::Applied(_), CommitOutcome::Conflict(_))
                    | (CommitOutcome::Conflict(_), CommitOutcome::Applied(_))
            ),
            "{outcomes:?}"
        );
        a = one.load(&a.ident).await.unwrap();
        b = one.load(&b.ident).await.unwrap();
        let newest = |table: &LoadedTable| table.metadata.current_snapshot_id();
        assert_eq!(newest(&a), newest(&b), "both are of the same transaction");
    }
    assert_eq!(a.metadata.snapshots().len(), 20);
}

#[tokio::test]
async fn a_lock_of_another_session_is_waited_out() {
    let lake = Lake::new("waited-out");
    let catalog = lake.catalog().await;
    let table = new_table(&catalog, "shop").await;
    let (mut other, mut watcher) = (lake.foreign().await, lake.foreign().await);
    run(
        &mut other,
        "BEGIN; UPDATE iceberg_tables SET previous_metadata_location = NULL",
    )
    .await;
    let (outcome, ()) = tokio::join!(catalog.commit(&table, set_property("a", "1")), async {
        waits_for_a_lock(&mut watcher).await;
        run(&mut other, "COMMIT").await;
    });
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_lock_that_stays_is_a_proven_non_commit_and_a_clear_error() {
    let lake = Lake::new("stays");
    let mut options = lake.options();
    options.lock_timeout = Duration::from_millis(50);
    let catalog = open(options).await.unwrap();
    let table = new_table(&catalog, "shop").await;
    let mut other = lake.foreign().await;
    run(
        &mut other,
        "BEGIN; UPDATE iceberg_tables SET previous_metadata_location = NULL",
    )
    .await;
    // Who only reads waits for nobody.
    catalog.load(&table.ident).await.unwrap();
    match catalog.commit(&table, set_property("a", "1")).await {
        CommitOutcome::Unavailable(words) => {
            for part in ["shop.t", "idle in transaction", "50ms", "try again"] {
                assert!(words.contains(part), "{part:?} is not in {words}");
            }
        }
        outcome => panic!("{outcome:?}"),
    }
    run(&mut other, "COMMIT").await;
    let outcome = catalog.commit(&table, set_property("a", "1")).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}

/// Until a session of `lake` waits for a lock.
pub async fn waits_for_a_lock(watcher: &mut sqlx::PgConnection) {
    loop {
        let waits: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND usename = 'lake' AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut *watcher)
        .await
        .unwrap();
        if waits > 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}
