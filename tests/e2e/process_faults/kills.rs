//! `kill -9`.

use std::time::Duration;

use tabletopic_clock::{Entropy, SeededEntropy};
use tabletopic_testkit::{Service, eventually};

use super::{Case, JSON, commit_every};
use crate::TABLETOPIC;

const ROUNDS: usize = 10;

/// Static membership: who comes back under its id gets its partitions at once.
const MEMBER: &str = "instance_id = \"orders\"";

#[test]
fn killed_at_any_moment_under_load() {
    let seed = match std::env::var("TABLETOPIC_TEST_SEED") {
        Ok(seed) => seed.parse().expect("TABLETOPIC_TEST_SEED is a number"),
        Err(_) => u64::from(std::process::id()),
    };
    println!("TABLETOPIC_TEST_SEED={seed}");
    let random = SeededEntropy::new(seed);

    let mut case = Case::new("killed", 3);
    case.produce(500, &[]);
    let config = case.configure("tabletopic", MEMBER, JSON);
    // Short, so that a kill seldom finds nothing under way.
    commit_every("150ms", &config);
    let load = case.load(1500);
    let mut commits = 0;
    for _ in 0..ROUNDS {
        let service = Service::run(TABLETOPIC, &config, &[]);
        // From before the table exists to the midst of a commit.
        let wanted = random.next_u64() as usize % 4;
        eventually(&format!("{wanted} commits"), || {
            (service.commits() >= wanted).then_some(())
        });
        std::thread::sleep(Duration::from_millis(random.next_u64() % 400));
        commits += service.kill().matches(" committed table=").count();
    }
    load.stop();
    assert!(commits > 0, "none of the killed processes had committed anything");
    case.holds_everything(&config);
}
