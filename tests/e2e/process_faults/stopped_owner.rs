//! Owners that do not know that they are owners no longer.

use std::time::Duration;

use tabletopic_testkit::{Service, eventually};

use super::{Case, JSON, commit_every, commits_again};
use crate::TABLETOPIC;

const ROUNDS: usize = 5;

/// The group takes a member that is silent for this long for dead.
const SESSION: &str =
    "[kafka.properties]\n\"session.timeout.ms\" = \"2000\"\n\"heartbeat.interval.ms\" = \"300\"";

/// What a process says of a late commit.
const FENCED: &str = "a unit was dropped and is read again";

#[test]
fn who_wakes_after_another_took_over_is_fenced() {
    let mut case = Case::new("zombie", 4);
    case.produce(500, &[]);
    let config = case.configure("tabletopic", SESSION, JSON);
    let load = case.load(800);
    let mut awake = Service::run(TABLETOPIC, &config, &[]);
    let mut stopped = Service::run(TABLETOPIC, &config, &[]);
    for round in 0..ROUNDS {
        commits_again(&awake);
        commits_again(&stopped);
        // Between two cuts, with records that it has read and not committed.
        std::thread::sleep(Duration::from_millis(400));
        let before = stopped.log().matches(FENCED).count();
        stopped.signal("STOP");
        // All that it has read, and more.
        case.until_committed(&case.ends());
        stopped.signal("CONT");
        eventually(&format!("the late commit of round {round} fenced"), || {
            (stopped.log().matches(FENCED).count() > before).then_some(())
        });
        std::mem::swap(&mut awake, &mut stopped);
    }
    awake.terminate();
    stopped.terminate();
    load.stop();
    case.holds_everything(&config);
}

#[test]
fn of_two_owners_at_once_one_is_fenced() {
    let mut case = Case::new("owners", 2);
    case.produce(500, &[]);
    let config = case.configure(
        "tabletopic",
        "assignment = \"static\"",
        &format!("partitions = [0, 1]\n{JSON}"),
    );
    commit_every("200ms", &config);
    let load = case.load(800);
    let owners = [(); 2].map(|()| Service::run(TABLETOPIC, &config, &[]));
    eventually("ten commits, and five fenced", || {
        let fenced: usize = owners
            .iter()
            .map(|owner| owner.log().matches(FENCED).count())
            .sum();
        let commits: usize = owners.iter().map(Service::commits).sum();
        (commits >= 10 && fenced >= 5).then_some(())
    });
    for owner in owners {
        owner.terminate();
    }
    load.stop();
    case.holds_everything(&config);
}
