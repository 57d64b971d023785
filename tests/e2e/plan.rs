//! `plan` says what `run` then does, and does none of it.

use std::process::Command;

use serde_json::{Value, json};
use tabletopic_testkit::Topic;

use crate::TABLETOPIC;
use crate::feed::{Feed, JSON};

/// `tabletopic plan ARGUMENTS`: exit code and standard output.
fn plan(feed: &Feed, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(TABLETOPIC)
        .arg("plan")
        .args(arguments)
        .arg("--config")
        .arg(&feed.config)
        .output()
        .expect("tabletopic starts");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let error = String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), said + &error)
}

/// The plan of the one topic, which has to end with this exit code.
fn planned(feed: &Feed, exit: i32) -> Value {
    let (code, said) = plan(feed, &["--output", "json"]);
    assert_eq!(code, exit, "{said}");
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("no JSON: {said}"));
    assert_eq!(said["exit_code"], exit);
    said["topics"][0].clone()
}

/// Produces records that a test wrote (see `lines.py`) to partition 0.
fn produce(feed: &Feed, name: &str, lines: &[Value]) {
    let from = feed.lake.file(&format!("{name}.jsonl"));
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&from, text.join("\n")).expect("the lines are written");
    let produced = feed.lake.file(&format!("{name}.parquet"));
    feed.topic
        .produce("lines", &["--from", &from, "--produced", &produced]);
}

fn order(id: u64) -> Value {
    json!({ "value": { "id": id, "amount": 1.5, "created_at": "2026-01-02T03:04:05Z", "to": { "city": "Bonn" } } })
}

/// Name, type and id of the columns of a plan.
fn columns(plan: &Value) -> Vec<(String, String, i64)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let columns = plan["columns"].as_array().expect("a list").iter();
    columns
        .map(|column| {
            let id = column["id"].as_i64().expect("a number");
            (text(&column["name"]), text(&column["type"]), id)
        })
        .collect()
}

/// The table's columns as PyIceberg sees them, with those that a plan has.
fn agrees_with_pyiceberg(feed: &Feed, plan: &Value) {
    let shown = feed.show();
    let names: Vec<&String> = shown["columns"].as_object().expect("an object").keys().collect();
    let mut planned: Vec<String> = columns(plan).into_iter().map(|(name, ..)| name).collect();
    let mut there: Vec<String> = names.into_iter().cloned().collect();
    planned.sort();
    there.sort();
    assert_eq!(planned, there);
}

#[test]
fn a_table_that_would_be_made_is_shown_with_its_rows_and_is_not_made() {
    let feed = Feed::of(Topic::create("plan-new", 1, &[]), JSON);
    let broken = json!({ "text": "{\"id\":", "kind": "poison", "reason": "not_json" });
    produce(&feed, "new", &[order(1), broken, order(2)]);
    let plan_before = planned(&feed, 0);
    assert_eq!(plan_before["action"], "create");
    assert_eq!(
        (&plan_before["unread"], &plan_before["sampled"]),
        (&json!(3), &json!(3))
    );
    let expected = [
        ("created_at", "timestamptz", 1),
        ("amount", "double", 2),
        ("id", "long", 3),
        ("to", "struct<city: string>", 4),
        ("_kafka_partition", "int", 5),
        ("_kafka_offset", "long", 6),
        ("_kafka_timestamp", "timestamptz", 7),
    ];
    let expected = expected.map(|(name, ty, id)| (name.to_owned(), ty.to_owned(), id));
    assert_eq!(columns(&plan_before), expected);
    assert_eq!(plan_before["partition_by"], json!(["day(created_at)"]));
    assert_eq!(
        plan_before["properties"]["write.parquet.compression-codec"],
        "zstd"
    );
    assert_eq!(plan_before["rows"][0]["to"], json!({ "city": "Bonn" }));
    assert_eq!(plan_before["rows"][1]["id"], 2);
    assert_eq!(plan_before["set_aside"][0]["reason"], "not_json");
    assert_eq!(plan_before["set_aside"][0]["offset"], 1);
    assert!(!feed.lake.catalog().exists(), "a plan makes no catalog");
    assert!(!feed.lake.warehouse().exists(), "a plan makes no warehouse");

    feed.catch_up();
    agrees_with_pyiceberg(&feed, &plan_before);
    let after = planned(&feed, 0);
    assert_eq!(
        (&after["action"], &after["unread"]),
        (&json!("nothing"), &json!(0))
    );
    assert_eq!(columns(&after), columns(&plan_before), "it was made as planned");
}

#[test]
fn a_field_that_the_table_lacks_is_shown_with_the_record_that_brings_it() {
    let feed = Feed::of(Topic::create("plan-field", 1, &[]), JSON);
    produce(&feed, "before", &[order(1), order(2)]);
    feed.catch_up();
    let (shown, committed) = (feed.show(), feed.topic.admin("group", &[])["committed"].clone());

    let mut with_coupon = order(4);
    with_coupon["value"]["coupon"] = json!("SPRING");
    with_coupon["value"]["to"]["zip"] = json!(53111);
    produce(&feed, "after", &[order(3), with_coupon]);
    let plan_before = planned(&feed, 0);
    assert_eq!(plan_before["action"], "change");
    assert_eq!(
        (&plan_before["unread"], &plan_before["sampled"]),
        (&json!(2), &json!(2))
    );
    let changes = plan_before["changes"].as_array().expect("a list");
    let mut changed: Vec<&str> = changes
        .iter()
        .filter_map(|change| change["change"].as_str())
        .collect();
    changed.sort_unstable();
    assert_eq!(changed, ["add column coupon string", "add column to.zip long"]);
    assert!(changes.iter().all(|change| change["offset"] == 3), "{changes:#?}");
    let becomes = |name: &str| {
        let columns = plan_before["columns"].as_array().expect("a list").iter();
        let mut found = columns.filter(|column| column["name"] == name);
        found.next().expect("a column")["plan"].clone()
    };
    assert_eq!(["id", "to", "coupon"].map(becomes), ["kept", "changed", "added"]);
    // The record that brings it comes first.
    assert_eq!(plan_before["rows"][0]["coupon"], "SPRING");
    assert_eq!(feed.show(), shown, "a plan changes no table");
    assert_eq!(
        feed.topic.admin("group", &[])["committed"],
        committed,
        "nor the group's offsets"
    );
    let (_, text) = plan(&feed, &[&feed.topic.name]);
    assert!(
        text.contains("would change") && text.contains("+ ") && text.contains("coupon"),
        "{text}"
    );

    feed.catch_up();
    agrees_with_pyiceberg(&feed, &plan_before);
    assert_eq!(
        columns(&planned(&feed, 0)),
        columns(&plan_before),
        "it changed as planned"
    );
}

#[test]
fn records_that_do_not_fit_would_halt_and_say_so() {
    let feed = Feed::of(
        Topic::create("plan-misfit", 1, &[]),
        "format = \"json\"\nevent_time = \"created_at\"",
    );
    produce(&feed, "before", &[order(1)]);
    feed.catch_up();
    let mut misfit = order(2);
    misfit["value"]["amount"] = json!("free");
    produce(&feed, "after", &[misfit, order(3)]);
    let plan_before = planned(&feed, 4);
    let halt = plan_before["halts"][0].as_str().expect("a text");
    assert!(
        halt.contains("offset 1: bad record (wrong_type in field `amount`)"),
        "{halt}"
    );
    let (code, text) = plan(&feed, &[]);
    assert_eq!(code, 4);
    assert!(text.contains("would halt:"), "{text}");

    let (code, log) = feed.run_until_end();
    assert_eq!(code, 4);
    assert!(
        log.contains(halt),
        "a run says something else than {halt}:\n{log}"
    );
}

#[test]
fn another_topic_under_the_name_would_halt() {
    let feed = Feed::of(Topic::create("plan-recreated", 1, &[]), JSON);
    produce(&feed, "before", &[order(1)]);
    feed.catch_up();
    feed.topic.admin("delete", &[]);
    feed.topic.admin("create", &["--partitions", "1"]);
    let plan = planned(&feed, 4);
    let halt = plan["halts"][0].as_str().expect("a text");
    assert!(halt.contains("resolve shop.orders --adopt-topic"), "{halt}");
}

#[test]
fn an_empty_topic_is_no_silent_table() {
    let feed = Feed::of(Topic::create("plan-empty", 1, &[]), JSON);
    let plan = planned(&feed, 0);
    let warning = plan["warnings"][0].as_str().expect("a text");
    assert!(warning.contains("holds no record yet"), "{warning}");
    let (code, log) = feed.run_until_end();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("WARN") && log.contains(warning), "{log}");
}

#[test]
fn a_topic_that_the_configuration_does_not_have_is_named() {
    let feed = Feed::of(Topic::create("plan-unknown", 1, &[]), JSON);
    let (code, said) = plan(&feed, &["ordres"]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("no topic ordres; it has: ") && said.contains(&feed.topic.name),
        "{said}"
    );
}
