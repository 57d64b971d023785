//! Rows leave by whole partitions of time: outside readers find the others, the proof goes on to hold, and who reads on, goes
//! back or rolls back afterwards neither loses nor doubles a record.

use serde_json::{Value, json};
use tabletopic_clock::{Clock, SystemClock};
use tabletopic_testkit::{Service, must};

use crate::TABLETOPIC;
use crate::catalog::{serve, url};
use crate::feed::{Feed, POISON, never_halted};

/// The second of the three days that orders are of, in seconds since 1970.
const SECOND_DAY: i64 = 1_767_312_000;

/// What `produce.py` made for the first day.
const FIRST_DAY: &str = "decode(value) ->> '$.created_at' < '2026-01-02'";

/// An age for which just the first day is too old.
pub fn age() -> String {
    format!("{}s", SystemClock.now() / 1000 - SECOND_DAY)
}

fn retain(feed: &Feed, more: &[&str]) -> Value {
    let retain = ["retain", &feed.lake.table, "--older-than", &age()];
    feed.done(&[&retain[..], more].concat())[0].clone()
}

/// Everything but the first day, and all proofs.
fn holds_without_the_first_day(feed: &Feed) {
    feed.holds(&["--gone", FIRST_DAY]);
    feed.lake.must("audit", &[]);
}

#[test]
fn a_day_leaves_and_the_table_goes_on() {
    let feed = Feed::new("retained", 2);
    feed.produce(600, POISON);
    feed.catch_up();
    let would = retain(&feed, &["--dry-run"]);
    assert!(would["rows"].as_u64() > Some(100), "{would:#}");
    feed.holds(&[]);
    let did = retain(&feed, &["--yes"]);
    assert_eq!(
        (&did["rows"], &did["column"]),
        (&would["rows"], &json!("created_at")),
        "{did:#}"
    );
    // The ledger gets its row when a service starts or leaves.
    feed.catch_up();
    holds_without_the_first_day(&feed);
    let ledger = feed.ledger("retention");
    let rows: u64 = ledger.iter().filter_map(|row| row["rows"].as_u64()).sum();
    assert_eq!(Some(rows), did["rows"].as_u64(), "{ledger:#?}");
    assert_eq!(ledger.len(), 2, "a row for each partition: {ledger:#?}");

    // What comes late leaves with the next look.
    feed.produce(200, POISON);
    feed.catch_up();
    retain(&feed, &["--yes"]);
    feed.catch_up();
    holds_without_the_first_day(&feed);
    let again = retain(&feed, &["--yes"]);
    assert_eq!(
        (&again["data_files"], &again["snapshot_id"]),
        (&json!(0), &Value::Null),
        "{again:#}"
    );
    feed.lake.must("metrics", &[]);
}

#[test]
fn a_service_removes_what_is_too_old_and_its_history_may_expire() {
    let feed = Feed::new("retaining", 2);
    feed.without_group();
    feed.produce(300, POISON);
    feed.catch_up();
    feed.edit("event_time", &format!("retain = \"{}\"\nevent_time", age()));
    feed.edit(
        "[workers]",
        "[maintenance]\ninterval = \"1s\"\nprocessor = 1.0\n\n[workers]",
    );
    let service = feed.run();
    service.says(" rows that are too old have left table=");
    service.kill();
    feed.produce(200, POISON);
    feed.catch_up();
    retain(&feed, &["--yes"]);
    feed.catch_up();
    holds_without_the_first_day(&feed);

    // Nobody can tell any more by snapshots that ours is in `main`: rows have to.
    feed.lake.foreign(&["append", "--count", "1"]);
    feed.lake.foreign(&["append", "--count", "1"]);
    feed.lake.foreign(&["expire", "--keep", "1"]);
    let rows = feed.produce(100, &[]);
    let service = feed.run();
    feed.wait_for_rows(&service, rows);
    never_halted(&service.terminate());
    retain(&feed, &["--yes"]);
    feed.holds(&["--gone", FIRST_DAY]);
}

#[test]
fn a_rollback_to_before_it_is_answered_by_a_rewind() {
    let feed = Feed::new("retained-back", 1);
    feed.produce(300, POISON);
    feed.catch_up();
    let before = feed.tagged();
    feed.lake.foreign(&["append", "--count", "1"]);
    let main = crate::feed::reference(&feed.show(), "main");
    retain(&feed, &["--yes"]);
    feed.produce(100, POISON);
    feed.catch_up();
    assert_ne!(feed.tagged(), before);
    feed.lake.foreign(&["rollback", "--to", &main.to_string()]);

    let (code, said) = feed.resolve(&["--declare-lost", "--yes", "--reason", "none"]);
    assert!(
        code != 0 && said.contains("retention has removed"),
        "{code}: {said}"
    );
    feed.answer(&["--rewind"]);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.must("audit", &[]);
    retain(&feed, &["--yes"]);
    feed.catch_up();
    holds_without_the_first_day(&feed);
}

#[test]
fn delete_files_of_another_engine_leave_with_the_rows_that_they_applied_to() {
    let feed = Feed::new("retained-deletes", 1);
    feed.produce(300, POISON);
    feed.catch_up();
    serve(&feed.config, "");
    let service = Service::serve_catalog(TABLETOPIC, &feed.config);
    let table = feed.lake.table.clone();
    let delete = ["delete", "--table", &table, "--where", "quantity < 20"];
    must("rest", &[&["--uri", &url(&service)], &delete[..]].concat());
    service.terminate();
    let counted = || {
        let query = "SELECT count(*) AS rows, count(*) FILTER (quantity < 20) AS deleted, \
                     count(*) FILTER (created_at < '2026-01-02') AS first FROM orders";
        feed.lake.must("ask", &[query])["rows"][0][0].clone()
    };
    let number = |row: &Value, column: &str| row[column].as_u64().unwrap_or_else(|| panic!("{row:#}"));
    let (before, files) = (counted(), feed.lake.must("files", &[]));
    assert_eq!(number(&before, "deleted"), 0, "{before:#}");
    assert!(files["live_delete_files"].as_u64() > Some(1), "{files:#}");

    let did = retain(&feed, &["--yes"]);
    assert!(did["delete_files"].as_u64() > Some(0), "{did:#}");
    let (after, left) = (counted(), feed.lake.must("files", &[]));
    assert_eq!(
        (number(&after, "rows"), number(&after, "first")),
        (number(&before, "rows") - number(&before, "first"), 0),
        "{after:#}"
    );
    assert_eq!(number(&after, "deleted"), 0, "{after:#}");
    let gone = |kind: &str| {
        files[kind]
            .as_u64()
            .zip(left[kind].as_u64())
            .map(|(was, is)| was - is)
    };
    assert_eq!(
        (gone("live_data_files"), gone("live_delete_files")),
        (did["data_files"].as_u64(), did["delete_files"].as_u64())
    );
    // By its state it has removed only rows that were there.
    feed.catch_up();
    assert_eq!(removed(&feed), number(&before, "first"));
}

/// Rows that retention has removed, by the ledger.
fn removed(feed: &Feed) -> u64 {
    let rows = feed.ledger("retention");
    rows.iter().filter_map(|row| row["rows"].as_u64()).sum()
}

#[test]
fn rows_of_somebody_else_leave_and_are_not_counted_as_ours() {
    let feed = Feed::new("retained-foreign", 1);
    feed.produce(300, POISON);
    feed.catch_up();
    let ours = retain(&feed, &["--dry-run"])["rows"].as_u64();
    // Offsets that nobody has read yet.
    feed.lake.foreign(&["append", "--count", "3", "--at", "0:100000"]);
    let did = retain(&feed, &["--yes"]);
    assert_eq!(did["rows"].as_u64(), ours.map(|rows| rows + 3), "{did:#}");
    feed.catch_up();
    assert_eq!(Some(removed(&feed)), ours);
    holds_without_the_first_day(&feed);
}
