//! Protobuf from a topic to a table: Confluent's serializer, protoc, a real registry, PyIceberg and DuckDB as judges.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tabletopic_testkit::{Lake, Registry, Service, Topic, must};

use crate::TABLETOPIC;
use crate::environment::{check, forecast};

/// `origin` is where the schemas are: in a registry, or in a file that is written.
fn produce(topic: &Topic, origin: [&str; 2], rows: &str, batches: &[&str]) {
    let places = ["--bootstrap", &topic.bootstrap, "--rows", rows];
    must(
        "registry_produce",
        &[&["protobuf", topic.name.as_str()], batches, &places, &origin].concat(),
    );
}

/// `avro_rows.py` with these files of rows and these causes of schema changes; answers the dead letters by reason.
fn holds(lake: &Lake, rows: &[&str], causes: &[&str]) -> Value {
    let mut arguments: Vec<&str> = rows.iter().flat_map(|file| ["--rows", *file]).collect();
    arguments.push("--causes");
    arguments.extend(causes);
    lake.must("avro_rows", &arguments)["dead_letters"].clone()
}

fn configure(lake: &Lake, topic: &Topic, schemas: &str) -> PathBuf {
    let job =
        format!("format = \"protobuf\"\non_bad_record = \"dead-letter\"\npartition_by = []\n{schemas}\n");
    lake.configure("protobuf", topic, "", &job)
}

fn of_registry(registry: &Registry) -> String {
    format!("\n[registry]\nurls = [\"{}\"]", registry.url)
}

fn until_end(config: &Path) {
    Service::run(TABLETOPIC, config, &["--until-end"]).succeed();
}

#[test]
fn every_protobuf_type_arrives_as_it_was_written() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("protobuf-types", 1, &[]), Lake::new());
    let rows = lake.file("rows");
    produce(&topic, ["--registry", &registry.url], &rows, &["everything"]);
    let config = configure(&lake, &topic, &of_registry(&registry));
    until_end(&config);
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}

#[test]
fn the_table_follows_protobuf_schemas_that_refer_to_others() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("protobuf-evolution", 1, &[]), Lake::new());
    let (before, after) = (lake.file("before"), lake.file("after"));
    let origin = ["--registry", &registry.url];
    let config = configure(&lake, &topic, &of_registry(&registry));
    produce(&topic, origin, &before, &["first"]);
    until_end(&config);
    holds(&lake, &[&before], &[]);

    // In turns: the older schema, the newer one, what is no record, and schemas that the table can't follow.
    let batches = ["first", "second", "strange", "incompatible", "recursive"];
    produce(&topic, origin, &after, &batches);
    until_end(&config);
    let letters = holds(&lake, &[&before, &after], &["21"]);
    assert_eq!(
        letters,
        json!({"not_framed": 2, "not_protobuf": 1, "unknown_schema": 1, "unusable_schema": 2, "wrong_type": 3})
    );
    let (code, said) = forecast(&config, &topic);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("contains itself"), "{said}");
    lake.is_sound();
}

#[test]
fn a_compiled_schema_takes_the_place_of_a_registry() {
    let (topic, lake) = (Topic::create("protobuf-file", 1, &[]), Lake::new());
    let (rows, schema) = (lake.file("rows"), lake.file("orders.binpb"));
    produce(&topic, ["--schema", &schema], &rows, &["first"]);
    let config = configure(&lake, &topic, &format!("schema.file = \"{schema}\""));
    let (code, said) = check(&config);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("write which one the records are, such as message = \"shop.Item\""),
        "{said}"
    );
    let schemas = format!("schema.file = \"{schema}\"\nschema.message = \"shop.Order\"");
    let config = configure(&lake, &topic, &schemas);
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    until_end(&config);
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}
