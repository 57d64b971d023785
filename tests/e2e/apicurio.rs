//! Records as Apicurio's own serializers frame them, in front of the value and in headers, by its own API and by
//! Confluent's.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tabletopic_testkit::{Lake, Registry, Topic, must};

use crate::TABLETOPIC;
use crate::environment::check;
use crate::registered::{self, holds, until_end};

fn produce(topic: &Topic, registry: &Registry, rows: &str, batches: &[&str]) {
    let url = registry.apicurio_url();
    let places = [
        "--bootstrap",
        &topic.bootstrap,
        "--registry",
        &url,
        "--rows",
        rows,
    ];
    must(
        "apicurio_produce",
        &[&[topic.name.as_str()], batches, &places].concat(),
    );
}

fn configure(lake: &Lake, topic: &Topic, format: &str, registry: &str) -> PathBuf {
    registered::configure(format, lake, topic, &format!("\n[registry]\n{registry}"))
}

#[test]
fn global_ids_are_read_wherever_apicurios_serializers_put_them() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("apicurio-global", 1, &[]), Lake::new());
    let rows = lake.file("rows");
    let batches = [
        "header-global:first",
        "header-content:first",
        "global-8:first",
        "global-4:first",
        "json:first",
        "strange",
    ];
    produce(&topic, &registry, &rows, &batches);
    let urls = format!("api = \"apicurio\"\nurls = [\"{}\"]", registry.apicurio_url());
    let config = configure(&lake, &topic, "avro", &urls);
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    until_end(&config);
    let letters = holds(&lake, &[&rows], &[]);
    assert_eq!(letters, json!({"not_framed": 22, "unknown_schema": 2}));
    lake.is_sound();

    // The serializers name an artifact as Confluent's name a subject.
    let planned = Command::new(TABLETOPIC)
        .args([
            "plan",
            "--output",
            "json",
            "--subject",
            &format!("{}-value", topic.name),
            "--config",
        ])
        .arg(&config)
        .output();
    let planned: Value = serde_json::from_slice(&planned.expect("it runs").stdout).expect("JSON");
    assert_eq!(planned["verdict"], "compatible", "{planned:#}");
}

#[test]
fn content_ids_are_told_by_confluents_api_as_well() {
    let registry = Registry::start();
    let batches = ["header-content:first", "content-8:first", "content-4:first"];
    for (name, api) in [
        (
            "apicurio-content",
            format!("urls = [\"{}\"]\nframing = \"apicurio\"", registry.url),
        ),
        (
            "apicurio-own-content",
            format!(
                "urls = [\"{}\"]\napi = \"apicurio\"\nids = \"content\"",
                registry.apicurio_url()
            ),
        ),
    ] {
        let (topic, lake) = (Topic::create(name, 1, &[]), Lake::new());
        let rows = lake.file("rows");
        produce(&topic, &registry, &rows, &batches);
        until_end(&configure(&lake, &topic, "avro", &api));
        assert_eq!(holds(&lake, &[&rows], &[]), json!({}));
        lake.is_sound();
    }
}

#[test]
fn a_protobuf_record_names_its_message_as_apicurios_serializers_do() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("apicurio-protobuf", 1, &[]), Lake::new());
    let rows = lake.file("rows");
    produce(
        &topic,
        &registry,
        &rows,
        &["header-global:people", "global-8:people"],
    );
    let urls = format!("api = \"apicurio\"\nurls = [\"{}\"]", registry.apicurio_url());
    until_end(&configure(&lake, &topic, "protobuf", &urls));
    assert_eq!(holds(&lake, &[&rows], &[]), json!({}));
    lake.is_sound();
}

#[test]
fn what_schemas_refer_to_is_told_by_apicurios_own_api() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("apicurio-references", 1, &[]), Lake::new());
    let rows = lake.file("rows");
    let origin = ["--registry", &registry.url];
    registered::produce("protobuf", &topic, origin, &rows, &["first"]);
    let urls = format!(
        "api = \"apicurio\"\nframing = \"confluent\"\nurls = [\"{}\"]",
        registry.apicurio_url()
    );
    until_end(&configure(&lake, &topic, "protobuf", &urls));
    assert_eq!(holds(&lake, &[&rows], &[]), json!({}));
    lake.is_sound();
}
