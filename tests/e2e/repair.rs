//! Some offsets are read again and their rows swapped, in one commit, while the service goes on.

use std::time::Duration;

use serde_json::{Value, json};
use tabletopic_testkit::{Service, must, python, reader};

use crate::TABLETOPIC;
use crate::feed::{Feed, POISON, REASON, never_halted, reference};
use crate::replay::files_of;

/// Partition 0, offsets 100 to 139: what is spoiled, and more.
const SPOILED: &str = "0:100..140";

fn rows_of(feed: &Feed) -> i64 {
    let counted = feed.done(&[
        "sql",
        "-c",
        "SELECT count(*) AS n FROM shop.orders WHERE _kafka_partition = 0 AND _kafka_offset BETWEEN 100 AND 139",
    ]);
    counted[0]["n"].as_i64().expect("a number")
}

/// Somebody deletes most of these rows, and puts one back that says something else.
fn spoil(feed: &Feed) {
    let most = "_kafka_partition = 0 and _kafka_offset >= 103 and _kafka_offset < 140";
    feed.lake.foreign(&["delete", "--where", most]);
    feed.lake.foreign(&["append", "--count", "1", "--at", "0:120"]);
}

/// The table says of itself, by our own judge and by DuckDB, that nothing is missing, doubled or miscounted.
fn is_proven(feed: &Feed) {
    let verdict = feed.done(&["verify", "shop.orders"]);
    assert_eq!(verdict["conclusion"], "proven", "{verdict:#}");
    feed.lake.must("audit", &[]);
    feed.lake.is_sound();
}

fn number(value: &Value, pointer: &str) -> i64 {
    let number = value.pointer(pointer).and_then(Value::as_i64);
    number.unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

#[test]
fn rows_that_somebody_spoiled_are_swapped_while_the_service_goes_on() {
    let feed = Feed::new("repair", 2);
    feed.commit_often();
    let first = feed.produce(1000, POISON);
    let service = feed.run();
    feed.wait_for_rows(&service, first);
    let whole = rows_of(&feed);
    spoil(&feed);
    assert!(rows_of(&feed) < whole);

    let metadata = || feed.show()["refs"]["main"].clone();
    let (code, would, said) = feed.ran(&["repair", "shop.orders", "--offsets", "0:0..500", "--dry-run"]);
    assert_eq!(code, 3, "{said}");
    let differences = &would["comparison"]["differences"];
    assert_eq!(number(differences, "/different"), 1, "{would:#}");
    assert_eq!(feed.done(&["replays"])["replays"], json!([]), "nothing is left");
    let before = metadata();
    let (code, _, said) = feed.ran(&["repair", "shop.orders", "--offsets", SPOILED]);
    assert_eq!(code, 1, "{said}");
    assert_eq!(metadata(), before, "looking changes nothing");

    // While it is done, the service goes on.
    let more = feed.produce(1000, POISON);
    let did = feed.done(&[
        "repair",
        "shop.orders",
        "--offsets",
        "0:0..500",
        "--yes",
        "--reason",
        REASON,
    ]);
    assert_eq!(
        number(&did, "/partitions/0/before/rows"),
        number(&did, "/partitions/0/after/rows"),
        "as many as were counted: {did:#}"
    );
    feed.wait_for_rows(&service, first + more);
    let last = feed.produce(100, POISON);
    feed.wait_for_rows(&service, first + more + last);
    never_halted(&service.terminate());

    assert_eq!(rows_of(&feed), whole);
    for kind in ["withdraw", "repair"] {
        let ledger = feed.ledger(kind);
        assert!(
            ledger.iter().any(|row| row["reason"]
                .as_str()
                .is_some_and(|words| words.ends_with(REASON))),
            "{kind}: {ledger:#?}"
        );
    }
    feed.holds(&[]);
    is_proven(&feed);
    let again = feed.done(&["repair", "shop.orders", "--offsets", "0:0..500"]);
    assert_eq!(again["snapshot_id"], Value::Null, "nothing differs: {again:#}");
    assert_eq!(feed.done(&["replays"])["replays"], json!([]), "nothing is left");
}

#[test]
fn offsets_that_cannot_be_repaired_are_refused_before_anything_is_written() {
    let feed = Feed::new("repair-refused", 2);
    feed.edit(
        "[topic.commit]",
        "[topic.columns]\ndrop = [\"note\"]\n\n[topic.commit]",
    );
    feed.produce(400, &[]);
    feed.catch_up();
    let refused = |offsets: &[&str], code: i32, words: &str| {
        let before = feed.show()["metadata"].clone();
        let spans: Vec<&str> = offsets.iter().flat_map(|span| ["--offsets", *span]).collect();
        let (is, _, said) = feed.ran(&[&["repair", "shop.orders", "--yes"][..], &spans].concat());
        assert_eq!(is, code, "{offsets:?}: {said}");
        assert!(said.contains(words), "{offsets:?}: {said}");
        assert_eq!(feed.show()["metadata"], before);
    };
    refused(&["0:100"], 2, "write PARTITION:START..END");
    refused(&["0:0..10", "0:20..30"], 2, "named twice");
    refused(&["other/0:0..10"], 2, &feed.topic.name);
    feed.produce(100, &[]);
    refused(&["0:150..230"], 1, "are not all in the table, which has [0, 200)");
    // A part of what was committed at once, of which some is gone: nobody knows how much of it.
    feed.lake
        .foreign(&["delete", "--where", "_kafka_partition = 0 and _kafka_offset = 7"]);
    refused(&["0:0..100"], 1, "name all of it, as in [0, 200)");
    feed.done(&["repair", "shop.orders", "--offsets", "0:0..200", "--yes"]);
    feed.catch_up();
    is_proven(&feed);
    feed.edit("drop = [\"note\"]", "");
    refused(&["0:0..100"], 1, "a column `note` that the table does not have");
}

#[test]
fn rows_that_are_there_twice_and_letters_that_are_gone_are_mended() {
    let feed = Feed::new("repair-doubled", 1);
    feed.produce(300, POISON);
    feed.catch_up();
    // As many rows as before, and others.
    feed.lake
        .foreign(&["delete", "--where", "_kafka_partition = 0 and _kafka_offset = 50"]);
    feed.lake.foreign(&["append", "--count", "1", "--at", "0:60"]);
    let (code, _, said) = feed.ran(&["repair", "shop.orders", "--offsets", "0:0..100", "--yes"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("name all of it, as in [0, 300)"), "{said}");
    feed.done(&["repair", "shop.orders", "--offsets", "0:0..300", "--yes"]);
    feed.catch_up();
    is_proven(&feed);

    let letters = [
        "--table",
        "shop.orders__dead_letters",
        "delete",
        "--where",
        "offset >= 0",
    ];
    feed.lake.foreign(&letters);
    feed.done(&["repair", "shop.orders", "--offsets", "0:0..300", "--yes"]);
    feed.catch_up();
    is_proven(&feed);
    feed.holds(&[]);
}

/// Somebody deletes the row of one offset, and adds one at another: there are as many as before.
fn exchange(feed: &Feed, away: i64, at: i64) {
    let away = format!("_kafka_partition = 0 and _kafka_offset = {away}");
    feed.lake.foreign(&["delete", "--where", &away]);
    feed.lake
        .foreign(&["append", "--count", "1", "--at", &format!("0:{at}")]);
}

/// Repairing this one offset is refused, since all of what was committed with it has to be; then that is repaired.
fn is_mended_as_a_whole(feed: &Feed, offset: i64, end: i64) {
    let metadata = feed.show()["metadata"].clone();
    let part = format!("0:{offset}..{}", offset + 1);
    let (code, _, said) = feed.ran(&["repair", "shop.orders", "--offsets", &part, "--yes"]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains(&format!("name all of it, as in [0, {end})")),
        "{said}"
    );
    assert_eq!(feed.show()["metadata"], metadata, "nothing was done");
    let all = format!("0:0..{end}");
    feed.done(&["repair", "shop.orders", "--offsets", &all, "--yes"]);
    feed.catch_up();
    is_proven(feed);
}

/// The offsets that have a row.
fn offsets(feed: &Feed) -> Vec<i64> {
    let rows = feed.done(&[
        "sql",
        "-c",
        "SELECT _kafka_offset AS n FROM shop.orders ORDER BY 1",
    ]);
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| number(row, "/n")).collect()
}

#[test]
fn a_row_of_others_beside_a_dead_letter_hides_no_loss() {
    let feed = Feed::new("repair-beside-letter", 1);
    feed.produce(300, POISON);
    feed.catch_up();
    let first = feed.done(&[
        "sql",
        "-c",
        "SELECT min(\"offset\") AS n FROM shop.orders__dead_letters",
    ]);
    let letter = number(&first[0], "/n");
    let last = *offsets(&feed).last().expect("a row");
    assert_ne!(letter, last);
    exchange(&feed, last, letter);
    is_mended_as_a_whole(&feed, letter, 300);
    feed.holds(&[]);
}

#[test]
fn a_row_of_others_where_a_record_was_left_out_hides_no_loss() {
    let feed = Feed::new("repair-left-out", 1);
    feed.edit("on_bad_record", "where = \"quantity >= 10\"\non_bad_record");
    feed.produce(300, &[]);
    feed.catch_up();
    let there = offsets(&feed);
    let left_out = (0..300).find(|offset| !there.contains(offset)).expect("one");
    let last = *there.last().expect("a row");
    exchange(&feed, last, left_out);
    is_mended_as_a_whole(&feed, left_out, 300);
    assert_eq!(offsets(&feed), there);
}

#[test]
fn rows_of_others_where_no_record_is_are_named_and_go() {
    let feed = Feed::new("repair-no-record", 1);
    feed.produce_kind("transactions", 10, &["--size", "20"]);
    feed.catch_up();
    let there = offsets(&feed);
    let described = feed.topic.admin("describe", &[]);
    let end = number(&described, "/partitions/0/end");
    let marker = end - 1;
    assert!(!there.contains(&marker), "it is the marker of a transaction");
    feed.lake
        .foreign(&["append", "--count", "1", "--at", &format!("0:{marker}")]);
    let all = format!("0:0..{end}");
    let (code, would, said) = feed.ran(&["repair", "shop.orders", "--offsets", &all, "--dry-run"]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(
        would["partitions"][0]["beside"],
        json!([[marker, end]]),
        "{would:#}"
    );
    is_mended_as_a_whole(&feed, marker, end);
    assert_eq!(offsets(&feed), there);
    feed.holds(&[]);
}

/// Somebody repairs on a terminal, and says yes after another program has run: exit code, and what was on the terminal.
fn agreed_after(feed: &Feed, beside: &[&str]) -> (i64, String) {
    let steps = json!([{ "wait": "[y/N]" }, { "beside": beside }, { "send": "y\n" }]);
    let file = feed.lake.file("steps.json");
    std::fs::write(&file, steps.to_string()).expect("it can be written");
    let config = feed.config.to_str().expect("a UTF-8 path");
    let words = [
        "repair",
        "shop.orders",
        "--offsets",
        "0:0..300",
        "--config",
        config,
    ];
    let answer = must("terminal", &[&[file.as_str(), TABLETOPIC][..], &words].concat());
    let said = answer["terminal"].as_str().expect("a text");
    (number(&answer, "/code"), said.to_owned())
}

#[test]
fn only_what_was_shown_is_taken_out() {
    let feed = Feed::new("repair-shown", 1);
    feed.produce(300, &[]);
    feed.catch_up();
    spoil(&feed);
    let config = feed.config.to_str().expect("a UTF-8 path");

    // Somebody else deletes one of the rows, while the first one thinks about it.
    let (python, readers) = (python(), reader("foreign"));
    let catalog = feed.lake.file("catalog.db");
    let delete = ["delete", "--where", "_kafka_partition = 0 and _kafka_offset = 50"];
    let named = ["--catalog", &catalog, "--table", "shop.orders"];
    let programs = [python.to_str().expect("UTF-8"), readers.to_str().expect("UTF-8")];
    let (code, said) = agreed_after(&feed, &[&programs[..], &named, &delete].concat());
    assert_eq!(code, 1, "{said}");
    let theirs = format!("snapshot {} (another writer's", reference(&feed.show(), "main"));
    for words in ["is not what was shown: snapshot ", &theirs] {
        assert!(said.contains(words), "{words:?} is missing in:\n{said}");
    }

    // So does somebody who repairs the same.
    let other = [
        TABLETOPIC,
        "repair",
        "shop.orders",
        "--offsets",
        "0:0..300",
        "--into",
        "other",
        "--yes",
        "--config",
        config,
    ];
    let (code, said) = agreed_after(&feed, &other);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("(repair) came meanwhile"), "{said}");
    let shown = feed.show();
    let snapshots = shown["snapshots"].as_array().expect("a list").iter();
    let repairs = snapshots.filter(|snapshot| snapshot["summary"]["tabletopic.kind"] == "repair");
    assert_eq!(repairs.count(), 1, "it was done once");

    // What comes to the end of the table is the service's.
    spoil(&feed);
    feed.produce(100, &[]);
    let (code, said) = agreed_after(&feed, &[TABLETOPIC, "run", "--until-end", "--config", config]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(feed.done(&["replays"])["replays"], json!([]), "nothing is left");
    feed.catch_up();
    is_proven(&feed);
    feed.holds(&[]);
}

#[test]
fn whoever_dies_in_between_leaves_the_old_rows_or_the_new_ones() {
    let feed = Feed::new("repair-killed", 1);
    feed.produce(300, POISON);
    feed.catch_up();
    let whole = rows_of(&feed);
    spoil(&feed);
    let spoiled = rows_of(&feed);
    assert!(spoiled < whole);
    let mut kills = 0;
    let words = ["repair", "shop.orders", "--offsets", "0:0..300", "--yes"];
    // The later the process dies, the further it has come; at last it is done.
    for delay in (1..).map(|step| Duration::from_millis(40 * step)) {
        let mut repair = Service::command(TABLETOPIC, &feed.config, &words);
        std::thread::sleep(delay);
        let died = repair.is_running();
        if died {
            repair.kill();
            kills += 1;
        }
        let rows = rows_of(&feed);
        assert!(rows == spoiled || rows == whole, "{rows} rows");
        if rows == whole {
            break;
        }
    }
    assert!(kills > 2, "it was killed {kills} times");
    // Whoever gives the same words once more ends it, whatever is left.
    feed.done(&words);
    assert_eq!(feed.done(&["replays"])["replays"], json!([]), "nothing is left");
    is_proven(&feed);
    feed.holds(&[]);
}

#[test]
fn records_that_were_dead_letters_become_rows() {
    let feed = Feed::new("repair-letters", 1);
    let columns = |columns: &str| {
        let table = format!("CREATE TABLE orders ({columns}, created_at TIMESTAMPTZ)");
        std::fs::write(feed.lake.path("orders.sql"), table).expect("it can be written");
    };
    // Ids need more than that.
    columns("id INT");
    feed.edit("on_bad_record", "ddl = \"orders.sql\"\non_bad_record");
    let records = feed.produce(200, &[]);
    feed.catch_up();
    let letters = || {
        let counted = feed.done(&["sql", "-c", "SELECT count(*) AS n FROM shop.orders__dead_letters"]);
        number(&counted, "/0/n")
    };
    assert_eq!(letters(), records as i64);
    let then = feed.tagged();
    feed.lake.foreign(&["widen", "id", "long"]);
    columns("id BIGINT");
    let did = feed.done(&["repair", "shop.orders", "--offsets", "0:0..200", "--yes"]);
    assert_eq!(
        number(&did, "/partitions/0/after/rows"),
        records as i64,
        "{did:#}"
    );
    assert_eq!(number(&did, "/partitions/0/after/dead_letters"), 0, "{did:#}");
    feed.catch_up();
    assert_eq!(letters(), 0);
    is_proven(&feed);
    // The letters of then come back, and whoever only looks leaves nothing behind.
    let (files, to) = (files_of(&feed, "shop"), then.to_string());
    feed.done(&["rollback", "shop.orders", "--to", &to, "--dry-run"]);
    let (code, _, said) = feed.ran(&["rollback", "shop.orders", "--to", &to]);
    assert_eq!(code, 1, "nobody can say yes: {said}");
    assert_eq!(files_of(&feed, "shop"), files, "looking writes nothing");
    feed.done(&["rollback", "shop.orders", "--to", &to, "--yes"]);
    feed.catch_up();
    assert_eq!(letters(), records as i64);
    is_proven(&feed);
}

#[test]
fn a_letter_that_was_redriven_before_a_repair_is_no_row_after_it() {
    let feed = Feed::new("repair-redriven", 1);
    let columns = |id: &str| {
        let table = format!("CREATE TABLE orders (id {id}, created_at TIMESTAMPTZ)");
        std::fs::write(feed.lake.path("orders.sql"), table).expect("it can be written");
    };
    columns("INT");
    feed.edit("on_bad_record", "ddl = \"orders.sql\"\non_bad_record");
    let records = feed.produce(60, &[]) as i64;
    feed.catch_up();
    feed.lake.foreign(&["widen", "id", "long"]);
    columns("BIGINT");
    feed.done(&["dead-letters", "shop.orders", "redrive", "--yes"]);
    feed.catch_up();
    is_proven(&feed);

    // By another mapping all of them are letters again, and no rows.
    feed.lake.foreign(&["drop-column", "id"]);
    feed.lake.foreign(&["add-column", "id", "boolean"]);
    columns("BOOLEAN");
    let did = feed.done(&["repair", "shop.orders", "--offsets", "0:0..60", "--yes"]);
    assert_eq!(
        number(&did, "/partitions/0/after/dead_letters"),
        records,
        "{did:#}"
    );
    assert_eq!(number(&did, "/partitions/0/after/rows"), 0, "{did:#}");
    feed.catch_up();
    is_proven(&feed);
    // That they were redriven once makes no row of theirs right.
    feed.lake.foreign(&["append", "--count", "1", "--at", "0:5"]);
    let (code, verdict, said) = feed.ran(&["verify", "shop.orders"]);
    assert_eq!(code, 3, "{said}");
    let checks = verdict["checks"].as_array().expect("a list").iter();
    let also = checks.filter_map(|check| check["counted"]["also-a-row"].as_i64());
    assert_eq!(also.sum::<i64>(), 1, "{verdict:#}");
}

#[test]
fn a_repair_is_taken_back_and_done_again() {
    let feed = Feed::new("repair-back", 1);
    feed.produce(300, &[]);
    feed.catch_up();
    let whole = rows_of(&feed);
    spoil(&feed);
    feed.produce(1, &[]);
    feed.catch_up();
    let (spoiled, then) = (rows_of(&feed), feed.tagged());
    feed.done(&["repair", "shop.orders", "--offsets", "0:0..300", "--yes"]);
    assert_eq!(rows_of(&feed), whole);
    feed.done(&["rollback", "shop.orders", "--to", &then.to_string(), "--yes"]);
    assert_eq!(rows_of(&feed), spoiled);
    feed.done(&["repair", "shop.orders", "--offsets", "0:0..300", "--yes"]);
    feed.produce(100, &[]);
    feed.catch_up();
    is_proven(&feed);
    feed.holds(&[]);
}

#[test]
fn a_history_gives_what_the_topic_no_longer_has_and_only_what_it_holds() {
    let feed = Feed::new("repair-history", 1);
    feed.keep_history();
    feed.produce(300, POISON);
    feed.catch_up();
    feed.topic.admin("delete-records", &["--before", "0=300"]);
    let whole = rows_of(&feed);
    spoil(&feed);
    let (code, _, said) = feed.ran(&["repair", "shop.orders", "--offsets", "0:0..300", "--yes"]);
    assert_ne!(code, 0, "{said}");
    let by_history = [
        "repair",
        "shop.orders",
        "--offsets",
        "0:0..300",
        "--history",
        "raw.orders",
        "--without-topic",
        "--yes",
    ];
    feed.done(&by_history);
    assert_eq!(rows_of(&feed), whole);
    feed.holds(&[]);
    is_proven(&feed);

    // A history that lacks a record takes no row along.
    let metadata = feed.show()["metadata"].clone();
    let raw = ["--table", "raw.orders", "delete", "--where", "_kafka_offset = 7"];
    feed.lake.foreign(&raw);
    let (code, _, said) = feed.ran(&by_history);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("records of partition 0 that the table has are not in what was read again, such as those at [7, 8)"),
        "{said}"
    );
    assert_eq!(feed.show()["metadata"], metadata);
}
