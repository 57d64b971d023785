//! Dead letters whose schemas are in a registry: after the fix they become rows by these schemas, each once. Confluent's
//! serializers wrote them; PyIceberg and DuckDB say what the table holds then.

use serde_json::{Map, Value, json};
use tabletopic_testkit::{Lake, Registry, Topic};

use crate::dead_letters::{asked, letters, start_redrive};
use crate::registered::{configure, holds, of_registry, produce, until_end};

/// A table that follows no schema, and then one that follows them all. `redriven` are the batches that become rows then,
/// each with the number of changes of the table that it asks for; `staying` the letters that stay, by reason.
fn become_rows(registry: &mut Registry, format: &str, redriven: &[(&str, usize)], staying: Value) {
    let (topic, lake) = (Topic::create(&format!("letters-{format}"), 1, &[]), Lake::new());
    let url = registry.url.clone();
    let produce = |rows: &str, batches: &[&str]| produce(format, &topic, ["--registry", &url], rows, batches);
    let section = of_registry(registry).replace("[registry]", "[registry]\ntimeout = \"500ms\"");
    let configure = |schema: &str| configure(format, &lake, &topic, &format!("{schema}\n{section}"));

    let config = configure("schema.evolution = []");
    let good = [lake.file("before"), lake.file("after")];
    produce(&good[0], &["first"]);
    until_end(&config);
    produce(&good[1], &["first", "strange", "incompatible"]);
    let (mut rows, mut causes) = (good.to_vec(), Vec::new());
    for (batch, changes) in redriven {
        let file = lake.file(batch);
        let first = produce(&file, &[batch])["first"].to_string();
        causes.extend(vec![first; *changes]);
        rows.push(file);
    }
    until_end(&config);
    let all = |files: &[String], causes: &[String]| {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let causes: Vec<&str> = causes.iter().map(String::as_str).collect();
        holds(&lake, &files, &causes)
    };
    let set_aside = all(&good, &[]);

    // The fix. Who has the schemas is away at first.
    let config = configure("schema.recursive = \"json\"");
    registry.pause();
    let (code, _, said) = letters(&config, &["redrive", "--yes"]);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains(&url), "{said}");
    registry.resume();
    let would = asked(&config, 1, &["redrive", "--dry-run"]);
    assert_eq!(by_reason(&would), staying, "{would:#}");
    assert_eq!(all(&good, &[]), set_aside, "it only looked");

    // Both find out at once which columns the table lacks.
    for one in [start_redrive(&config), start_redrive(&config)] {
        let output = one.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let done = serde_json::from_str(&said).expect("JSON");
        assert_eq!(by_reason(&done), staying, "{done:#}");
    }
    assert_eq!(all(&rows, &causes), set_aside);
    lake.is_sound();

    // The service goes on with the columns that the letters brought.
    rows.push(lake.file("more"));
    produce(&rows[rows.len() - 1], &["second"]);
    until_end(&config);
    assert_eq!(all(&rows, &causes), set_aside);
    lake.is_sound();
}

/// The letters that stay after a redrive.
fn by_reason(redriven: &Value) -> Value {
    let staying = redriven["staying"].as_array().expect("a list").iter();
    let reason = |staying: &Value| staying["reason"].as_str().expect("a text").to_owned();
    Value::Object(
        staying
            .map(|staying| (reason(staying), staying["letters"].clone()))
            .collect::<Map<_, _>>(),
    )
}

#[test]
fn letters_become_rows_by_the_schemas_of_the_registry() {
    let registry = &mut Registry::start();
    let staying = json!({"not_avro": 1, "not_framed": 1, "unknown_schema": 1, "wrong_type": 3});
    become_rows(registry, "avro", &[("second", 6), ("recursive", 1)], staying);
    let staying = json!({"not_framed": 2, "not_protobuf": 1, "unknown_schema": 1, "wrong_type": 3});
    become_rows(registry, "protobuf", &[("second", 7)], staying);
}
