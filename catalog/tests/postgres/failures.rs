//! What fails on the way to the server or in it: proven where it can be, else unknown.

use std::time::Duration;

use tabletopic_catalog::conformance::{append, new_table, set_property};
use tabletopic_catalog::{Catalog, CatalogError, CommitOutcome, LoadedTable, PostgresCatalog};
use tabletopic_testkit::{Lost, Postgres, PostgresWay};

use crate::writers::waits_for_a_lock;
use crate::{Lake, look, open, run};

fn unavailable(outcome: CommitOutcome, part: &str) {
    match outcome {
        CommitOutcome::Unavailable(words) => assert!(words.contains(part), "{part:?} is not in {words}"),
        outcome => panic!("{outcome:?}"),
    }
}

async fn unmoved(catalog: &PostgresCatalog, table: &LoadedTable) {
    let loaded = catalog.load(&table.ident).await.unwrap();
    assert_eq!(loaded.metadata_location, table.metadata_location);
}

/// `COMMIT` is the only thing that leaves an open end: whether the server got it or not, the outcome is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_at_the_commit_is_unknown() {
    let mut lake = Lake::new("way");
    let direct = lake.catalog().await;
    let way = PostgresWay::to(lake.port);
    lake.port = way.port;
    let catalog = lake.catalog().await;
    let mut table = new_table(&direct, "shop").await;
    for id in 1..=10 {
        for lost in [Lost::Request, Lost::Answer] {
            way.lose(&[lost]);
            let outcome = catalog.commit(&table, append(&table, id)).await;
            assert!(
                matches!(outcome, CommitOutcome::Unknown(_)),
                "{lost:?}: {outcome:?}"
            );
            assert_eq!(way.still_to_lose(), 0);
            let now = catalog.load(&table.ident).await.unwrap();
            let moved = now.metadata_location != table.metadata_location;
            assert_eq!(moved, lost == Lost::Answer, "{lost:?}");
            table = now;
        }
    }
    assert_eq!(table.metadata.snapshots().len(), 10);
}

#[tokio::test]
async fn a_session_that_is_ended_while_it_waits_is_a_proven_non_commit() {
    let lake = Lake::new("ended");
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
        run(
            &mut watcher,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND usename = 'lake'",
        )
        .await;
    });
    unavailable(outcome, "57P01");
    run(&mut other, "ROLLBACK").await;
    // The connections that were ended are replaced.
    unmoved(&catalog, &table).await;
    let outcome = catalog.commit(&table, set_property("a", "1")).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}

#[tokio::test]
async fn the_server_s_own_time_limit_is_a_proven_non_commit() {
    let lake = Lake::new("limit");
    let mut other = lake.foreign().await;
    let limit = format!(
        "ALTER ROLE lake IN DATABASE \"{}\" SET statement_timeout = '200ms'",
        lake.database
    );
    run(&mut other, &limit).await;
    let catalog = lake.catalog().await;
    let table = new_table(&catalog, "shop").await;
    run(
        &mut other,
        "BEGIN; UPDATE iceberg_tables SET previous_metadata_location = NULL",
    )
    .await;
    unavailable(
        catalog.commit(&table, set_property("a", "1")).await,
        "statement timeout",
    );
    run(&mut other, "ROLLBACK").await;
    unmoved(&catalog, &table).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let server = Postgres::start();
    let lake = Lake::on(&server, "away");
    let catalog = lake.catalog().await;
    let table = new_table(&catalog, "shop").await;
    server.stop();
    // Some of the pool's connections are broken now, and no new one can be made.
    unavailable(
        catalog.commit(&table, set_property("a", "1")).await,
        "can be reached",
    );
    let error = catalog.load(&table.ident).await.unwrap_err();
    assert!(matches!(error, CatalogError::Unavailable { .. }), "{error}");
    let error = open(lake.options()).await.unwrap_err().to_string();
    assert!(
        error.contains("refused") && error.contains("can be reached"),
        "{error}"
    );
    server.start_again();
    unmoved(&catalog, &table).await;
    let outcome = catalog.commit(&table, set_property("a", "1")).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_standby_is_neither_read_nor_written() {
    let server = Postgres::start();
    let lake = Lake::on(&server, "standby");
    let catalog = lake.catalog().await;
    let table = new_table(&catalog, "shop").await;
    server.standby();
    unavailable(
        catalog.commit(&table, set_property("a", "1")).await,
        "leads to the primary",
    );
    for error in [
        catalog.load(&table.ident).await.unwrap_err(),
        look(lake.options()).await.unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(
            matches!(error, CatalogError::Unavailable { .. }) && said.contains("leads to the primary"),
            "{said}"
        );
    }
    server.start_again();
    let outcome = catalog.commit(&table, set_property("a", "1")).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_database_that_was_set_to_read_only_is_not_written() {
    let lake = Lake::new("read-only");
    let table = new_table(&lake.catalog().await, "shop").await;
    let read_only = format!(
        "ALTER DATABASE \"{}\" SET default_transaction_read_only = on",
        lake.database
    );
    run(&mut lake.foreign().await, &read_only).await;
    let catalog = lake.catalog().await;
    unavailable(catalog.commit(&table, set_property("a", "1")).await, "read-only");
    unmoved(&catalog, &table).await;
}

#[tokio::test]
async fn what_was_acknowledged_is_on_disk_whatever_the_database_says() {
    for (said, kept) in [
        ("off", "on"),
        ("local", "local"),
        ("remote_apply", "remote_apply"),
    ] {
        let lake = Lake::new("durable");
        let mut other = lake.foreign().await;
        let catalog = lake.catalog().await;
        let table = new_table(&catalog, "shop").await;
        run(
            &mut other,
            &format!(
                "ALTER DATABASE \"{}\" SET synchronous_commit = {said};
                 CREATE TABLE seen (setting text); GRANT INSERT ON seen TO lake;
                 CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;
                 CREATE TRIGGER see BEFORE UPDATE ON iceberg_tables FOR EACH ROW EXECUTE FUNCTION see()",
                lake.database
            ),
        )
        .await;
        let outcome = lake.catalog().await.commit(&table, set_property("a", "1")).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
        let seen: Vec<String> = sqlx::query_scalar("SELECT setting FROM seen")
            .fetch_all(&mut other)
            .await
            .unwrap();
        assert_eq!(seen, [kept], "synchronous_commit = {said}");
    }
}

#[tokio::test]
async fn an_isolation_that_the_database_prefers_makes_no_difference() {
    let lake = Lake::new("isolation");
    let serializable = format!(
        "ALTER DATABASE \"{}\" SET default_transaction_isolation = 'serializable'",
        lake.database
    );
    run(&mut lake.foreign().await, &serializable).await;
    tabletopic_catalog::conformance::two_writers_one_wins(&lake.catalog().await).await;
}

#[tokio::test]
async fn a_process_that_froze_before_its_commit_holds_the_row_for_a_while_only() {
    let lake = Lake::new("frozen");
    let mut options = lake.options();
    options.answer_timeout = Duration::from_secs(2);
    let way = PostgresWay::to(lake.port);
    options.server = tabletopic_catalog::Server::parse(&Postgres::uri(way.port, &lake.database)).unwrap();
    let frozen = open(options).await.unwrap();
    let other = lake.catalog().await;
    let table = new_table(&other, "shop").await;
    // Its COMMIT stays on its way: the session keeps the row.
    way.lose(&[Lost::Late]);
    let outcome = frozen.commit(&table, set_property("a", "1")).await;
    assert!(matches!(outcome, CommitOutcome::Unknown(_)), "{outcome:?}");
    let outcome = other.commit(&table, set_property("b", "1")).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}
