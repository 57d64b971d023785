//! `backfill = "behind"`: what is new is in the table from the beginning on, and history is filled behind it until the two
//! ranges of progress meet.

use serde_json::Value;
use tabletopic_testkit::{Broker, Service, Topic, eventually};

use crate::feed::{Feed, JSON, POISON, never_halted};

/// A share of what a test's history takes, so that it lasts while the test looks at it.
const SLOWLY: &str = "[workers]\nbackfill_rate = \"32KiB\"\n";

/// A topic whose history is read slowly behind what is new.
fn slow(name: &str, partitions: u32) -> Feed {
    slowly(Topic::create(name, partitions, &[]))
}

fn slowly(topic: Topic) -> Feed {
    let settings = format!("{JSON}\nbackfill = \"behind\"");
    let feed = Feed::of(topic, &settings);
    feed.edit("[workers]\n", SLOWLY);
    feed
}

/// Neither slowly nor behind: what is left to fill is in the table, whatever the configuration says.
fn plainly(feed: &Feed) {
    feed.edit(SLOWLY, "[workers]\n");
    feed.edit("backfill = \"behind\"", "");
}

/// What `status` says of the topic's partitions, whatever stands still.
fn partitions(feed: &Feed) -> Vec<Value> {
    let output = std::process::Command::new(crate::TABLETOPIC)
        .args(["status", "--output", "json", "--config"])
        .arg(&feed.config)
        .output()
        .expect("tabletopic starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one document");
    report["jobs"][0]["partitions"]
        .as_array()
        .expect("a list")
        .clone()
}

fn left(partition: &Value) -> u64 {
    partition["backfill"]["left"].as_u64().unwrap_or(0)
}

/// Waits until a service has read all that is new and something of the history, and answers how much of that is left in each
/// partition.
fn until_live(feed: &Feed) -> Vec<u64> {
    eventually("all that is new", || {
        let partitions = partitions(feed);
        let is_live = partitions.iter().all(|partition| partition["lag_records"] == 0);
        let is_filling = partitions
            .iter()
            .any(|partition| partition["held"][0]["end"].as_i64() > Some(0));
        (is_live && is_filling).then(|| partitions.iter().map(left).collect())
    })
}

/// The table is proven, by the broker too, with notes of these checks.
fn is_proven(feed: &Feed, with_notes_of: &[&str]) {
    let verdict = feed.done(&["verify", &feed.lake.table]);
    for check in verdict["checks"].as_array().expect("a list") {
        let name = check["name"].as_str().expect("a name");
        let expected = if with_notes_of.contains(&name) {
            "note"
        } else {
            "ok"
        };
        assert_eq!(check["outcome"], expected, "{verdict:#}");
    }
}

/// Rows at or above an offset of any partition, by DuckDB.
fn rows_from(feed: &Feed, offset: i64) -> u64 {
    let query = format!("SELECT count(*) AS rows FROM orders WHERE _kafka_offset >= {offset}");
    let answer = feed.lake.must("ask", &[&query]);
    answer["rows"][0][0]["rows"].as_u64().expect("a number")
}

#[test]
fn what_is_new_is_there_while_history_is_filled_and_then_the_two_meet() {
    let feed = slow("behind", 2);
    feed.produce(16_000, POISON);
    let service = feed.run();
    service.says(" recorded table=shop.orders kind=anchor");
    let new = feed.produce(400, POISON);
    let still_to_fill = until_live(&feed);
    assert!(
        still_to_fill.iter().all(|left| *left > 1_000),
        "{still_to_fill:?} of 8000 each is left"
    );
    assert_eq!(rows_from(&feed, 8_000), new, "what is new is there");
    // Only what is new is told to lag tools, and what is old does not make the table look stale.
    eventually("offsets of what is new in the group", || {
        let group = feed.topic.admin("group", &[]);
        let committed =
            |partition: i32| group["committed"][format!("{}/{partition}", feed.topic.name)].as_i64();
        (committed(0) == Some(8_200) && committed(1) == Some(8_200)).then_some(())
    });
    never_halted(&service.terminate());
    // In the middle of it every proof holds.
    feed.lake.must("audit", &[]);
    is_proven(&feed, &["ledger"]);
    let text = String::from_utf8(
        std::process::Command::new(crate::TABLETOPIC)
            .args(["status", "--config"])
            .arg(&feed.config)
            .output()
            .expect("tabletopic starts")
            .stdout,
    );
    let text = text.expect("UTF-8");
    assert!(
        text.contains("of 2 of 2 partitions are still to be filled behind what is new"),
        "{text}"
    );

    plainly(&feed);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
    is_proven(&feed, &[]);
    for partition in partitions(&feed) {
        let held = partition["held"].as_array().expect("a list");
        assert_eq!((held.len(), &partition["backfill"]), (1, &Value::Null));
        assert_eq!(held[0]["start"], 0);
    }
    let anchors = feed.ledger("anchor");
    let starts: Vec<_> = anchors.iter().map(|row| row["start_offset"].as_i64()).collect();
    let mut sorted = starts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 0, 8_000, 8_000].map(Some), "{anchors:#?}");

    // A partition that appears later has no history, and a setting of an anchored table changes nothing.
    feed.edit("event_time", "backfill = \"behind\"\nevent_time");
    feed.topic.admin("add-partitions", &["--to", "3"]);
    feed.produce(300, POISON);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
}

#[test]
fn history_that_ends_in_aborted_transactions_is_filled_to_its_end() {
    let feed = slow("behind-aborted", 2);
    // The last transaction of each partition is aborted: markers and records that nobody sees end the history.
    feed.produce_kind("transactions", 40, &["--size", "20"]);
    feed.edit(SLOWLY, "[workers]\n");
    feed.catch_up();
    for partition in partitions(&feed) {
        assert_eq!(partition["held"].as_array().map(Vec::len), Some(1));
    }
    feed.holds(&[]);
    feed.produce_kind("transactions", 20, &["--size", "20"]);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
    is_proven(&feed, &[]);
}

#[test]
fn retention_past_the_backfill_halts_it_and_nothing_else() {
    let feed = slow("behind-retention", 1);
    feed.produce(8_000, &[]);
    let service = feed.run();
    service.says(" recorded table=shop.orders kind=anchor");
    feed.produce(100, &[]);
    let [left] = until_live(&feed)[..] else {
        panic!("one partition")
    };
    let reached = 8_000 - i64::try_from(left).expect("an offset");
    assert!(reached < 7_000, "the backfill is at {reached} already");
    feed.topic.admin("delete-records", &["--before", "0=7500"]);
    let log = service.says("which the backfill had yet to read, are no longer in the log");
    for words in [
        "partition 0, backfill",
        "to 7499, which the backfill",
        "resolve shop.orders --declare-lost",
    ] {
        assert!(log.contains(words), "{words:?} is missing in:\n{log}");
    }
    let new = feed.produce(200, &[]);
    eventually("what is new", || (rows_from(&feed, 8_100) == new).then_some(()));
    let [partition] = &partitions(&feed)[..] else {
        panic!("one partition")
    };
    assert_eq!(
        (&partition["halted"], &partition["backfill"]["halted"]),
        (&false.into(), &true.into()),
        "{partition:#}"
    );
    let lost = partition["backfill"]["next_offset"].as_i64().expect("an offset");

    feed.answer(&["--declare-lost"]);
    service.says("this halt is over");
    eventually("the two ranges to meet", || {
        (partitions(&feed)[0]["backfill"] == Value::Null).then_some(())
    });
    service.terminate();
    feed.holds(&["--lost", &format!("0={lost}-7500")]);
    feed.lake.is_sound();
    is_proven(&feed, &[]);
}

#[test]
fn a_rollback_amid_a_backfill_is_filled_again() {
    let feed = slow("behind-rollback", 1);
    feed.produce(9_000, POISON);
    let service = feed.run();
    service.says(" recorded table=shop.orders kind=anchor");
    feed.produce(100, &[]);
    until_live(&feed);
    never_halted(&service.terminate());
    feed.done(&[
        "rollback",
        &feed.lake.table,
        "--to",
        "0:0",
        "--yes",
        "--reason",
        "tried",
    ]);
    let partitions = partitions(&feed);
    assert_eq!(
        (
            partitions[0]["held"].as_array().map(Vec::len),
            left(&partitions[0])
        ),
        (Some(2), 9_000),
        "{partitions:#?}"
    );
    plainly(&feed);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
    is_proven(&feed, &[]);
}

#[test]
fn a_replay_that_is_promoted_ends_a_backfill() {
    let feed = slow("behind-promoted", 1);
    feed.produce(9_000, POISON);
    let service = feed.run();
    service.says(" recorded table=shop.orders kind=anchor");
    feed.produce(100, POISON);
    until_live(&feed);
    never_halted(&service.terminate());
    assert!(left(&partitions(&feed)[0]) > 0);
    feed.done(&["replay", "--into", "try", "--same-as", &feed.lake.table]);
    feed.done(&["promote", "try.orders", "--yes", "--reason", "all of it"]);
    let partition = &partitions(&feed)[0];
    assert_eq!(
        (partition["held"].as_array().map(Vec::len), left(partition)),
        (Some(1), 0),
        "{partition:#}"
    );
    feed.produce(100, POISON);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
    is_proven(&feed, &[]);
}

#[test]
fn a_log_that_was_cut_amid_its_history_is_taken_back_in_both_ranges() {
    let broker = Broker::start(&[]);
    let feed = slowly(Topic::create_on(&broker.bootstrap, "behind-cut", 1, &[]));
    feed.produce(9_000, &[]);
    let service = feed.run();
    service.says(" recorded table=shop.orders kind=anchor");
    feed.produce(100, &[]);
    until_live(&feed);
    never_halted(&service.terminate());
    let reached = partitions(&feed)[0]["backfill"]["next_offset"]
        .as_i64()
        .expect("an offset");

    broker.stop();
    let cut = broker.cut(&feed.topic.name, 0, 8_000);
    assert!((reached..=8_000).contains(&cut), "the log ends at {cut}");
    broker.start_again();
    // Beyond where the table stands.
    feed.produce(4_000, &[]);
    let service = feed.run();
    service.says("partition 0: the log was cut below offset 9100");
    feed.answer(&["--truncate"]);
    service.says("this halt is over");
    service.terminate();
    plainly(&feed);
    feed.catch_up();
    feed.holds(&["--cut", &format!("2:0={cut}")]);
    feed.lake.is_sound();
    is_proven(&feed, &[]);
}

#[test]
fn two_tables_of_one_topic_are_each_filled() {
    let feed = slow("behind-both", 2);
    let text = std::fs::read_to_string(&feed.config).expect("the configuration is there");
    let (_, job) = text.split_once("[[topic]]").expect("a topic");
    let second = job.replacen("shop.orders", "shop.copies", 1);
    let second = second.replacen("table = ", "job = \"copies\"\ntable = ", 1);
    std::fs::write(&feed.config, format!("{text}\n[[topic]]{second}")).expect("it can be written");
    feed.produce(6_000, POISON);
    let service = Service::run(crate::TABLETOPIC, &feed.config, &[]);
    service.says(" recorded table=shop.copies kind=anchor");
    feed.produce(100, &[]);
    until_live(&feed);
    never_halted(&service.terminate());
    feed.edit(SLOWLY, "[workers]\n");
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
    let same = "SELECT (SELECT count(*) FROM orders) = (SELECT count(*) FROM copies) AND \
                (SELECT sum(_kafka_offset) FROM orders) = (SELECT sum(_kafka_offset) FROM copies) AS same";
    let answer = feed.lake.must("ask", &[same]);
    assert_eq!(answer["rows"][0][0]["same"], true, "{answer:#}");
}
