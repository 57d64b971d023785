//! `tabletopic verify`: proves tables of every kind of log, tells rows that others deleted from lost ones, and finds each
//! defect of docs/verify.md by its name.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tabletopic_testkit::{Topic, eventually};

use crate::TABLETOPIC;
use crate::feed::{Feed, JSON, POISON, reference};
use crate::retention::age;

const PAGE: &str = include_str!("../../docs/verify.md");

/// The verdict as JSON, with its exit code.
fn verify(feed: &Feed, more: &[&str]) -> (i32, Value) {
    let output = Command::new(TABLETOPIC)
        .args(["verify", &feed.lake.table, "--output", "json", "--config"])
        .arg(&feed.config)
        .args(more)
        .output()
        .expect("tabletopic starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let verdict: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{more:?}: {said}"));
    let code = output.status.code().unwrap_or(-1);
    assert_eq!(verdict["exit_code"], json!(code), "{verdict:#}");
    (code, verdict)
}

fn check<'v>(verdict: &'v Value, name: &str) -> &'v Value {
    let checks = verdict["checks"].as_array().expect("a list");
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {verdict:#}"))
}

/// Every check is well, the broker's too.
fn is_proven(feed: &Feed) -> Value {
    let (code, verdict) = verify(feed, &[]);
    assert_eq!(code, 0, "{verdict:#}");
    for check in verdict["checks"].as_array().expect("a list") {
        assert_eq!(check["outcome"], "ok", "{verdict:#}");
    }
    verdict
}

#[test]
fn a_table_with_dead_letters_is_proven_as_it_grows_is_compacted_and_expires() {
    let feed = Feed::new("verified", 2);
    feed.produce(600, POISON);
    feed.catch_up();
    let verdict = is_proven(&feed);
    let says = verdict["says"].as_str().expect("a sentence");
    assert!(says.contains("exactly once"), "{says}");
    let judged = verdict["judged"]["snapshot_id"].as_i64().expect("a snapshot");
    assert_eq!(judged, reference(&feed.show(), "main"));

    feed.produce(300, POISON);
    feed.catch_up();
    let (code, since) = verify(&feed, &["--since", &judged.to_string()]);
    assert_eq!(code, 0, "{since:#}");
    let says = check(&since, "rows")["says"].as_str().expect("words").to_owned();
    let rows: u64 = says
        .split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .expect("a number");
    assert!((200..=300).contains(&rows), "{says}");

    feed.done(&["compact", &feed.lake.table]);
    is_proven(&feed);
    let (code, since) = verify(&feed, &["--since", &judged.to_string(), "--offline"]);
    assert_eq!(code, 0, "{since:#}");
    feed.done(&[
        "expire",
        &feed.lake.table,
        "--keep",
        "1",
        "--older-than",
        "0s",
        "--yes",
    ]);
    is_proven(&feed);

    let (code, offline) = verify(&feed, &["--offline"]);
    assert_eq!(
        (code, &check(&offline, "broker")["outcome"]),
        (0, &json!("not_checked")),
        "{offline:#}"
    );
    let (code, ledger) = {
        let output = Command::new(TABLETOPIC)
            .args([
                "verify",
                &format!("{}__ledger", feed.lake.table),
                "--output",
                "json",
                "--config",
            ])
            .arg(&feed.config)
            .output()
            .expect("tabletopic starts");
        let verdict: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), verdict)
    };
    assert_eq!(code, Some(0), "{ledger:#}");
    assert_eq!(check(&ledger, "files")["outcome"], "ok", "{ledger:#}");
    assert_eq!(check(&ledger, "rows")["outcome"], "not_checked", "{ledger:#}");
}

#[test]
fn offsets_without_a_record_are_read_back_and_are_none() {
    let feed = Feed::new("verified-transactions", 2);
    feed.produce_kind("transactions", 30, &["--size", "20"]);
    feed.catch_up();
    let verdict = is_proven(&feed);
    let says = check(&verdict, "broker")["says"].as_str().expect("words");
    assert!(says.contains("were read back"), "{says}");
}

#[test]
fn a_compacted_log_is_proven() {
    let compacted = [
        "cleanup.policy=compact",
        "segment.ms=100",
        "min.cleanable.dirty.ratio=0.01",
    ];
    let feed = Feed::of(Topic::create("verified-compacted", 1, &compacted), JSON);
    let produced = feed.produce_kind("keyed", 2000, &["--keys", "50", "--tombstones", "0.02"]);
    let left = feed.lake.file("left.parquet");
    eventually("a compacted log", || {
        feed.produce_kind("keyed", 1, &["--keys", "1"]);
        let read = feed.topic.admin("read", &["--produced", &left]);
        let kinds = read["kinds"].as_object()?.values();
        let records: u64 = kinds.filter_map(Value::as_u64).sum();
        (records < produced / 2).then_some(())
    });
    feed.catch_up();
    is_proven(&feed);
}

#[test]
fn records_that_are_left_out_are_accounted_for_and_one_more_is_lost() {
    let settings = format!("{JSON}\nwhere = \"quantity > 50\"");
    let feed = Feed::of(Topic::create("verified-where", 1, &[]), &settings);
    feed.produce(400, POISON);
    feed.catch_up();
    is_proven(&feed);

    // A row goes without a trace: by the table there is one fewer, and the broker has its record.
    feed.lake.must("defects", &["row-removed-with-its-entry"]);
    let (code, verdict) = verify(&feed, &[]);
    assert_eq!(code, 3, "{verdict:#}");
    assert_eq!(check(&verdict, "broker")["outcome"], "failed", "{verdict:#}");
    assert!(
        check(&verdict, "broker")["counted"]["lost"] == json!(1),
        "{verdict:#}"
    );
}

#[test]
fn a_lost_row_is_named_by_its_offset_and_a_deleted_one_is_a_note() {
    let feed = Feed::new("verified-lost", 1);
    feed.produce(200, &[]);
    feed.catch_up();
    feed.lake.foreign(&["delete", "--where", "_kafka_offset < 7"]);
    let (code, verdict) = verify(&feed, &[]);
    assert_eq!(code, 0, "{verdict:#}");
    let rows = check(&verdict, "rows");
    assert_eq!(
        (&rows["outcome"], &rows["counted"]),
        (&json!("note"), &json!({ "deleted-by-others": 7 })),
        "{rows:#}"
    );
    assert_eq!(
        check(&verdict, "broker")["counted"],
        json!({ "removed-on-purpose": 7 }),
        "{verdict:#}"
    );
    // Rows that others append have no offset, and are nobody's loss.
    feed.lake.foreign(&["append", "--count", "3"]);
    assert_eq!(verify(&feed, &[]).0, 0);

    feed.lake.must("defects", &["row-removed-with-its-entry"]);
    let (code, verdict) = verify(&feed, &[]);
    assert_eq!(code, 3, "{verdict:#}");
    let counted = &check(&verdict, "rows")["counted"];
    assert_eq!(counted["unexplained"], json!(1), "{verdict:#}");
    assert_eq!(check(&verdict, "broker")["outcome"], "failed", "{verdict:#}");
}

#[test]
fn letters_that_became_rows_and_rows_that_are_too_old_are_accounted_for() {
    let settings = format!("{JSON}\nddl = \"orders.sql\"");
    let feed = Feed::of(Topic::create("verified-redriven", 2, &[]), &settings);
    let narrow = "CREATE TABLE orders (id INT, created_at TIMESTAMPTZ)";
    std::fs::write(feed.lake.path("orders.sql"), narrow).expect("written");
    feed.produce(60, &[]);
    feed.catch_up();
    let before = is_proven(&feed)["judged"]["snapshot_id"].to_string();

    feed.edit("\nddl = \"orders.sql\"", "");
    let redriven = feed.done(&["dead-letters", &feed.lake.table, "redrive", "--yes"]);
    feed.produce(60, &[]);
    feed.catch_up();
    let verdict = is_proven(&feed);
    let rows = check(&verdict, "rows")["says"].as_str().expect("words");
    assert!(rows.starts_with("120 rows"), "{rows}, redriven: {redriven:#}");
    let (code, since) = verify(&feed, &["--since", &before]);
    let rows = check(&since, "rows")["says"].as_str().expect("words");
    assert!(code == 0 && rows.starts_with("60 rows"), "{since:#}");

    let retained = feed.done(&["retain", &feed.lake.table, "--older-than", &age(), "--yes"]);
    let gone = retained[0]["rows"].as_u64().expect("a number");
    assert!(gone > 0, "{retained:#}");
    let (code, verdict) = verify(&feed, &[]);
    assert_eq!(
        (code, &check(&verdict, "rows")["outcome"]),
        (0, &json!("ok")),
        "{verdict:#}"
    );
    let still_there = &check(&verdict, "broker")["counted"]["removed-on-purpose"];
    assert!(
        still_there
            .as_u64()
            .is_some_and(|records| 0 < records && records <= gone),
        "{verdict:#}"
    );
}

#[test]
fn what_the_broker_has_dropped_rests_on_the_table() {
    let feed = Feed::new("verified-expired", 1);
    feed.produce_kind("transactions", 10, &["--size", "20"]);
    feed.catch_up();
    feed.topic.admin("delete-records", &["--before", "0=100"]);
    let (code, verdict) = verify(&feed, &[]);
    assert_eq!(code, 0, "{verdict:#}");
    assert!(
        check(&verdict, "broker")["counted"]["expired"].as_u64() > Some(0),
        "{verdict:#}"
    );

    feed.topic.admin("delete", &[]);
    eventually("the topic is gone", || {
        let (code, verdict) = verify(&feed, &[]);
        assert_eq!(code, 0, "{verdict:#}");
        check(&verdict, "broker")["counted"]["topic-gone"]
            .is_u64()
            .then_some(())
    });
    feed.edit("[kafka]\nbootstrap = \"", "[kafka]\nbootstrap = \"127.0.0.1:9,");
    feed.edit("127.0.0.1:9,", "127.0.0.1:9\" #");
    let (code, verdict) = verify(&feed, &[]);
    let broker = check(&verdict, "broker");
    assert_eq!(
        (code, &broker["outcome"]),
        (0, &json!("not_checked")),
        "{verdict:#}"
    );
}

/// The rows of the page's last table: defect, check and kind of the finding, exit code.
fn defects() -> Vec<(&'static str, &'static str, &'static str, i32)> {
    let cells = |line: &'static str| {
        let inner = line.strip_prefix("| `")?.strip_suffix(" |")?;
        let (defect, rest) = inner.split_once("` | `")?;
        let (finding, code) = rest.split_once("` | ")?;
        let (check, kind) = finding.split_once(": ")?;
        Some((defect, check, kind, code.parse().ok()?))
    };
    let table = PAGE
        .split("| defect | found by | exit code |")
        .nth(1)
        .expect("the table");
    table.lines().filter_map(cells).collect()
}

#[test]
fn every_defect_of_the_page_is_found_by_its_name() {
    let defects = defects();
    assert!(defects.len() >= 25, "{defects:?}");
    let feed = Feed::new("defects", 2);
    for _ in 0..2 {
        feed.produce(300, &["--poison", "0.05"]);
        feed.catch_up();
    }
    is_proven(&feed);
    let (kept, lake) = (feed.lake.path("kept"), feed.lake.path(""));
    std::fs::create_dir(&kept).expect("a folder");
    copy(&lake, &kept);
    for (defect, name, kind, expected) in defects {
        std::fs::remove_dir_all(feed.lake.warehouse()).expect("it can be removed");
        copy(&kept, &lake);
        feed.lake.must("defects", &[defect]);
        let (code, verdict) = verify(&feed, &["--offline"]);
        let check = check(&verdict, name);
        assert!(
            check["counted"][kind].is_u64(),
            "{defect}: {name}: {kind} was not found: {verdict:#}"
        );
        assert_eq!(code, expected, "{defect}: {verdict:#}");
    }
}

/// Catalog and warehouse, from one folder to another.
fn copy(from: &Path, to: &Path) {
    for name in ["catalog.db", "warehouse"] {
        let copied = Command::new("cp").arg("-a").arg(from.join(name)).arg(to).status();
        assert!(copied.expect("cp runs").success(), "{name} was not copied");
    }
}
