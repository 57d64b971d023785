//! Owners that do not know that they are owners no longer.

use std::time::Duration;

use tabletopic_testkit::{Service, eventually};

use super::{Case, JSON, commit_every, commits_again};
use crate::TABLETOPIC;

/// Late commits that have to be fenced.
const FENCES: usize = 5;

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
    let mut fenced = 0;
    for round in 0.. {
        assert!(round < 4 * FENCES, "of {round} late commits {fenced} were fenced");
        commits_again(&awake);
        commits_again(&stopped);
        // Between two cuts: mostly with records that it has read and not committed. A round without any is another try.
        std::thread::sleep(Duration::from_millis(400));
        let (before, commits) = (stopped.log().matches(FENCED).count(), stopped.commits());
        stopped.signal("STOP");
        // All that it has read, and more.
        case.until_committed(&case.ends());
        stopped.signal("CONT");
        let was_fenced = eventually("a late commit is fenced, or it goes on", || {
            let was_fenced = stopped.log().matches(FENCED).count() > before;
            (was_fenced || stopped.commits() > commits).then_some(was_fenced)
        });
        fenced += usize::from(was_fenced);
        if fenced == FENCES {
            break;
        }
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
