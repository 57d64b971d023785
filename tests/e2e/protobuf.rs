//! Protobuf from a topic to a table: Confluent's serializer, protoc, a real registry, PyIceberg and DuckDB as judges.

use serde_json::json;
use tabletopic_testkit::{Lake, Registry, Topic};

use crate::environment::{check, forecast};
use crate::registered::{configure, holds, of_registry, produce, until_end};

const FORMAT: &str = "protobuf";

#[test]
fn every_protobuf_type_arrives_as_it_was_written() {
    let registry = Registry::start();
    let (topic, lake) = (Topic::create("protobuf-types", 1, &[]), Lake::new());
    let rows = lake.file("rows");
    produce(
        FORMAT,
        &topic,
        ["--registry", &registry.url],
        &rows,
        &["everything"],
    );
    let config = configure(FORMAT, &lake, &topic, &of_registry(&registry));
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
    let config = configure(FORMAT, &lake, &topic, &of_registry(&registry));
    produce(FORMAT, &topic, origin, &before, &["first"]);
    until_end(&config);
    holds(&lake, &[&before], &[]);

    // In turns: the older schema, the newer one, what is no record, and schemas that the table can't follow.
    let batches = ["first", "second", "strange", "incompatible", "recursive"];
    produce(FORMAT, &topic, origin, &after, &batches);
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
    produce(FORMAT, &topic, ["--schema", &schema], &rows, &["first"]);
    let config = configure(FORMAT, &lake, &topic, &format!("schema.file = \"{schema}\""));
    let (code, said) = check(&config);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("write which one the records are, such as message = \"shop.Item\""),
        "{said}"
    );
    let schemas = format!("schema.file = \"{schema}\"\nschema.message = \"shop.Order\"");
    let config = configure(FORMAT, &lake, &topic, &schemas);
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    until_end(&config);
    holds(&lake, &[&rows], &[]);
    lake.is_sound();
}
