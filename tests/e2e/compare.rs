//! `tabletopic compare` on what the service made of a topic: read twice it is the same; by another mapping it is not, and
//! what differs is named.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tabletopic_testkit::{Lake, Service, Topic};

use crate::TABLETOPIC;

/// The topic into a table of its own, by a group of its own.
fn replay(lake: &Lake, topic: &Topic, table: &str, job: &str) -> PathBuf {
    let config = lake.configure(
        table,
        topic,
        "",
        &format!("format = \"json\"\nevent_time = \"created_at\"\n{job}"),
    );
    let text = std::fs::read_to_string(&config).expect("it was written");
    let original = "table = \"shop.orders\"";
    assert!(text.contains(original), "{text}");
    let text = text.replace(original, &format!("table = \"{table}\"")).replace(
        &format!("group = \"{}\"", topic.name),
        &format!("group = \"{}-{table}\"", topic.name),
    );
    std::fs::write(&config, text).expect("it is written");
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    config
}

fn compared(config: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = Command::new(TABLETOPIC)
        .args(["compare", "--output", "json", "--config"])
        .arg(config)
        .args(arguments)
        .output()
        .expect("tabletopic starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    (output.status.code(), answer)
}

#[test]
fn a_topic_that_is_read_twice_is_the_same_and_another_mapping_is_found() {
    let (topic, lake) = (Topic::create("compare", 3, &[]), Lake::new());
    let produced = lake.file("produced.parquet");
    let dead_letters = "on_bad_record = \"dead-letter\"";
    topic.produce("orders", &["--count", "2000", "--produced", &produced]);
    let config = replay(&lake, &topic, "shop.orders", dead_letters);
    // The original has more commits, so that its files are others.
    let more = lake.file("more.parquet");
    topic.produce("orders", &["--count", "1000", "--seed", "7", "--produced", &more]);
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    replay(&lake, &topic, "ci.orders", dead_letters);

    let (code, answer) = compared(&config, &["shop.orders", "ci.orders"]);
    assert_eq!(
        (code, &answer["verdict"]),
        (Some(0), &json!("equal")),
        "{answer:#}"
    );
    assert_eq!(answer["a"]["rows"], answer["b"]["rows"]);
    assert!(answer["a"]["rows"].as_u64() > Some(2000), "{answer:#}");
    let topics = answer["by_topic_partition"].as_array().expect("a list");
    assert_eq!(topics.len(), 3, "{answer:#}");

    // Another mapping: records that `where` leaves out, and a column that is gone.
    let mapping = format!("{dead_letters}\nwhere = \"paid\"\n\n[topic.columns]\ndrop = [\"note\"]");
    replay(&lake, &topic, "ci.paid", &mapping);
    let (code, answer) = compared(&config, &["shop.orders", "ci.paid"]);
    assert_eq!(
        (code, &answer["verdict"]),
        (Some(3), &json!("differ")),
        "{answer:#}"
    );
    let asked = lake.must(
        "ask",
        &["SELECT count(*) AS rows FROM orders WHERE paid IS NOT TRUE"],
    );
    let left_out = &asked["rows"][0][0]["rows"];
    assert!(left_out.as_u64() > Some(500), "{asked:#}");
    let counts = &answer["differences"];
    assert_eq!(&counts["only_in_a"], left_out, "{answer:#}");
    assert_eq!(
        (&counts["only_in_b"], &counts["different"]),
        (&json!(0), &json!(0)),
        "{answer:#}"
    );
    let note = json!([{"kind": "only_in_a", "column": "note", "type": "string"}]);
    assert_eq!(decisive(&answer), note, "{answer:#}");
    assert_eq!(answer["samples"].as_array().map(Vec::len), Some(20), "{answer:#}");
    let (code, answer) = compared(
        &config,
        &["shop.orders", "ci.paid", "--ignore", "note", "--samples", "0"],
    );
    assert_eq!((code, decisive(&answer)), (Some(3), json!([])), "{answer:#}");
}

/// What differs between the schemas, but for field ids.
fn decisive(answer: &Value) -> Value {
    let differences = answer["schema"].as_array().expect("a list").iter();
    differences
        .filter(|difference| difference["kind"] != "field_id")
        .cloned()
        .collect()
}
