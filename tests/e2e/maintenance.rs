//! Maintenance beside the ingest: files are merged and history expires while records come in and processes are killed,
//! and a reader that looks all the time misses none. And expiry by hand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::feed::{Feed, POISON, never_halted};

/// More than a query takes, and few enough to expire in a test: a snapshot a second.
const SNAPSHOTS: &str = "40";

/// Looks at the tables each second.
const OFTEN: &str = "[maintenance]\ninterval = \"1s\"\nprocessor = 1.0\n\n[workers]";

#[test]
fn a_table_stays_small_and_readable_while_it_is_written_and_maintained() {
    let feed = Feed::new("maintained", 2);
    feed.edit("[workers]", OFTEN);
    feed.without_group();
    feed.produce(100, POISON);
    feed.catch_up();
    feed.lake
        .foreign(&["set", "tabletopic.expire.max-snapshots", SNAPSHOTS]);

    let done = AtomicBool::new(false);
    let (answers, log) = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut answers = Vec::new();
            while !done.load(Ordering::Relaxed) {
                answers.push(counted(&feed));
            }
            answers
        });
        let log = ingest_and_kill(&feed);
        done.store(true, Ordering::Relaxed);
        (reader.join().expect("every question was answered"), log)
    });
    assert!(log.contains(" compacted table="), "nothing was merged:\n{log}");
    assert!(
        answers.is_sorted() && answers.len() > 5,
        "rows came and never went: {answers:?}"
    );

    feed.holds(&[]);
    // Metadata files are too many: the killed processes left some, and so does a commit that was overtaken.
    let (_, files) = feed.lake.ask("files", &[]);
    println!("{files:#}");
    assert_eq!(files["missing"], json!([]), "{files:#}");
    // Three days, each with fewer than sixteen files of each tier, of which there are two here.
    assert!(files["live_data_files"].as_u64() < Some(3 * 2 * 16), "{files:#}");
    // What was merged has left with the snapshots that led to it, but for what the killed processes were about to do.
    assert!(files["unneeded_data_files"].as_u64() < Some(30), "{files:#}");
    feed.lake.is_sound();
}

fn counted(feed: &Feed) -> u64 {
    let name = feed
        .lake
        .table
        .rsplit_once('.')
        .expect("a namespace and a name")
        .1;
    let asked = feed.lake.must(
        "ask",
        &[&format!(
            "SELECT count(*) AS rows, sum(quantity) AS sum FROM {name}"
        )],
    );
    let row: &Value = &asked["rows"][0][0];
    row["rows"].as_u64().unwrap_or_else(|| panic!("{asked:#}"))
}

/// Three services, of which two are killed. Answers what they said.
fn ingest_and_kill(feed: &Feed) -> String {
    let mut log = String::new();
    for round in 0..3 {
        let service = feed.run();
        let rows = feed.produce(5000, &[POISON, &["--rate", "200"]].concat());
        if round < 2 {
            log += &service.kill();
        } else {
            // What the killed ones had not committed comes first.
            feed.wait_for_rows(&service, rows);
            let said = service.terminate();
            never_halted(&said);
            log += &said;
        }
    }
    feed.catch_up();
    log
}

#[test]
fn snapshots_leave_by_hand_with_the_files_that_only_they_led_to() {
    let feed = Feed::new("expired", 2);
    feed.commit_often();
    many_commits(&feed);
    let table = feed.lake.table.clone();
    let ran = |arguments: &[&str]| feed.json(arguments)[0].clone();
    ran(&["compact", &table]);
    many_commits(&feed);
    let before = feed.snapshots().len() as u64;
    let merged = feed.lake.must("files", &[]);
    let expire = ["expire", &table, "--older-than", "0s", "--keep", "1"];
    let would = ran(&[&expire[..], &["--dry-run"]].concat());
    assert_eq!(feed.snapshots().len() as u64, before, "a dry run: {would:#}");

    let did = ran(&[&expire[..], &["--yes"]].concat());
    assert_eq!(did["snapshots"], would["snapshots"], "{did:#}");
    // The newest ten of a table that a topic feeds.
    assert_eq!(
        (&did["stay"], feed.snapshots().len()),
        (&json!(10), 10),
        "{did:#}"
    );
    let files = feed.lake.must("files", &[]);
    println!("{files:#}");
    assert_eq!(files["unneeded_data_files"], json!(0), "{files:#}");
    assert!(
        files["data_files"].as_u64() < merged["data_files"].as_u64(),
        "{merged:#}"
    );
    feed.holds(&[]);
    feed.produce(200, POISON);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
}

#[test]
fn all_that_is_due_is_done_in_one_go() {
    let feed = Feed::new("all-due", 2);
    feed.commit_often();
    many_commits(&feed);
    let table = feed.lake.table.clone();
    let letters = format!("{table}__dead_letters");
    let merged = feed.lake.must("files", &[]);
    let did = feed.json(&["maintain", &table, &letters, "--older-than", "0s", "--yes"]);
    for (did, table) in [(&did[0], &table), (&did[1], &letters)] {
        assert_eq!(
            (&did["table"], &did["error"]),
            (&json!(table), &Value::Null),
            "{did:#}"
        );
        let pieces = did["compact"]["pieces"].as_array().expect("a list");
        let committed = pieces.iter().all(|piece| piece["outcome"] == "committed");
        assert!(committed && !pieces.is_empty(), "{did:#}");
    }
    assert!(did[0]["expire"]["snapshots"].as_u64() > Some(0), "{did:#}");
    let files = feed.lake.must("files", &[]);
    assert!(
        files["live_data_files"].as_u64() < merged["live_data_files"].as_u64(),
        "{files:#}"
    );
    feed.holds(&[]);
    feed.produce(200, POISON);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
}

/// More than the snapshots that stay in any case.
fn many_commits(feed: &Feed) {
    let service = feed.run();
    while service.commits() < 15 {
        feed.produce(50, POISON);
    }
    never_halted(&service.terminate());
    // What it has drained into the ledger as it left is known by the next commit: only that may expire.
    feed.produce(10, &[]);
    feed.catch_up();
}
