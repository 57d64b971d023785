//! Dead letters whose schemas are in a registry: after the fix they become rows by these schemas, each once. Confluent's
//! serializers wrote them; PyIceberg and DuckDB say what the table holds then.

use std::path::Path;

use serde_json::{Map, Value, json};
use tabletopic_testkit::{Lake, Registry, Topic};

use crate::dead_letters::{asked, letters, start_redrive};
use crate::registered::{configure, holds, of_registry, produce, until_end};

/// A table that follows no schema, and then one that follows them all. `redriven` are the batches that become rows then,
/// each with the number of changes of the table that it asks for. Letters by reason: all, and those that stay.
fn become_rows(format: &str, redriven: &[(&str, usize)], [all, staying]: [Value; 2]) {
    let mut registry = Registry::start();
    let (topic, lake) = (Topic::create(&format!("letters-{format}"), 1, &[]), Lake::new());
    let url = registry.url.clone();
    let (mut rows, mut causes) = (Vec::new(), Vec::new());
    let mut wave = |name: &str, batches: &[&str], changes: usize| {
        let file = lake.file(name);
        let produced = produce(format, &topic, ["--registry", &url], &file, batches);
        rows.push(file);
        causes.extend(vec![produced["first"].to_string(); changes]);
    };
    let section = of_registry(&registry);
    let configure = |schema: &str| configure(format, &lake, &topic, &format!("{schema}\n{section}"));
    let impatient = |config: &Path| {
        let text = std::fs::read_to_string(config).expect("it was written");
        let text = text.replace("[registry]", "[registry]\ntimeout = \"500ms\"");
        let file = lake.path("impatient.toml");
        std::fs::write(&file, text).expect("it can be written");
        file
    };

    let config = configure("schema.evolution = []");
    wave("before", &["first"], 0);
    until_end(&config);
    wave("after", &["first", "strange", "incompatible"], 0);
    for (batch, changes) in redriven {
        wave(batch, &[batch], *changes);
    }
    until_end(&config);
    let listed = asked(&config, 0, &[]);
    let reasons = listed["reasons"].as_object().expect("an object").iter();
    let reasons = reasons.map(|(reason, counts)| (reason.clone(), counts["letters"].clone()));
    assert_eq!(Value::Object(reasons.collect()), all, "{listed:#}");

    // The fix. Who has the schemas is away at first.
    let config = configure("schema.recursive = \"json\"");
    registry.pause();
    let (code, _, said) = letters(&impatient(&config), &["redrive", "--yes"]);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains(&url), "{said}");
    registry.resume();
    let would = asked(&config, 1, &["redrive", "--dry-run"]);
    assert_eq!(by_reason(&would), staying, "{would:#}");

    // Both find out at once which columns the table lacks.
    for one in [start_redrive(&config), start_redrive(&config)] {
        let output = one.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let done = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(by_reason(&done), staying, "{done:#}");
    }

    // The service goes on with the columns that the letters brought.
    wave("more", &["second"], 0);
    until_end(&config);
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let causes: Vec<&str> = causes.iter().map(String::as_str).collect();
    assert_eq!(holds(&lake, &rows, &causes), all);
    lake.is_sound();
}

/// The letters that stay after a redrive.
fn by_reason(redriven: &Value) -> Value {
    let staying = redriven["staying"].as_array().expect("a list").iter();
    let count = |staying: &Value| {
        let reason = staying["reason"].as_str().expect("a text");
        (reason.to_owned(), staying["letters"].clone())
    };
    Value::Object(staying.map(count).collect::<Map<_, _>>())
}

#[test]
fn letters_in_avro_become_rows_by_the_schemas_of_the_registry() {
    let staying = json!({"not_avro": 1, "not_framed": 1, "unknown_schema": 1, "wrong_type": 3});
    let all =
        json!({"not_avro": 1, "not_framed": 1, "unknown_schema": 1, "unusable_schema": 1, "wrong_type": 23});
    become_rows("avro", &[("second", 6), ("recursive", 1)], [all, staying]);
}

#[test]
fn letters_in_protobuf_become_rows_by_the_schemas_of_the_registry() {
    let staying = json!({"not_framed": 2, "not_protobuf": 1, "unknown_schema": 1, "wrong_type": 3});
    let all = json!({"not_framed": 2, "not_protobuf": 1, "unknown_schema": 1, "wrong_type": 23});
    become_rows("protobuf", &[("second", 7)], [all, staying]);
}
