//! `tabletopic capture`: what is in the file is what was produced, byte for byte but for what is masked; a Python program
//! judges that. What can't be masked is refused, and nothing is written then.

use std::process::{Command, Output};

use serde_json::{Value, json};
use tabletopic_testkit::{Lake, Registry, Topic, must};

use crate::TABLETOPIC;
use crate::feed::{Feed, JSON, POISON};
use crate::registered;

fn capture(config: &std::path::Path, topic: &str, to: &str, more: &[&str]) -> Output {
    Command::new(TABLETOPIC)
        .args(["capture", topic, "--to", to, "--output", "json", "--config"])
        .arg(config)
        .args(more)
        .output()
        .expect("tabletopic starts")
}

/// What a capture that has to succeed says.
fn captured(config: &std::path::Path, topic: &str, to: &str, more: &[&str]) -> Value {
    let output = capture(config, topic, to, more);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{more:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{more:?}: {said}"))
}

fn refused(config: &std::path::Path, topic: &str, to: &str, more: &[&str]) -> (i32, String) {
    let output = capture(config, topic, to, more);
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), said)
}

/// A topic of three partitions with what was produced to it, oddities included.
fn orders(name: &str, more: &[&str]) -> (Feed, String) {
    let feed = Feed::of(Topic::create(name, 3, &[]), JSON);
    let produced = feed.lake.file("produced.parquet");
    let count = ["--count", "300", "--produced", &produced];
    feed.topic.produce("orders", &[&count, more].concat());
    (feed, produced)
}

#[test]
fn the_file_has_what_was_produced_byte_for_byte() {
    let (feed, produced) = orders("captured", POISON);
    let (to, topic) = (feed.lake.file("orders.jsonl"), feed.topic.name.as_str());
    let done = captured(&feed.config, topic, &to, &["--records", "60"]);
    assert_eq!(
        (&done["records"], &done["masked"]),
        (&json!(60), &json!({})),
        "{done:#}"
    );
    let read = must("captured", &[&to, "--produced", &produced]);
    assert_eq!(read["records"], 60);
    assert_eq!(read["header"]["topic"], topic);
    assert_eq!(read["header"]["partitions"], 3);
    assert_eq!(
        read["partitions"],
        json!({ "0": [80, 99], "1": [80, 99], "2": [80, 99] }),
        "the newest"
    );
    captured(
        &feed.config,
        topic,
        &to,
        &["--records", "10", "--from", "earliest"],
    );
    let read = must("captured", &[&to, "--produced", &produced]);
    assert_eq!(
        read["partitions"],
        json!({ "0": [0, 3], "1": [0, 2], "2": [0, 2] }),
        "the oldest"
    );
    let done = captured(&feed.config, topic, &to, &["--records", "5000", "--from", "1h"]);
    assert_eq!(done["records"], 300, "all there are");
    must("captured", &[&to, "--produced", &produced]);
    // A file that is not whole is never there under its name, and no group was joined.
    assert!(!feed.lake.path("orders.jsonl.part").exists());
}

#[test]
fn masks_hide_values_and_keep_types_and_joins() {
    let (feed, _) = orders("captured-masked", POISON);
    let (to, topic) = (feed.lake.file("orders.jsonl"), feed.topic.name.as_str());
    let masks = [
        "--records",
        "300",
        "--mask",
        "customer",
        "--mask",
        "quantity",
        "--mask",
        "id",
    ];
    let done = captured(&feed.config, topic, &to, &masks);
    let left_out = done["left_out"].as_u64().expect("a number");
    assert!(left_out > 0, "poison that is no JSON: {done:#}");
    assert_eq!(done["records"], 300 - left_out);
    let kept = done["records"].as_u64();
    assert!(done["masked"]["customer"].as_u64() <= kept, "{done:#}");
    let text = std::fs::read_to_string(&to).expect("it was written");
    let customers: Vec<&str> = text.split("\"customer\":\"").skip(1).collect();
    assert!(customers.len() > 200, "{}", customers.len());
    let masked = |rest: &&str| rest.split('"').next().is_some_and(|hash| hash.len() == 16);
    assert!(customers.iter().all(masked), "no customer is told");

    // Where all values are orders, each is masked, and nothing else is another one.
    let (feed, clean) = orders("captured-masked-clean", &[]);
    let topic = feed.topic.name.as_str();
    let done = captured(
        &feed.config,
        topic,
        &to,
        &[&masks[..], &["--mask-key", "--drop-headers"]].concat(),
    );
    assert_eq!(
        done["masked"],
        json!({ "customer": 300, "id": 300, "quantity": 300 }),
        "{done:#}"
    );
    let text = std::fs::read_to_string(&to).expect("it was written");
    assert!(!text.contains("\"headers\""), "they are left out");
    let bare = feed.lake.file("bare.parquet");
    must("without_headers", &[&clean, &bare]);
    let masked = [
        "--masked",
        "customer",
        "--masked",
        "quantity",
        "--masked",
        "id",
        "--key-masked",
    ];
    let read = must(
        "captured",
        &[&[to.as_str(), "--produced", &bare], &masked[..]].concat(),
    );
    assert!(read["values"]["customer"].as_u64() > Some(100), "{read:#}");
}

#[test]
fn what_would_leak_or_mask_nothing_is_refused_and_leaves_the_file_alone() {
    let (feed, _) = orders("captured-refused", &[]);
    let (to, topic) = (feed.lake.file("orders.jsonl"), feed.topic.name.as_str());
    std::fs::write(&to, "before").expect("it can be written");
    let (code, said) = refused(&feed.config, topic, &to, &["--mask", "customr"]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("the mask customr was found in none of 300 records"),
        "{said}"
    );
    let (code, said) = refused(&feed.config, topic, &to, &["--mask", "a..b"]);
    assert_eq!(code, 2, "{said}");
    let (code, said) = refused(&feed.config, "no-such-topic", &to, &[]);
    assert!(code == 2 && said.contains(topic), "{code}: {said}");
    assert_eq!(std::fs::read_to_string(&to).expect("it is there"), "before");
}

#[test]
fn schemas_that_records_name_are_in_the_file_and_their_values_cannot_be_masked() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("captured-avro", 1, &[]), Lake::new());
    let rows = lake.file("rows");
    registered::produce(
        "avro",
        &topic,
        ["--registry", &registry.url],
        &rows,
        &["first", "second"],
    );
    let section = format!("\n[registry]\ntimeout = \"500ms\"\nurls = [\"{}\"]", registry.url);
    let config = registered::configure("avro", &lake, &topic, &section);
    let to = lake.file("orders.jsonl");
    let done = captured(&config, &topic.name, &to, &[]);
    assert_eq!(done["schemas"], 2, "{done:#}");
    let text = std::fs::read_to_string(&to).expect("it was written");
    let header: Value = serde_json::from_str(text.lines().next().expect("a header")).expect("JSON");
    for schema in header["schemas"].as_array().expect("a list") {
        assert_eq!(schema["type"], "AVRO", "{schema:#}");
        let written: Value = serde_json::from_str(schema["schema"].as_str().expect("text")).expect("JSON");
        assert_eq!(written["type"], "record", "{schema:#}");
    }
    assert_eq!(
        text.lines().count() as u64,
        1 + done["records"].as_u64().expect("a number")
    );
    let fixture = tabletopic_fixture::Fixture::read(to.as_ref()).expect("it is read again");
    assert_eq!(
        fixture.records.len() as u64,
        done["records"].as_u64().expect("a number")
    );
    assert!(fixture.registry().is_some());
    let (code, said) = refused(&config, &topic.name, &to, &["--mask", "id"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("unmasked they would leak"), "{said}");
}
