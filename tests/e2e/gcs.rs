//! The warehouse is a bucket of a server that speaks Google's dialect.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tabletopic_testkit::{Gcs, Lake, Service, Topic};

use crate::TABLETOPIC;
use crate::feed::JSON;

const TOKEN: &str = "a-token-of-google";

/// A configuration that takes the token from the environment.
fn configure(lake: &Lake, store: &Gcs, topic: &Topic, job: &str) -> PathBuf {
    let config = lake.configure("tabletopic", topic, "", job);
    let storage = format!(
        "[storage]\ngcs.service.host = \"{}\"\ngcs.oauth2.token = \"${{env:LAKE_TOKEN}}\"\n\
         gcs.write.storage-class = \"NEARLINE\"",
        store.endpoint
    );
    let text = std::fs::read_to_string(&config).expect("it was written");
    let text = text.replace("[workers]", &format!("{storage}\n\n[workers]"));
    std::fs::write(&config, text).expect("it is written");
    config
}

fn run(arguments: &[&str], config: &Path, token: &str) -> (Option<i32>, String) {
    let output = Command::new(TABLETOPIC)
        .args(arguments)
        .arg("--config")
        .arg(config)
        .env("LAKE_TOKEN", token)
        .output()
        .expect("it starts");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    (output.status.code(), said)
}

#[test]
fn a_topic_becomes_a_table_in_googles_store_that_other_engines_read() {
    let store = Gcs::start(TOKEN);
    let (topic, lake) = (Topic::create("gcs", 2, &[]), Lake::in_gcs(&store));
    let config = configure(&lake, &store, &topic, JSON);
    let produced = lake.file("produced.parquet");
    topic.produce("orders", &["--count", "3000", "--produced", &produced]);
    let (code, said) = run(&["check"], &config, "another-token");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the credentials lack a permission or have expired") && !said.contains("another-token"),
        "{said}"
    );
    let (code, said) = run(&["check"], &config, TOKEN);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("ok    warehouse gs://lake/warehouse: a file was written, read and deleted"),
        "{said}"
    );
    let log = Service::run_with(TABLETOPIC, &config, &["--until-end"], &[("LAKE_TOKEN", TOKEN)]).succeed();
    assert!(!log.contains(TOKEN), "{log}");
    lake.holds(&[&produced], &[]);
    lake.is_sound();
    let count = ["sql", "--output", "csv", "-c", "SELECT count(*) AS n FROM orders"];
    assert_eq!(run(&count, &config, TOKEN), (Some(0), "n\n3000\n".to_owned()));
}

#[test]
fn a_file_of_many_parts_is_whole_in_googles_store() {
    let store = Gcs::start(TOKEN);
    let (topic, lake) = (Topic::create("gcs-parts", 1, &[]), Lake::in_gcs(&store));
    let config = configure(&lake, &store, &topic, "format = \"raw\"\npartition_by = []");
    // More than a part when it is compressed, read within one commit's interval.
    let mut dice = fastrand::Rng::with_seed(1);
    let lines = (0..30).map(|_| {
        let text: String = (0..900_000).map(|_| dice.alphanumeric()).collect();
        json!({ "text": text }).to_string() + "\n"
    });
    std::fs::write(lake.path("lines"), lines.collect::<String>()).expect("it is written");
    let produced = lake.file("produced.parquet");
    topic.produce("lines", &["--from", &lake.file("lines"), "--produced", &produced]);
    let text = std::fs::read_to_string(&config).expect("it was written");
    std::fs::write(&config, text.replace("interval = \"1s\"", "interval = \"30s\"")).expect("it is written");
    Service::run_with(TABLETOPIC, &config, &["--until-end"], &[("LAKE_TOKEN", TOKEN)]).succeed();
    lake.holds(&[&produced], &["--format", "raw"]);
}
