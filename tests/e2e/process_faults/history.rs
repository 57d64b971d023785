//! History that two processes fill behind what is new, while they are killed.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tabletopic_clock::{Entropy, SeededEntropy};
use tabletopic_testkit::{Service, eventually};

use super::{Case, JSON, commit_every};
use crate::TABLETOPIC;

const ROUNDS: usize = 6;

/// Slow enough to last for all rounds, though each process begins with what a batch holds.
const SLOWLY: &str = "[workers]\nbackfill_rate = \"32KiB\"\n";

#[test]
fn two_processes_that_are_killed_fill_history_behind_what_is_new() {
    let seed = match std::env::var("TABLETOPIC_TEST_SEED") {
        Ok(seed) => seed.parse().expect("TABLETOPIC_TEST_SEED is a number"),
        Err(_) => u64::from(std::process::id()),
    };
    println!("TABLETOPIC_TEST_SEED={seed}");
    let random = SeededEntropy::new(seed);

    let mut case = Case::new("killed-behind", 3);
    case.produce(90_000, &["--poison", "0.01"]);
    let job = format!("{JSON}\nbackfill = \"behind\"");
    // Static membership: who comes back under its id gets its partitions at once.
    let configs = ["one", "two"].map(|name| {
        let config = case.configure(name, &format!("instance_id = \"{name}\""), &job);
        commit_every("150ms", &config);
        edit(&config, "[workers]\n", SLOWLY);
        config
    });
    let load = case.load(400);
    let mut services = configs
        .each_ref()
        .map(|config| Some(Service::run(TABLETOPIC, config, &[])));
    for _ in 0..ROUNDS {
        let chosen = random.next_u64() as usize % services.len();
        let Some(service) = services[chosen].take() else {
            unreachable!("each was started again")
        };
        let wanted = random.next_u64() as usize % 4;
        eventually(&format!("{wanted} commits"), || {
            (service.commits() >= wanted).then_some(())
        });
        std::thread::sleep(Duration::from_millis(random.next_u64() % 400));
        service.kill();
        services[chosen] = Some(Service::run(TABLETOPIC, &configs[chosen], &[]));
    }
    let left = left(&configs[0]);
    assert!(left > 0, "history was filled before the last of them was killed");
    load.stop();
    for service in services.into_iter().flatten() {
        service.kill();
    }
    edit(&configs[0], SLOWLY, "[workers]\n");
    case.holds_everything(&configs[0]);
    assert_eq!(self::left(&configs[0]), 0);
}

/// Offsets that are still to be filled.
fn left(config: &std::path::Path) -> u64 {
    let output = Command::new(TABLETOPIC)
        .args(["status", "--output", "json", "--config"])
        .arg(config)
        .output()
        .expect("tabletopic starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one document");
    let partitions = report["jobs"][0]["partitions"].as_array().expect("a list");
    let left = partitions
        .iter()
        .filter_map(|partition| partition["backfill"]["left"].as_u64());
    left.sum()
}

fn edit(config: &std::path::Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(config).expect("it was written");
    let edited = text.replacen(from, to, 1);
    assert_ne!(text, edited);
    std::fs::write(config, edited).expect("it can be written");
}
