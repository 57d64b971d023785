//! What the tests of formats with schemas do alike: records by other people's serializers in, rows and dead letters out.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tabletopic_testkit::{Lake, Registry, Service, Topic, must};

use crate::TABLETOPIC;

/// `registry_produce.py`, and what it says. `origin` is where the schemas are: in a registry, or in a file that is
/// written.
pub fn produce(format: &str, topic: &Topic, origin: [&str; 2], rows: &str, batches: &[&str]) -> Value {
    let places = ["--bootstrap", &topic.bootstrap, "--rows", rows];
    must(
        "registry_produce",
        &[&[format, topic.name.as_str()], batches, &places, &origin].concat(),
    )
}

/// A job of this format whose bad records are set aside; `schemas` says where the schemas are.
pub fn configure(format: &str, lake: &Lake, topic: &Topic, schemas: &str) -> PathBuf {
    let job =
        format!("format = \"{format}\"\non_bad_record = \"dead-letter\"\npartition_by = []\n{schemas}\n");
    lake.configure(format, topic, "", &job)
}

pub fn of_registry(registry: &Registry) -> String {
    format!("\n[registry]\nurls = [\"{}\"]", registry.url)
}

/// `avro_rows.py` with these files of rows and these causes of schema changes; answers the dead letters by reason.
pub fn holds(lake: &Lake, rows: &[&str], causes: &[&str]) -> Value {
    let mut arguments: Vec<&str> = rows.iter().flat_map(|file| ["--rows", *file]).collect();
    arguments.push("--causes");
    arguments.extend(causes);
    lake.must("avro_rows", &arguments)["dead_letters"].clone()
}

pub fn until_end(config: &Path) {
    Service::run(TABLETOPIC, config, &["--until-end"]).succeed();
}
