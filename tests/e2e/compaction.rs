//! Small files become large ones, by the shipped command: outside readers find the same rows, the proof still holds, and
//! who writes beside it loses nothing.

use serde_json::{Value, json};
use tabletopic_testkit::{Service, eventually, must};

use crate::TABLETOPIC;
use crate::catalog::{serve, url};
use crate::feed::{Feed, POISON, never_halted};

/// `tabletopic compact`, which has to succeed: what it did to each table.
fn compact(feed: &Feed, tables: &[&str], more: &[&str]) -> Value {
    feed.done(&[&["compact"], tables, more].concat())
}

fn data_files(feed: &Feed, table: &str) -> u64 {
    let files = feed.lake.must("files", &["--table", table]);
    files["live_data_files"]
        .as_u64()
        .unwrap_or_else(|| panic!("{files:#}"))
}

/// A table, its dead letters and its ledger, of some services one after the other.
fn of_many_commits(name: &str) -> (Feed, [String; 3]) {
    let feed = Feed::new(name, 2);
    feed.commit_often();
    for _ in 0..2 {
        let service = feed.run();
        let rows = feed.produce(1000, &[POISON, &["--rate", "500"]].concat());
        feed.wait_for_rows(&service, rows);
        never_halted(&service.terminate());
    }
    let table = &feed.lake.table;
    let tables = [
        table.clone(),
        format!("{table}__dead_letters"),
        format!("{table}__ledger"),
    ];
    (feed, tables)
}

#[test]
fn the_same_rows_are_in_few_files() {
    let (feed, tables) = of_many_commits("compacted");
    let names: Vec<&str> = tables.iter().map(String::as_str).collect();
    let before: Vec<u64> = names.iter().map(|table| data_files(&feed, table)).collect();

    let would = compact(&feed, &names, &["--dry-run"]);
    let unchanged: Vec<u64> = names.iter().map(|table| data_files(&feed, table)).collect();
    assert_eq!(unchanged, before, "a dry run: {would:#}");

    let did = compact(&feed, &names, &[]);
    for (number, table) in names.iter().enumerate() {
        let pieces = did[number]["pieces"].as_array().expect("a list");
        let committed = pieces.iter().all(|piece| piece["outcome"] == "committed");
        assert!(committed && !pieces.is_empty(), "{table}: {did:#}");
        // One file for each partition value.
        let after = data_files(&feed, table);
        assert!(
            after < before[number] && after == pieces.len() as u64,
            "{table}: {after} of {before:?}"
        );
        feed.lake.must("metrics", &["--table", table]);
    }
    feed.holds(&[]);
    feed.lake.must("audit", &[]);
    let nothing_left = compact(&feed, &names, &[]);
    assert_eq!(nothing_left[0]["pieces"], json!([]), "{nothing_left:#}");

    feed.produce(400, POISON);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.must("audit", &[]);
}

#[test]
fn rows_that_another_engine_deleted_stay_deleted_and_their_delete_files_go() {
    let (feed, [table, ..]) = of_many_commits("compacted-deletes");
    serve(&feed.config, "");
    let service = Service::serve_catalog(TABLETOPIC, &feed.config);
    let uri = url(&service);
    let delete = |when: &str| {
        must(
            "rest",
            &["--uri", &uri, "delete", "--table", &table, "--where", when],
        )
    };
    let deleted = delete("quantity < 3");
    assert!(
        deleted["after"].as_u64() < deleted["before"].as_u64(),
        "{deleted:#}"
    );
    let files = feed.lake.must("files", &["--table", &table]);
    assert!(files["live_delete_files"].as_u64() > Some(0), "{files:#}");

    compact(&feed, &[&table], &[]);
    let files = feed.lake.must("files", &["--table", &table]);
    assert_eq!(files["live_delete_files"], json!(0), "{files:#}");
    let again = delete("quantity < 3");
    assert_eq!(
        (&again["before"], &again["after"]),
        (&deleted["after"], &deleted["after"])
    );
    service.terminate();
}

#[test]
fn beside_a_running_ingest_that_is_killed_every_record_is_there_once() {
    let feed = Feed::new("compacted-beside", 2);
    feed.commit_often();
    feed.without_group();
    let mut rows = feed.produce(200, POISON);
    feed.catch_up();
    for round in 0..4 {
        let service = feed.run();
        rows += feed.produce(800, &[POISON, &["--rate", "800"]].concat());
        compact(&feed, &[&feed.lake.table], &[]);
        compact(&feed, &[&feed.lake.table], &[]);
        if round % 2 == 0 {
            service.kill();
        } else {
            never_halted(&service.terminate());
        }
    }
    feed.catch_up();
    let held = feed.holds(&[]);
    assert_eq!(held["readers"]["pyiceberg"]["rows"], json!(rows), "{held:#}");
    feed.lake.must("audit", &[]);
    eventually("nothing is left to merge", || {
        let did = compact(&feed, &[&feed.lake.table], &[]);
        (did[0]["pieces"] == json!([])).then_some(())
    });
    feed.holds(&[]);
    feed.lake.is_sound();
}
