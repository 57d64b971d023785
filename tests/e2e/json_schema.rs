//! JSON Schema from a topic to a table: Confluent's serializer, a real registry, PyIceberg and DuckDB as judges.

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
        &[&["json-schema", topic.name.as_str()], batches, &places, &origin].concat(),
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
        format!("format = \"json-schema\"\non_bad_record = \"dead-letter\"\npartition_by = []\n{schemas}\n");
    lake.configure("json-schema", topic, "", &job)
}

fn of_registry(registry: &Registry) -> String {
    format!("\n[registry]\nurls = [\"{}\"]", registry.url)
}

fn until_end(config: &Path) {
    Service::run(TABLETOPIC, config, &["--until-end"]).succeed();
}

#[test]
fn every_json_schema_type_arrives_as_it_was_written() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("json-schema-types", 1, &[]), Lake::new());
    let rows = lake.file("rows");
    produce(&topic, ["--registry", &registry.url], &rows, &["everything"]);
    until_end(&configure(&lake, &topic, &of_registry(&registry)));
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}

#[test]
fn the_table_follows_json_schemas_that_refer_to_others() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("json-schema-evolution", 1, &[]), Lake::new());
    let (before, after) = (lake.file("before"), lake.file("after"));
    let origin = ["--registry", &registry.url];
    let config = configure(&lake, &topic, &of_registry(&registry));
    produce(&topic, origin, &before, &["first"]);
    until_end(&config);
    holds(&lake, &[&before], &[]);

    // In turns: the older schema, the newer one, what is no record, and schemas that the table can't follow.
    let batches = ["first", "second", "strange", "recursive", "incompatible"];
    produce(&topic, origin, &after, &batches);
    until_end(&config);
    let letters = holds(&lake, &[&before, &after], &["21"]);
    assert_eq!(
        letters,
        json!({"not_an_object": 1, "not_framed": 1, "not_json": 1, "unknown_schema": 1, "unusable_schema": 1, "wrong_type": 3})
    );
    let (code, said) = forecast(&config, &topic);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("id: it is text, and the column is long"), "{said}");
    lake.is_sound();
}

#[test]
fn a_json_schema_in_a_file_takes_the_place_of_a_registry() {
    let (topic, lake) = (Topic::create("json-schema-file", 1, &[]), Lake::new());
    let (rows, schema) = (lake.file("rows"), lake.file("orders.json"));
    produce(&topic, ["--schema", &schema], &rows, &["first"]);
    let config = configure(&lake, &topic, &format!("schema.file = \"{schema}\""));
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    until_end(&config);
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}

#[test]
fn what_contains_itself_is_refused_or_kept_as_text() {
    let (topic, lake) = (Topic::create("json-schema-tree", 1, &[]), Lake::new());
    let (rows, schema) = (lake.file("rows"), lake.file("tree.json"));
    produce(&topic, ["--schema", &schema], &rows, &["recursive-as-text"]);
    let file = format!("schema.file = \"{schema}\"");
    let (code, said) = check(&configure(&lake, &topic, &file));
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("tree.json: field top.children.element contains itself"),
        "{said}"
    );
    let config = configure(&lake, &topic, &format!("{file}\nschema.recursive = \"json\""));
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    until_end(&config);
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}
