//! What `fuzz/` does for longer: the files of a corpus, and mutations of them, the same each time.
//! `TABLETOPIC_FUZZ_RUNS` makes a run longer, and `TABLETOPIC_FUZZ_SEED` another one.

use std::fmt::Debug;
use std::path::Path;

use fastrand::Rng;

use crate::{memory, mutate};

/// What one run may take in memory, beside what its own bytes explain.
const ALLOWED: usize = 16 << 20;

/// Times its own bytes: columns, bits and copies.
const TIMES: usize = 64;

/// Bytes that may stay behind after all runs, for what is remembered.
const REMEMBERED: isize = 1 << 20;

/// What became of `data`; fails if that took too much memory.
pub fn within_bounds<O: Debug>(target: fn(&[u8]) -> O, data: &[u8]) -> O {
    let (outcome, peak) = memory::peak_of(|| target(data));
    let allowed = ALLOWED + TIMES * data.len();
    assert!(
        peak <= allowed,
        "{peak} bytes for {} of input: {outcome:?}",
        data.len()
    );
    outcome
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Each file of the corpus as it is, and `runs` mutations.
pub fn run<O: Debug>(name: &str, target: fn(&[u8]) -> O, runs: u64) {
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
