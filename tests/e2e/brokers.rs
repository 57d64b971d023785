//! Brokers of other kinds than the one that most tests share: with a remote tier, and without topic ids.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tabletopic_testkit::{Broker, Lake, Service, Topic, WithoutTopicIds, eventually};
use tempfile::TempDir;

use crate::TABLETOPIC;
use crate::environment::check;
use crate::feed::JSON;

fn produce(topic: &Topic, lake: &Lake, name: &str, count: &str, first: &str) -> String {
    let produced = lake.file(&format!("{name}.parquet"));
    let arguments = ["--count", count, "--first", first, "--produced", &produced];
    topic.produce("orders", &arguments);
    produced
}

/// Segments of a topic below a folder.
fn segments(folder: &Path, topic: &Topic) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let entries = entries.map(|entry| entry.expect("it can be read").path());
    entries
        .map(|path| match path.is_dir() {
            true => segments(&path, topic),
            false => {
                let text = path.to_string_lossy();
                usize::from(text.contains(&topic.name) && text.ends_with(".log"))
            }
        })
        .sum()
}

/// How many rows of a partition are in the table.
fn rows(config: &Path, partition: u32) -> u64 {
    let query = format!("SELECT count(*) AS n FROM orders WHERE _kafka_partition = {partition}");
    let output = Command::new(TABLETOPIC)
        .args(["sql", "--output", "json", "-c", &query, "--config"])
        .arg(config)
        .output()
        .expect("it starts");
    let rows: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    rows[0]["n"].as_u64().expect("a count")
}

#[test]
fn history_comes_from_the_remote_tier_while_the_live_edge_stays_fresh() {
    let remote = TempDir::new().expect("a temporary folder");
    // Half a megabyte of it a second, so that there is a while to look.
    let broker = Broker::tiered(
        remote.path(),
        &["remote.log.manager.fetch.max.bytes.per.second=524288"],
    );
    let configs = [
        "remote.storage.enable=true",
        "segment.bytes=1048576",
        "local.retention.ms=1000",
    ];
    let topic = Topic::create_on(&broker.bootstrap, "tiered", 1, &configs);
    let lake = Lake::new();
    let history = produce(&topic, &lake, "history", "100000", "0");
    eventually("most segments are only remote", || {
        let (remote, local) = (segments(remote.path(), &topic), segments(broker.folder(), &topic));
        (remote >= 5 && local <= 2).then_some(())
    });
    topic.admin("add-partitions", &["--to", "2"]);

    let config = lake.configure("tiered", &topic, "", JSON);
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(" committed table=");
    let live = produce(&topic, &lake, "live", "20", "100000");
    let rows = |partition| rows(&config, partition);
    let behind = eventually("live records in the table", || (rows(1) == 10).then(|| rows(0)));
    assert!(behind < 100_000, "the history was there first: {behind}");
    service.terminate();
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    lake.holds(&[&history, &live], &[]);
    lake.is_sound();
}

/// As of Kafka before 2.8, and of brokers that others have written.
#[test]
fn a_broker_without_topic_ids_is_read_and_check_says_what_cannot_be_told() {
    let broker = WithoutTopicIds::start("plain", 2);
    let topic = Topic {
        name: "plain".to_owned(),
        bootstrap: broker.bootstrap.clone(),
    };
    let lake = Lake::new();
    let config = lake.configure("plain", &topic, "", JSON);
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("the brokers have no topic ids, so a topic deleted and created again cannot be told"),
        "{said}"
    );
    for (name, first) in [("first", "0"), ("second", "500")] {
        produce(&topic, &lake, name, "1000", first);
        Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    }
    // The cluster tells a producer other timestamps than those that it gives to readers.
    let read = lake.file("read.parquet");
    topic.admin("read", &["--produced", &read]);
    lake.holds(&[&read], &[]);
    lake.is_sound();
}
