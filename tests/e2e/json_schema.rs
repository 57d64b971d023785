//! JSON Schema from a topic to a table: Confluent's serializer, a real registry, PyIceberg and DuckDB as judges.

use serde_json::json;
use tabletopic_testkit::{Lake, Registry, Topic};

use crate::environment::{check, forecast};
use crate::registered::{configure, holds, of_registry, produce, until_end};

const FORMAT: &str = "json-schema";

#[test]
fn every_json_schema_type_arrives_as_it_was_written() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("json-schema-types", 1, &[]), Lake::new());
    let rows = lake.file("rows");
    produce(
        FORMAT,
        &topic,
        ["--registry", &registry.url],
        &rows,
        &["everything"],
    );
    until_end(&configure(FORMAT, &lake, &topic, &of_registry(&registry)));
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}

#[test]
fn the_table_follows_json_schemas_that_refer_to_others() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("json-schema-evolution", 1, &[]), Lake::new());
    let (before, after) = (lake.file("before"), lake.file("after"));
    let origin = ["--registry", &registry.url];
    let config = configure(FORMAT, &lake, &topic, &of_registry(&registry));
    produce(FORMAT, &topic, origin, &before, &["first"]);
    until_end(&config);
    holds(&lake, &[&before], &[]);

    // In turns: the older schema, the newer one, what is no record, and schemas that the table can't follow.
    let batches = ["first", "second", "strange", "recursive", "incompatible"];
    produce(FORMAT, &topic, origin, &after, &batches);
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
    produce(FORMAT, &topic, ["--schema", &schema], &rows, &["first"]);
    let config = configure(FORMAT, &lake, &topic, &format!("schema.file = \"{schema}\""));
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
    produce(
        FORMAT,
        &topic,
        ["--schema", &schema],
        &rows,
        &["recursive-as-text"],
    );
    let file = format!("schema.file = \"{schema}\"");
    let (code, said) = check(&configure(FORMAT, &lake, &topic, &file));
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("tree.json: field top.children.element contains itself"),
        "{said}"
    );
    let config = configure(
        FORMAT,
        &lake,
        &topic,
        &format!("{file}\nschema.recursive = \"json\""),
    );
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    until_end(&config);
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}
