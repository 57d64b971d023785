//! Keys with schemas of their own, from a topic to a table: Confluent's serializer, a real registry, PyIceberg and DuckDB
//! as judges.

use std::process::Command;

use serde_json::{Value, json};
use tabletopic_testkit::{Lake, Registry, Service, Topic, must};

use crate::TABLETOPIC;

#[test]
fn keys_are_decoded_by_their_own_schemas_which_may_change() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("keys", 1, &[]), Lake::new());
    let produce = |rows: &str, batches: &[&str]| {
        let places = [
            "--bootstrap",
            &topic.bootstrap,
            "--registry",
            &registry.url,
            "--rows",
            rows,
            "--keys",
        ];
        must(
            "registry_produce",
            &[&["avro", topic.name.as_str()], batches, &places].concat(),
        );
    };
    let job = format!(
        "format = \"avro\"\non_bad_record = \"dead-letter\"\npartition_by = []\nkey.format = \"avro\"\n\n\
         [registry]\nurls = [\"{}\"]\n",
        registry.url
    );
    let config = lake.configure("keys", &topic, "", &job);
    let (before, after) = (lake.file("before"), lake.file("after"));
    produce(&before, &["first"]);
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    // The key is a text, and then a record; the values get other columns, too.
    produce(&after, &["first", "second"]);
    let planned = Command::new(TABLETOPIC)
        .args([
            "plan",
            "--output",
            "json",
            "--subject",
            &format!("{}-key", topic.name),
            "--config",
        ])
        .arg(&config)
        .output();
    let planned: Value = serde_json::from_slice(&planned.expect("it runs").stdout).expect("JSON");
    assert_eq!(
        (&planned["verdict"], &planned["changes"]),
        (
            &json!("changes"),
            &json!(["add column key.region string", "add column key.number long"])
        ),
        "{planned:#}"
    );
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    let arguments = ["--rows", &before, "--rows", &after, "--causes", "21", "23"];
    let judged = lake.must("avro_rows", &arguments);
    assert_eq!(judged["dead_letters"], json!({"not_avro": 3}));
    lake.is_sound();
}
