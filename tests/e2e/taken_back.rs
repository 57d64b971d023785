//! An operator takes a table back: `main` and progress go back in one commit, what came after is read again, and what
//! cannot be read again is said before anything is done.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tabletopic_testkit::Service;

use crate::TABLETOPIC;
use crate::feed::{Feed, POISON, REASON, never_halted, reference};

/// `tabletopic rollback` as a script would run it: exit code, what it prints, and what it says beside that.
fn roll_back(feed: &Feed, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(TABLETOPIC)
        .args(["rollback", &feed.lake.table])
        .args(arguments)
        .arg("--config")
        .arg(&feed.config)
        .stdin(Stdio::null())
        .output()
        .expect("tabletopic starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().unwrap_or(-1);
    (code, text(output.stdout), text(output.stderr))
}

/// It has to succeed; its answer.
fn taken_back(feed: &Feed, to: &str, more: &[&str]) -> Value {
    let asked = ["--to", to, "--yes", "--reason", REASON, "--output", "json"];
    let (code, answer, said) = roll_back(feed, &[&asked, more].concat());
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&answer).unwrap_or_else(|_| panic!("no JSON: {answer}\n{said}"))
}

fn main_of(feed: &Feed) -> i64 {
    reference(&feed.show(), "main")
}

fn number(value: &Value, pointer: &str) -> i64 {
    let number = value.pointer(pointer).and_then(Value::as_i64);
    number.unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

#[test]
fn what_came_after_is_read_again_by_a_service_that_runs_on() {
    let feed = Feed::new("taken-back", 2);
    let kept = feed.produce(600, POISON);
    let service = feed.run();
    feed.wait_for_rows(&service, kept);
    let then = main_of(&feed);
    let removed = feed.produce(600, POISON);
    feed.wait_for_rows(&service, kept + removed);
    let after: Vec<i64> = feed.snapshots();

    let metadata = feed.show()["metadata"].clone();
    let to = then.to_string();
    let (code, answer, said) = roll_back(&feed, &["--to", &to, "--dry-run"]);
    assert_eq!(code, 0, "{said}");
    for words in [
        "what this does: table shop.orders goes back to snapshot",
        "/0: goes on at offset",
    ] {
        assert!(answer.contains(words), "{words:?} is missing in:\n{answer}");
    }
    let (code, answer, said) = roll_back(&feed, &["--to", &to]);
    assert_eq!((code, answer.as_str()), (1, ""), "nobody can say yes: {said}");
    assert!(said.contains("nothing was done: add --yes"), "{said}");
    assert_eq!(feed.show()["metadata"], metadata, "looking changes nothing");

    let did = taken_back(&feed, &to, &[]);
    assert_eq!(
        (number(&did, "/to/snapshot_id"), &did["gone"]),
        (then, &json!([]))
    );
    feed.wait_for_rows(&service, kept + 2 * removed);
    let more = feed.produce(100, POISON);
    feed.wait_for_rows(&service, kept + 2 * removed + more);
    never_halted(&service.terminate());

    feed.holds(&[]);
    feed.lake.is_sound();
    feed.lake.must("audit", &[]);
    let now = feed.snapshots();
    let left = |id: &i64| after.contains(id) && *id != then && !now.contains(id);
    assert!(
        after.iter().any(left),
        "nobody may cherry-pick them back: {now:?}"
    );
    let ledger = feed.ledger("rewind");
    assert!(!ledger.is_empty(), "no row of it");
    assert!(ledger.iter().all(|row| row["reason"] == REASON), "{ledger:#?}");
}

#[test]
fn what_others_did_is_taken_back_and_nothing_is_read_twice() {
    let feed = Feed::new("taken-back-from-others", 1);
    feed.produce(300, POISON);
    feed.catch_up();
    let then = main_of(&feed);
    feed.lake.foreign(&["delete", "--where", "quantity < 20"]);
    let did = taken_back(&feed, &then.to_string(), &[]);
    assert_eq!(
        (number(&did, "/leaving/ours"), number(&did, "/leaving/others")),
        (0, 1),
        "{did:#}"
    );
    assert_eq!(
        did["partitions"][0]["before"], did["partitions"][0]["after"],
        "{did:#}"
    );
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
    feed.lake.must("audit", &[]);
}

#[test]
fn whoever_dies_in_between_leaves_the_table_as_it_was_or_taken_back() {
    let feed = Feed::new("taken-back-killed", 1);
    let kept = feed.produce(300, POISON);
    feed.catch_up();
    let then = main_of(&feed);
    let more = feed.produce(300, POISON);
    feed.catch_up();
    let newest = main_of(&feed);
    let counted = || {
        let rows = feed.done(&["sql", "-c", "SELECT count(*) AS n FROM shop.orders"]);
        rows[0]["n"].as_u64().expect("a number")
    };
    let words = ["rollback", &feed.lake.table, "--to", &then.to_string(), "--yes"];
    let mut kills = 0;
    // The later the process dies, the further it has come; at last it is done.
    for delay in (0..).map(|step| Duration::from_millis(8 * step)) {
        let mut rollback = Service::command(TABLETOPIC, &feed.config, &words);
        std::thread::sleep(delay);
        if rollback.is_running() {
            rollback.kill();
            kills += 1;
        }
        let is_as_it_was = main_of(&feed) == newest;
        let expected = if is_as_it_was { kept + more } else { kept };
        assert_eq!(counted(), expected, "rows and progress go together");
        if !is_as_it_was {
            break;
        }
    }
    assert!(kills > 2, "it was killed {kills} times");
    let verdict = feed.done(&["verify", &feed.lake.table]);
    assert_eq!(verdict["conclusion"], "proven", "{verdict:#}");
    feed.catch_up();
    feed.lake.must("audit", &[]);
    assert_eq!(counted(), kept + more);
    feed.holds(&[]);
    feed.lake.is_sound();
}

#[test]
fn an_offset_and_a_time_name_the_snapshot_before_them() {
    let feed = Feed::new("taken-back-to", 1);
    let mut heads = Vec::new();
    for _ in 0..3 {
        feed.produce(100, &[]);
        feed.catch_up();
        heads.push(main_of(&feed));
    }
    let look = |to: &str| feed.done(&["rollback", &feed.lake.table, "--to", to, "--dry-run"]);
    for (to, end) in [("0:299", 200), ("0:200", 200), ("0:150", 100), ("0:99", 0)] {
        let would = look(to);
        assert_eq!(number(&would, "/partitions/0/after"), end, "{to}: {would:#}");
        assert_eq!(number(&would, "/partitions/0/before"), 300, "{to}: {would:#}");
    }
    let shown = feed.show();
    let snapshots = shown["snapshots"].as_array().expect("a list");
    let of_second = snapshots
        .iter()
        .find(|snapshot| snapshot["id"] == json!(heads[1]));
    let when = of_second.and_then(|snapshot| snapshot["timestamp_ms"].as_i64());
    let when = chrono::DateTime::from_timestamp_millis(when.expect("it has a time")).expect("a time");
    let would = look(&when.to_rfc3339());
    assert_eq!(number(&would, "/to/snapshot_id"), heads[1], "{would:#}");

    for (to, words) in [
        ("1:5", "no topic of it has a partition 1"),
        ("7", "`main` does not lead to snapshot 7"),
        ("2001-01-01T00:00:00Z", "no snapshot of that time is left"),
        ("1s", "is on snapshot"),
    ] {
        let (code, _, said) = roll_back(&feed, &["--to", to, "--yes"]);
        assert!(code == 1 && said.contains(words), "{to}: {code}: {said}");
    }
    taken_back(&feed, "0:150", &[]);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
}

#[test]
fn what_the_topic_no_longer_has_is_said_before_and_lost_only_if_somebody_says_so() {
    let feed = Feed::new("taken-back-too-far", 1);
    feed.produce(300, &[]);
    feed.catch_up();
    let then = main_of(&feed).to_string();
    feed.produce(300, &[]);
    feed.catch_up();
    feed.topic.admin("delete-records", &["--before", "0=450"]);

    let metadata = feed.show()["metadata"].clone();
    let (code, _, said) = roll_back(&feed, &["--to", &then, "--yes"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("/0 from 300 to 449"), "{said}");
    assert_eq!(feed.show()["metadata"], metadata, "nothing was done");

    let did = taken_back(&feed, &then, &["--declare-lost"]);
    assert_eq!(number(&did, "/partitions/0/after"), 450, "{did:#}");
    assert_eq!(number(&did, "/partitions/0/lost"), 150, "{did:#}");
    feed.catch_up();
    feed.holds(&["--lost", "0=300-450"]);
    feed.lake.is_sound();
}

#[test]
fn a_table_that_stands_still_is_answered_first() {
    let feed = Feed::new("taken-back-halted", 1);
    feed.produce(100, &[]);
    feed.catch_up();
    let then = feed.tagged().to_string();
    feed.produce(100, &[]);
    feed.catch_up();
    feed.lake.foreign(&["rollback", "--to", &then]);
    let (code, _, said) = roll_back(&feed, &["--to", &then, "--yes"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("resolve shop.orders --rewind"), "{said}");
}
