//! `tabletopic restore`: what the broker no longer has comes back from the table, as Kafka's own client and DuckDB see it.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tabletopic_testkit::{Service, Topic, eventually};

use crate::TABLETOPIC;
use crate::feed::Feed;

const RAW: &str = "format = \"raw\"\npartition_by = []";

/// A topic with a raw-history table, and the name of another topic.
struct Story {
    feed: Feed,
    restored: Topic,
}

impl Story {
    fn new(name: &str, partitions: u32) -> Self {
        let feed = Feed::of(Topic::create(name, partitions, &[]), RAW);
        let restored = Topic::named(&format!("{name}-restored"));
        Self { feed, restored }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(TABLETOPIC);
        command
            .args([
                "restore",
                &self.feed.lake.table,
                "--to-topic",
                &self.restored.name,
            ])
            .args(["--output", "json", "--config"])
            .arg(&self.feed.config)
            .args(more)
            .stdin(Stdio::null());
        command
    }

    /// What it says; it has to succeed.
    fn restore(&self, more: &[&str]) -> Value {
        let output = self.command(more).output().expect("tabletopic starts");
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
    }

    /// Exit code and words of one that is refused.
    fn refused(&self, more: &[&str]) -> (Option<i32>, String) {
        let output = self.command(more).output().expect("tabletopic starts");
        (output.status.code(), said(&output))
    }

    fn rows(&self) -> u64 {
        let query = "SELECT count(*) AS rows FROM orders";
        let rows = self.feed.lake.must("ask", &[query])["rows"][0][0]["rows"].as_u64();
        rows.expect("a number")
    }

    /// The topic has each row of the table once, in order, as a reader of committed records gets it.
    fn is_whole(&self) {
        let file = self.feed.lake.file("restored.parquet");
        self.restored.admin("read", &["--produced", &file]);
        let differing = format!(
            "WITH was AS (
                 SELECT _kafka_partition AS p, row_number() OVER (PARTITION BY _kafka_partition ORDER BY _kafka_offset) AS n,
                        key, value, epoch_ms(_kafka_timestamp) AS t, _kafka_headers AS h, true AS there
                 FROM orders),
             now AS (
                 SELECT partition AS p, row_number() OVER (PARTITION BY partition ORDER BY \"offset\") AS n,
                        key, value, timestamp AS t, headers AS h, true AS there
                 FROM '{file}')
             SELECT p, n, was.there AS was, now.there AS now FROM was FULL JOIN now USING (p, n)
             WHERE was.there IS NULL OR now.there IS NULL OR was.t IS DISTINCT FROM now.t OR was.key IS DISTINCT FROM now.key
                OR was.value IS DISTINCT FROM now.value OR was.h IS DISTINCT FROM now.h
             ORDER BY p, n LIMIT 10"
        );
        let asked = self.feed.lake.must("ask", &[&differing]);
        assert_eq!(asked["rows"][0], json!([]), "{asked:#}");
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// Records of every kind, in a log with gaps and in several files.
fn odd(name: &str) -> Story {
    let story = Story::new(name, 3);
    let feed = &story.feed;
    feed.produce_kind("transactions", 15, &["--size", "20"]);
    feed.catch_up();
    let lines = feed.lake.file("lines.json");
    let records = [
        json!({"text": "", "key": ""}),
        json!({"value": null, "key_hex": "ff00fe", "timestamp": 1_577_836_800_001_i64}),
        json!({"text": "\u{0}", "partition": 1, "headers": [["none", null], ["empty", ""], ["none", "2"], ["", "x"]]}),
        json!({"value": {"n": 1}, "partition": 2, "timestamp": 1_577_836_800_000_i64, "headers": []}),
    ];
    let records: String = records.iter().map(|record| format!("{record}\n")).collect();
    std::fs::write(&lines, records).expect("it is written");
    let produced = feed.lake.file("lines.parquet");
    feed.topic
        .produce("lines", &["--from", &lines, "--produced", &produced]);
    feed.produce_kind("orders", 2_000, &["--headers", "--tombstones", "0.05"]);
    feed.catch_up();
    story
}

#[test]
fn a_log_comes_back_with_all_that_records_have() {
    let story = odd("restore");
    let feed = &story.feed;
    let (code, said) = story.refused(&["--yes"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("--create --topic") && said.contains("--partitions 3"),
        "{said}"
    );
    let would = story.restore(&["--create", "--dry-run"]);
    assert_eq!(
        (&would["makes_topic"], &would["restored"]),
        (&json!(true), &Value::Null),
        "{would:#}"
    );
    let (code, said) = story.refused(&["--create"]);
    assert_eq!(code, Some(1), "nobody can say yes: {said}");
    assert!(
        said.contains("what this does: the log of topic") && said.contains("without a row"),
        "{said}"
    );

    let rows = story.rows();
    let did = story.restore(&["--create", "--yes"]);
    assert_eq!(did["restored"]["records"], json!(rows), "{did:#}");
    assert_eq!(did["restored"]["retimed"], json!(0), "{did:#}");
    story.is_whole();

    // Once more, after others have put the rows into another order, and with records that came since.
    feed.done(&["compact", "shop.orders", "--sort", "key"]);
    assert_eq!(story.restore(&["--yes"])["restored"]["records"], json!(0));
    feed.produce_kind("orders", 600, &["--headers"]);
    feed.catch_up();
    let did = story.restore(&["--yes"]);
    assert_eq!(did["begun_before"], json!(true), "{did:#}");
    assert_eq!(did["restored"]["records"], json!(600), "{did:#}");
    story.is_whole();

    // The ingest makes the same table of it.
    let again = feed.lake.configure("again", &story.restored, "", RAW);
    let text = std::fs::read_to_string(&again).expect("it was written");
    let text = text.replace("table = \"shop.orders\"", "table = \"shop.again\"");
    std::fs::write(&again, text).expect("it is written");
    Service::run(TABLETOPIC, &again, &["--until-end"]).succeed();
    let key = "_kafka_partition,_kafka_timestamp,key,value";
    let columns = ["--key", key, "--columns", "_kafka_headers"];
    let compared = feed.done(&[&["compare", "shop.orders", "shop.again"], &columns[..]].concat());
    assert_eq!(compared["verdict"], json!("equal"), "{compared:#}");
}

#[test]
fn a_topic_that_is_not_for_it_is_left_alone() {
    let mut story = odd("not-for-it");
    let refused = |story: &Story, words: &str| {
        let (code, said) = story.refused(&["--yes"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words), "{words}: {said}");
    };
    story.restored = story.feed.topic.clone();
    refused(&story, "job");
    story.restored = Topic::create("full", 3, &[]);
    story.restored.produce(
        "orders",
        &[
            "--count",
            "3",
            "--produced",
            &story.feed.lake.file("full.parquet"),
        ],
    );
    refused(&story, "is not empty");
    story.restored = Topic::create("narrow", 2, &[]);
    refused(&story, "has 2 partitions, and the log 3");
    story.restored = Topic::create("short", 3, &["retention.ms=3600000"]);
    refused(&story, "retention.ms=-1");
    story.restored = Topic::create("stamping", 3, &["message.timestamp.type=LogAppendTime"]);
    refused(&story, "CreateTime");
    let described = story.restored.admin("describe", &[]);
    for partition in described["partitions"].as_object().expect("partitions").values() {
        assert_eq!(partition["end"], json!(0), "{described:#}");
    }
    let topic = Topic::create("json", 1, &[]);
    let json = Feed::of(topic, crate::feed::JSON);
    json.produce(10, &[]);
    json.catch_up();
    let restored = Topic::named("json-restored");
    refused(&Story { feed: json, restored }, "is no raw-history table");
}

fn killed(mut child: Child) -> bool {
    let ran = matches!(child.try_wait(), Ok(None));
    child.kill().expect("it can be killed");
    child.wait().expect("it can be waited for");
    ran
}

#[test]
fn killed_at_any_moment_it_doubles_and_loses_nothing() {
    let story = Story::new("restore-killed", 3);
    story.feed.produce_kind("orders", 30_000, &["--headers"]);
    story.feed.catch_up();
    // Whether a restore has begun, and how far it is. A topic that is being made may not answer yet.
    let noted = || -> Option<(bool, i64)> {
        let output = story.command(&["--create", "--dry-run"]).output();
        let output = output.expect("tabletopic starts");
        if output.status.code() == Some(5) {
            return None;
        }
        assert!(output.status.success(), "{}", said(&output));
        let would: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let partitions = would["partitions"].as_array().expect("a list").iter();
        let next = partitions.filter_map(|partition| partition["next"].as_i64());
        Some((would["begun_before"] == json!(true), next.sum()))
    };
    let is_past = |before: i64| noted().is_some_and(|(_, next)| next > before);
    let start = || {
        let mut command = story.command(&["--create", "--yes", "--rate", "400KiB"]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("tabletopic starts")
    };
    // Before the first transaction is whole, and in the midst of later ones.
    let mut child = start();
    eventually("it begins", || {
        let ended = child.try_wait().expect("it can be asked").is_some();
        (ended || noted().is_some_and(|(begun, _)| begun)).then_some(())
    });
    assert!(killed(child), "it was done before it could be killed");
    for pause in [300, 700] {
        let (_, before) = eventually("an answer", noted);
        let child = start();
        eventually("it goes on", || is_past(before).then_some(()));
        std::thread::sleep(Duration::from_millis(pause));
        assert!(killed(child), "it was done before it could be killed");
    }
    let did = story.restore(&["--create", "--yes"]);
    let left = did["restored"]["records"].as_u64().expect("a number");
    assert!((1..story.rows()).contains(&left), "{did:#}");
    story.is_whole();
}
