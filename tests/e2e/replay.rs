//! Topics are replayed into a namespace of their own: the same rows are there, whoever else writes and wherever the process
//! dies, and nothing is left when the replay is dropped.

use std::path::PathBuf;

use serde_json::{Value, json};
use tabletopic_testkit::Service;

use crate::TABLETOPIC;
use crate::feed::{Feed, POISON, never_halted};

fn is_same(feed: &Feed, other: &str) -> Value {
    let answer = feed.done(&["compare", &feed.lake.table, other]);
    assert_eq!(answer["verdict"], "equal", "{answer:#}");
    answer
}

/// What lies in the warehouse below a namespace.
pub fn files_of(feed: &Feed, namespace: &str) -> Vec<PathBuf> {
    let mut folders = vec![feed.lake.warehouse().join(namespace)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files
}

#[test]
fn a_topic_is_read_again_between_the_offsets_of_the_table_while_it_goes_on() {
    let feed = Feed::new("replay", 3);
    let first = feed.produce(1500, POISON);
    let service = feed.run();
    feed.wait_for_rows(&service, first);
    let (code, _, said) = feed.ran(&["replay", "--into", "shop"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("one that the configuration feeds"), "{said}");

    let would = feed.done(&["replay", "--into", "ci", "--same-as", "shop.orders", "--dry-run"]);
    assert!(would["offsets"].as_u64() >= Some(first), "{would:#}");
    assert_eq!(
        feed.done(&["replays"])["replays"],
        json!([]),
        "looking makes nothing"
    );

    let replayed = feed.done(&["replay", "--into", "ci", "--same-as", "shop.orders"]);
    assert_eq!(replayed["ended"], "whole", "{replayed:#}");
    assert_eq!(replayed["tables"][0]["of"], "shop.orders");
    assert_eq!(replayed["tables"][0]["rows"], json!(first), "{replayed:#}");
    assert!(
        replayed["tables"][0]["dead_letters"].as_u64() > Some(0),
        "{replayed:#}"
    );
    is_same(&feed, "ci.orders");
    let verdict = feed.done(&["compare", "shop.orders__dead_letters", "ci.orders__dead_letters"]);
    assert_eq!(verdict["verdict"], "equal", "{verdict:#}");

    // The main table goes on, and knows nothing of it.
    let more = feed.produce(300, POISON);
    feed.wait_for_rows(&service, first + more);
    never_halted(&service.terminate());
    feed.holds(&[]);

    // It is whole: there is nothing more to read, and other words are another replay.
    let again = feed.done(&["replay", "--into", "ci", "--same-as", "shop.orders"]);
    assert_eq!(again["tables"], replayed["tables"], "{again:#}");
    let (code, _, said) = feed.ran(&["replay", "--into", "ci"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("replays --drop ci"), "{said}");

    let listed = feed.done(&["replays"]);
    assert_eq!(listed["replays"][0]["table"], "ci.orders", "{listed:#}");
    assert!(!files_of(&feed, "ci").is_empty());
    let (code, _, said) = feed.ran(&["replays", "--drop", "ci"]);
    assert_eq!(code, 1, "nobody can say yes: {said}");
    feed.done(&["replays", "--drop", "ci", "--yes"]);
    assert_eq!(files_of(&feed, "ci"), Vec::<PathBuf>::new());
    assert_eq!(feed.done(&["replays"])["replays"], json!([]));
    feed.holds(&[]);
}

#[test]
fn a_replay_that_is_killed_goes_on_and_holds_each_record_once() {
    let feed = Feed::new("replay-killed", 2);
    feed.commit_often();
    let produced = feed.produce(20_000, POISON);
    feed.catch_up();
    let before = feed.show()["metadata"].clone();
    let arguments = ["replay", "--into", "again", "--read-rate", "20KiB"];
    // A poll takes 3,000 records at most of each partition, and the next one waits until the rate allows it.
    for _ in 0..3 {
        let mut replay = Service::command(TABLETOPIC, &feed.config, &arguments);
        tabletopic_testkit::eventually("it commits", || {
            assert!(replay.is_running(), "{}", replay.log());
            (replay.commits() > 0).then_some(())
        });
        replay.kill();
    }
    let (_, found, _) = feed.ran(&["replays"]);
    assert_eq!(
        found["replays"][0]["whole"], false,
        "it was killed in between: {found:#}"
    );
    let replayed = feed.done(&["replay", "--into", "again"]);
    assert_eq!(replayed["tables"][0]["rows"], json!(produced), "{replayed:#}");
    is_same(&feed, "again.orders");
    assert_eq!(feed.show()["metadata"], before, "the table never knew");
    feed.holds(&[]);
}

#[test]
fn offsets_times_and_mappings_are_what_was_asked_for() {
    let feed = Feed::new("replay-parts", 2);
    feed.produce(400, &[]);
    feed.catch_up();
    let then = feed.tagged();
    feed.produce(400, &[]);
    feed.catch_up();

    let part = feed.done(&["replay", "--into", "part", "--from", "0:20", "--to", "0:70"]);
    assert_eq!(part["tables"][0]["rows"], 50, "{part:#}");
    let rows = feed.done(&[
            "sql",
            "-c",
            "SELECT min(_kafka_offset) AS a, max(_kafka_offset) AS b, max(_kafka_partition) AS p FROM part.orders",
        ],
    );
    assert_eq!(rows, json!([{ "a": 20, "b": 69, "p": 0 }]));

    // What came after a snapshot, by another mapping.
    let from = format!("shop.orders@{then}");
    let other = feed.done(&[
        "replay",
        "--into",
        "other",
        "--from",
        &from,
        "--set",
        "columns.drop=[\"note\"]",
        "--drop-after",
    ]);
    assert_eq!(other["tables"][0]["rows"], 400, "{other:#}");
    assert_eq!(files_of(&feed, "other"), Vec::<PathBuf>::new());

    for (arguments, words) in [
        (
            vec!["--from", "0:20", "--to", "0:100000"],
            "its log ends at offset",
        ),
        (vec!["--from", "7:20"], "has no partition 7"),
        (vec!["--from", "0:70", "--to", "0:20"], "is above 20"),
        (vec!["--from", "shop.customers"], "does not exist"),
        (vec!["--set", "format=xml"], "format"),
    ] {
        let (code, _, said) = feed.ran(&[&["replay", "--into", "none"], arguments.as_slice()].concat());
        assert_ne!(code, 0, "{arguments:?}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(files_of(&feed, "none"), Vec::<PathBuf>::new());

    // Its time is over at once.
    feed.done(&["replay", "--into", "short", "--to", "0:10", "--ttl", "1ms"]);
    let dropped = feed.done(&["replays", "--drop-expired", "--yes"]);
    assert_eq!(dropped["removed"]["tables"], 3, "{dropped:#}");
    assert_eq!(files_of(&feed, "short"), Vec::<PathBuf>::new());
    // So does a service, by itself; of others it leaves its hands.
    feed.done(&["replay", "--into", "shorter", "--to", "0:10", "--ttl", "1ms"]);
    let service = feed.run();
    service.says("the time of this replay is over");
    never_halted(&service.terminate());
    assert_eq!(files_of(&feed, "shorter"), Vec::<PathBuf>::new());
    let left = feed.done(&["replays"]);
    assert_eq!(left["replays"].as_array().map(Vec::len), Some(1), "{left:#}");
}

#[test]
fn what_the_topic_no_longer_has_comes_from_a_raw_table() {
    let feed = Feed::new("replay-history", 2);
    feed.keep_history();
    let first = feed.produce(900, POISON);
    feed.catch_up();
    let held = feed.done(&["sql", "-c", "SELECT count(*) AS n FROM raw.orders"])[0]["n"].as_u64();
    feed.topic
        .admin("delete-records", &["--before", "0=300", "--before", "1=300"]);
    let (code, _, said) = feed.ran(&[
        "replay",
        "shop.orders",
        "--into",
        "no",
        "--same-as",
        "shop.orders",
    ]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("its log begins at offset 300"), "{said}");

    let alone = feed.done(&[
        "replay",
        "shop.orders",
        "--into",
        "old",
        "--history",
        "raw.orders",
        "--without-topic",
    ]);
    assert_eq!(alone["tables"][0]["rows"], json!(first), "{alone:#}");
    assert_eq!(alone["tables"][0]["offsets"]["held"].as_u64(), held, "{alone:#}");
    is_same(&feed, "old.orders");

    // The topic goes on from where the table ends.
    let more = feed.produce(300, POISON);
    let both = feed.done(&[
        "replay",
        "shop.orders",
        "--into",
        "all",
        "--history",
        "raw.orders",
    ]);
    assert_eq!(both["tables"][0]["rows"], json!(first + more), "{both:#}");
    feed.catch_up();
    is_same(&feed, "all.orders");
    feed.holds(&[]);
}

#[test]
fn a_captured_file_is_replayed_with_no_broker() {
    let feed = Feed::new("replay-file", 2);
    feed.produce(200, POISON);
    let file = feed.lake.file("orders.jsonl");
    let captured = feed.done(&["capture", &feed.topic.name, "--records", "1000", "--to", &file]);
    assert_eq!(captured["records"], 200, "{captured:#}");
    feed.catch_up();
    // Nobody is there.
    let text = std::fs::read_to_string(&feed.config).expect("it was written");
    let line = text
        .lines()
        .find(|line| line.starts_with("bootstrap"))
        .expect("it is there")
        .to_owned();
    feed.edit(&line, "bootstrap = \"localhost:1\"");
    let replayed = feed.done(&["replay", "--into", "ci", "--from-file", &file]);
    assert_eq!(replayed["ended"], "whole", "{replayed:#}");
    is_same(&feed, "ci.orders");
}

#[test]
fn a_topic_without_a_record_in_reach_leaves_an_empty_table_like_its_original() {
    let feed = Feed::new("replay-empty", 1);
    feed.edit(
        "[topic.commit]",
        "partition_by = [\"day(created_at)\"]\n\n[topic.commit]",
    );
    feed.produce(100, &[]);
    feed.catch_up();
    let none = feed.done(&["replay", "--into", "none", "--from", "0:100", "--to", "0:100"]);
    assert_eq!(none["tables"][0]["rows"], json!(0), "{none:#}");
    let columns = |table: &str| {
        let asked = format!(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = '{table}' AND table_name = 'orders' ORDER BY 1"
        );
        feed.done(&["sql", "-c", &asked])
    };
    assert_eq!(columns("none"), columns("shop"));
}
