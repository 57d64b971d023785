//! The decoders against bytes from anywhere: a short run of what `fuzz/` does for longer, and bytes that somebody
//! chose.
//!
//! The run is the same each time. `TABLETOPIC_FUZZ_RUNS` makes it longer, and `TABLETOPIC_FUZZ_SEED` another one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod hostile;
mod memory;
mod mutate;
mod targets;

use std::path::Path;

use fastrand::Rng;
use targets::Outcome;

#[global_allocator]
static MEMORY: memory::Counting = memory::Counting;

/// What a record may take in memory while it is decoded, beside what its own bytes explain.
const ALLOWED: usize = 16 << 20;

/// Times its own bytes: columns, bits and copies.
const TIMES: usize = 64;

/// Bytes that may stay behind after a run, for what decoders remember.
const REMEMBERED: isize = 1 << 20;

type Target = fn(&[u8]) -> Outcome;

/// What became of `data`; fails if that took too much memory.
fn within_bounds(target: Target, data: &[u8]) -> Outcome {
    let (outcome, peak) = memory::peak_of(|| target(data));
    let allowed = ALLOWED + TIMES * data.len();
    assert!(
        peak <= allowed,
        "{peak} bytes for a record of {}: {outcome:?}",
        data.len()
    );
    outcome
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Each file of the corpus as it is, and `runs` mutations.
fn run(name: &str, target: Target, runs: u64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}: no file", folder.display());
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    for data in &corpus {
        within_bounds(target, data);
    }
    let before = memory::live();
    let seed = number("TABLETOPIC_FUZZ_SEED", 1);
    let mut seen = std::collections::HashSet::new();
    for run in 0..number("TABLETOPIC_FUZZ_RUNS", runs) {
        // A seed of its own for each, so that one that fails can be found without the others.
        let data = mutate::mutated(&corpus, &mut Rng::with_seed(seed << 40 | run));
        let outcome = std::panic::catch_unwind(|| within_bounds(target, &data));
        let outcome = outcome.unwrap_or_else(|_| panic!("{name}, run {run} of seed {seed}: {data:?}"));
        seen.insert(format!("{outcome:?}"));
    }
    assert!(
        seen.len() > 1,
        "{name}: only {seen:?}; the corpus reaches nothing"
    );
    let stayed = memory::live() - before;
    assert!(stayed <= REMEMBERED, "{name}: {stayed} bytes stay behind");
}

#[test]
fn json() {
    run("json", targets::json, 20_000);
}

#[test]
fn json_growth() {
    run("json", targets::json_growth, 20_000);
}

#[test]
fn avro() {
    run("avro", targets::avro, 20_000);
}

#[test]
fn protobuf() {
    run("protobuf", targets::protobuf, 20_000);
}

#[test]
fn frame() {
    run("frame", targets::frame, 20_000);
}

#[test]
fn key() {
    run("avro", targets::key, 20_000);
}

#[test]
fn avro_schema() {
    run("avro_schema", targets::avro_schema, 10_000);
}

#[test]
fn protobuf_schema() {
    run("protobuf_schema", targets::protobuf_schema, 2_000);
}

#[test]
fn json_by_schema() {
    run("json", targets::json_by_schema, 20_000);
}

#[test]
fn json_schema() {
    run("json_schema", targets::json_schema, 10_000);
}
