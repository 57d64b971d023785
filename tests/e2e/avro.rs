//! Avro from a topic to a table: Confluent's serializer, a real registry, PyIceberg and DuckDB as judges.

use std::path::PathBuf;

use serde_json::json;
use tabletopic_testkit::{BehindTls, Lake, Registry, Service, Topic, eventually, must};

use crate::TABLETOPIC;
use crate::environment::check;
use crate::registered::{self, holds, until_end};

fn produce(topic: &Topic, registry: &Registry, rows: &str, batches: &[&str]) {
    registered::produce("avro", topic, ["--registry", &registry.url], rows, batches);
}

fn configure(lake: &Lake, topic: &Topic, registry: &Registry) -> PathBuf {
    configure_with(lake, topic, &format!("urls = [\"{}\"]", registry.url))
}

fn configure_with(lake: &Lake, topic: &Topic, registry: &str) -> PathBuf {
    let registry = format!("\n[registry]\ntimeout = \"500ms\"\n{registry}");
    registered::configure("avro", lake, topic, &registry)
}

#[test]
fn every_type_arrives_as_it_was_written() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("avro-types", 1, &[]), Lake::new());
    let rows = lake.file("rows");
    produce(&topic, &registry, &rows, &["everything"]);
    let config = configure(&lake, &topic, &registry);
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains(&format!("ok    schema registry: {} answers", registry.url)),
        "{said}"
    );
    until_end(&config);
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}

#[test]
fn the_table_follows_the_schemas_and_bad_records_are_set_aside() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("avro-evolution", 1, &[]), Lake::new());
    let (before, after) = (lake.file("before"), lake.file("after"));
    let config = configure(&lake, &topic, &registry);
    produce(&topic, &registry, &before, &["first"]);
    until_end(&config);
    holds(&lake, &[&before], &[]);

    // In turns: the older schema, the newer one, what is no record, and a schema that the table can't follow.
    produce(
        &topic,
        &registry,
        &after,
        &["first", "second", "strange", "incompatible"],
    );
    until_end(&config);
    let letters = holds(&lake, &[&before, &after], &["21"]);
    assert_eq!(
        letters,
        json!({"not_avro": 1, "not_framed": 1, "unknown_schema": 1, "wrong_type": 3})
    );
    lake.is_sound();
}

#[test]
fn what_contains_itself_in_avro_is_refused_or_kept_as_text() {
    let (topic, lake) = (Topic::create("avro-tree", 1, &[]), Lake::new());
    let (rows, schema) = (lake.file("rows"), lake.file("tree.avsc"));
    let places = [
        "--bootstrap",
        &topic.bootstrap,
        "--schema",
        &schema,
        "--rows",
        &rows,
    ];
    must(
        "registry_produce",
        &[&["avro", topic.name.as_str(), "recursive"], &places[..]].concat(),
    );
    let configured = |more: &str| {
        let job = format!(
            "format = \"avro\"\non_bad_record = \"dead-letter\"\npartition_by = []\nschema.file = \"{schema}\"\n{more}"
        );
        lake.configure("avro", &topic, "", &job)
    };
    let (code, said) = check(&configured(""));
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("tree.avsc: type shop.Node contains itself"),
        "{said}"
    );
    let config = configured("schema.recursive = \"json\"");
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    until_end(&config);
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}

#[test]
fn a_registry_behind_tls_is_shown_the_clients_certificate_and_nobody_without_one_is_answered() {
    let BehindTls {
        registry,
        url,
        certificates,
    } = Registry::start_behind_tls();
    let (topic, lake) = (Topic::create("avro-tls", 1, &[]), Lake::new());
    let rows = lake.file("rows");
    produce(&topic, &registry, &rows, &["first"]);
    let file = |name: &str| certificates.path().join(name).display().to_string();
    let urls = format!("urls = [\"{url}\"]");
    let trusting = format!("{urls}\ntls.ca = \"{}\"", file("ca.pem"));
    let shown = format!(
        "{trusting}\ntls.certificate = \"{}\"\ntls.key = \"{}\"",
        file("client.pem"),
        file("client-key.pem")
    );
    let wrong = format!("{urls}\ntls.ca = \"{}\"", file("client-key.pem"));
    for (registry, expected, words) in [
        (&urls, 5, "UnknownIssuer"),
        (&trusting, 5, "it cannot be reached"),
        (&wrong, 2, "client-key.pem has no certificate in PEM"),
        (&shown, 0, "answers"),
    ] {
        let (code, said) = check(&configure_with(&lake, &topic, registry));
        assert!(said.contains(words), "{said}");
        assert_eq!(code, expected, "{said}");
    }
    until_end(&configure_with(&lake, &topic, &shown));
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}

#[test]
fn a_registry_that_hangs_is_waited_out_while_other_topics_go_on() {
    let mut registry = Registry::start();
    let lake = Lake::new();
    let topic = Topic::create("avro-outage", 1, &[]);
    let other = Topic::create("avro-other", 1, &[]);
    let (before, after) = (lake.file("before"), lake.file("after"));
    produce(&topic, &registry, &before, &["first"]);
    let config = configure(&lake, &topic, &registry);
    let mut text = std::fs::read_to_string(&config).expect("it was written");
    text.push_str(&format!(
        "\n[[topic]]\nname = \"{}\"\ntable = \"shop.other\"\nformat = \"json\"\n[topic.commit]\ninterval = \"1s\"\n",
        other.name
    ));
    std::fs::write(&config, text).expect("it is written");

    // Before the table is there.
    other.produce("orders", &["--count", "10", "--produced", &lake.file("other")]);
    registry.pause();
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says("the table is made once the schema registry answers");
    service.says(" committed table=shop.other");
    registry.resume();
    service.says(" committed table=shop.orders");
    service.terminate();
    holds(&lake, &[&before], &[]);

    // And in the middle.
    produce(&topic, &registry, &after, &["second"]);
    registry.pause();
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says("waiting for the schema registry");
    let commits = service.commits();
    other.produce("orders", &["--count", "10", "--produced", &lake.file("other")]);
    eventually("a commit of the other topic", || {
        (service.commits() > commits).then_some(())
    });
    holds(&lake, &[&before], &[]);
    registry.resume();
    service.says("the schema registry answers");
    service.terminate();
    until_end(&config);
    holds(&lake, &[&before, &after], &["20"]);
    lake.is_sound();
}
