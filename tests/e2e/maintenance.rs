//! Maintenance beside the ingest: files are merged, history expires and orphans are removed while records come in and
//! processes are killed, and a reader that looks all the time misses no file. And expiry by hand.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tabletopic_testkit::Service;

use crate::TABLETOPIC;
use crate::catalog::{serve, url};
use crate::feed::{Feed, POISON, never_halted};
use crate::orphans::{age, files, folder};

/// What the table keeps, and how its maintenance is configured.
struct Kept {
    snapshots: &'static str,
    interval: &'static str,
    /// Records that it has before all begins.
    first: u32,
}

/// More snapshots than a query takes, and few enough to expire in a test: one a second. It is looked at each second.
const BRIEFLY: Kept = Kept {
    snapshots: "40",
    interval: "1s",
    first: 100,
};

/// For an engine that takes its time, so that both it and the service find something to merge. It writes the whole table
/// each time: with most of its rows there already, what is on disk stays as large as long as it leaves with the snapshots.
const LONGER: Kept = Kept {
    snapshots: "60",
    interval: "20s",
    first: 60_000,
};

#[test]
fn a_table_stays_small_and_readable_while_it_is_written_and_maintained() {
    let feed = fed("maintained", &BRIEFLY);
    maintained(&feed, 3);
    let files = is_whole(&feed);
    // Three days, each with fewer than sixteen files of each tier, of which there are two here.
    assert!(files["live_data_files"].as_u64() < Some(3 * 2 * 16), "{files:#}");
    // What was merged has left with the snapshots that led to it, but for what the killed processes were about to do.
    assert!(files["unneeded_data_files"].as_u64() < Some(30), "{files:#}");
}

#[test]
fn a_table_stays_readable_while_spark_rewrites_it_as_well() {
    let feed = fed("maintained-by-spark", &LONGER);
    let config = feed.lake.path("server.toml");
    fs::copy(&feed.config, &config).expect("it can be copied");
    serve(&config, "");
    let server = Service::serve_catalog(TABLETOPIC, &config);
    let going_on = feed.lake.file("going-on");
    fs::write(&going_on, "").expect("it is written");
    let said = thread::scope(|scope| {
        let arguments = [
            "--uri",
            &url(&server),
            "--table",
            &feed.lake.table,
            "--while",
            &going_on,
        ]
        .map(str::to_owned);
        let spark = scope.spawn(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            tabletopic_testkit::must("spark_rewrites", &arguments)
        });
        // It ends with the file, also where something fails here.
        let gone = Gone(&going_on);
        maintained(&feed, 6);
        drop(gone);
        spark.join().expect("Spark has ended")
    });
    server.terminate();
    println!("Spark: {said}");
    assert!(said["files"].as_u64() > Some(0), "{said}");
    is_whole(&feed);
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

/// A file that goes with this.
struct Gone<'a>(&'a str);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        fs::remove_file(self.0).expect("it is there");
    }
}

/// A table of a few days, as it is kept.
fn fed(name: &str, kept: &Kept) -> Feed {
    let feed = Feed::new(name, 2);
    let maintenance = format!(
        "[maintenance]\ninterval = \"{}\"\nprocessor = 1.0\n\n[workers]",
        kept.interval
    );
    feed.edit("[workers]", &maintenance);
    feed.without_group();
    feed.produce(kept.first, POISON);
    feed.catch_up();
    feed.lake
        .foreign(&["set", "tabletopic.expire.max-snapshots", kept.snapshots]);
    feed
}

/// Everything at once: services that are killed, a reader, and the removal of orphans.
fn maintained(feed: &Feed, services: u32) {
    let done = AtomicBool::new(false);
    let table = folder(&feed.lake, &feed.lake.table);
    let (answers, removals, bytes, log) = thread::scope(|scope| {
        let reader = scope.spawn(|| until(&done, || counted(feed)));
        let removal = scope.spawn(|| until(&done, || removed(feed, &table)));
        let watcher = scope.spawn(|| until(&done, || bytes_of(&table)));
        // The others end with it, also where something fails here.
        let ended = Ended(&done);
        let log = ingest_and_kill(feed, services);
        drop(ended);
        (
            reader.join().expect("every question was answered"),
            removal.join().expect("orphans were removed, and nothing else"),
            watcher.join().expect("the folder can be read"),
            log,
        )
    });
    println!(
        "{} answers, {} removals, bytes: {bytes:?}",
        answers.len(),
        removals.len()
    );
    assert!(log.contains(" compacted table="), "nothing was merged:\n{log}");
    assert!(
        answers.is_sorted() && answers.len() > 5,
        "rows came and never went: {answers:?}"
    );
    assert!(removals.len() > 3, "{removals:?}");
    levels_off(&bytes);
}

/// When nobody writes any more: every record is there once, and every file that the table leads to. Answers which files
/// there are.
fn is_whole(feed: &Feed) -> Value {
    feed.holds(&[]);
    let files = files_of(feed);
    println!("{files:#}");
    feed.lake.is_sound();
    files
}

/// Which files there are, of which none may be missing. Metadata files may be too many: processes that were killed left
/// some, and so does a commit that was overtaken.
fn files_of(feed: &Feed) -> Value {
    let (_, files) = feed.lake.ask("files", &[]);
    assert_eq!(files["missing"], json!([]), "{files:#}");
    files
}

struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What it answers again and again, until that is set.
fn until<T>(done: &AtomicBool, again: impl Fn() -> T) -> Vec<T> {
    let mut answers = Vec::new();
    while !done.load(Ordering::Relaxed) {
        answers.push(again());
        // A pace, and no wait for anything: a removal commits a snapshot, of which few are kept.
        thread::sleep(Duration::from_secs(1));
    }
    answers
}

/// Has orphans removed: an old one goes, and a young one stays.
fn removed(feed: &Feed, table: &Path) {
    let (old, young) = (table.join("data/old.parquet"), table.join("data/young.parquet"));
    for file in [&old, &young] {
        fs::write(file, "garbage").expect("it is written");
    }
    age(&old);
    let removal = [
        "orphans",
        &feed.lake.table,
        "--older-than",
        "24h",
        "--delete",
        "--yes",
    ];
    let told = feed.done(&removal)[0].clone();
    assert!(!old.exists() && young.exists(), "{told:#}");
    fs::remove_file(young).expect("it is there");
    let gone = told["sum"]["files"].as_u64();
    assert_eq!(gone, Some(1), "nothing else is as old: {told:#}");
}

/// Bytes of all files that are there; some leave meanwhile.
fn bytes_of(table: &Path) -> u64 {
    let sizes = files(table)
        .into_iter()
        .filter_map(|file| fs::metadata(file).ok());
    sizes.map(|file| file.len()).sum()
}

/// A folder in which rows come at the same rate all the time: what is written for them leaves as fast, but for the rows.
fn levels_off(bytes: &[u64]) {
    let third = bytes.len() / 3;
    let most = |bytes: &[u64]| bytes.iter().max().copied().unwrap_or_default();
    let (second, last) = (most(&bytes[third..2 * third]), most(&bytes[2 * third..]));
    assert!(
        last <= second + second / 2,
        "{second} bytes became {last}: {bytes:?}"
    );
}

/// Services that are killed, but for the last one. Answers what they said.
fn ingest_and_kill(feed: &Feed, services: u32) -> String {
    let mut log = String::new();
    for service in 1..=services {
        let last = service == services;
        let service = feed.run();
        let rows = feed.produce(5000, &[POISON, &["--rate", "200"]].concat());
        if last {
            // What the killed ones had not committed comes first.
            feed.wait_for_rows(&service, rows);
            let said = service.terminate();
            never_halted(&said);
            log += &said;
        } else {
            log += &service.kill();
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
    let ran = |arguments: &[&str]| feed.done(arguments)[0].clone();
    ran(&["compact", &table]);
    many_commits(&feed);
    let before = feed.snapshots().len() as u64;
    let merged = files_of(&feed);
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
    let files = files_of(&feed);
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
    let merged = files_of(&feed);
    let did = feed.done(&["maintain", &table, &letters, "--older-than", "0s", "--yes"]);
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
    let files = files_of(&feed);
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
