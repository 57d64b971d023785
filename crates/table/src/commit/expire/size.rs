//! How many bytes of a metadata file a snapshot takes, and how many everything else does: estimates that are a little
//! too high, without writing the file.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use iceberg::spec::{Snapshot, TableMetadata};
use serde::Serialize;

/// Keys, ids and times of a snapshot, and its entry in the snapshot log.
const FIELDS: usize = 280;

/// A manifest list's path, and what the table holds in total.
const COUNTERS: usize = 600;

/// Quotes, colon and comma around a key and its value.
const AROUND: usize = 6;

/// A metadata log entry without its path.
const LOG_ENTRY: usize = 60;

/// What a metadata file has beside what is counted: location, ids, sort orders, refs.
const FRAME: usize = 1500;

/// A snapshot in the metadata.
pub fn of_snapshot(snapshot: &Snapshot) -> usize {
    let summary = &snapshot.summary().additional_properties;
    FIELDS
        + text(snapshot.manifest_list())
        + summary
            .iter()
            .map(|(key, value)| entry(key, value))
            .sum::<usize>()
}

/// A snapshot to be, with the counters that join its summary.
pub fn of_new(summary: &BTreeMap<String, String>) -> usize {
    FIELDS
        + COUNTERS
        + summary
            .iter()
            .map(|(key, value)| entry(key, value))
            .sum::<usize>()
}

/// Everything but the snapshots.
pub fn of_the_rest(metadata: &TableMetadata) -> usize {
    let log = metadata
        .metadata_log()
        .iter()
        .map(|entry| LOG_ENTRY + text(&entry.metadata_file));
    let schemas = metadata.schemas_iter().map(|schema| as_json(schema.as_ref()));
    let specs = metadata.partition_specs_iter().map(|spec| as_json(spec.as_ref()));
    let statistics = metadata.statistics_iter().map(as_json);
    FRAME
        + properties(metadata.properties())
        + log.chain(schemas).chain(specs).chain(statistics).sum::<usize>()
}

fn properties(properties: &HashMap<String, String>) -> usize {
    properties.iter().map(|(key, value)| entry(key, value)).sum()
}

fn entry(key: &str, value: &str) -> usize {
    AROUND + text(key) + text(value)
}

/// JSON within JSON has its quotes escaped.
fn text(text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    text.len() + escaped
}

fn as_json(value: &impl Serialize) -> usize {
    let mut counted = Counted(0);
    // A value that cannot be written fails where the file is written, with a better message.
    let _ = serde_json::to_writer(&mut counted, value);
    counted.0
}

struct Counted(usize);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
