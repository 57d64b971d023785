//! The protocol as it is written and coded: no history within the bounds breaks an invariant.

use std::sync::Mutex;

use crate::config::{Bounds, Catalog, Config, Errand, Foreign};
use crate::explore::explore;

const LEAST_STATES: usize = 1_000_000;

/// Small configurations, each around the features that its name says.
pub fn configurations() -> Vec<Config> {
    let mut all = workers();
    all.extend(others());
    all.extend(commands());
    all.extend(topics());
    all.extend(logs());
    all.extend(followers());
    all
}

fn workers() -> Vec<Config> {
    vec![
        Config {
            processes: 2,
            anchored: false,
            starts_at_latest: true,
            log_end: 1,
            last_log_end: 3,
            foreign: &[Foreign::Produce],
            bounds: Bounds {
                cuts: 2,
                crashes: 1,
                doubts: 1,
                foreign: 2,
                ..Bounds::default()
            },
            ..Config::named("two processes race for the anchor of a topic that starts at latest")
        },
        Config {
            processes: 2,
            cut_lengths: &[1, 2],
            bounds: Bounds {
                cuts: 3,
                crashes: 1,
                doubts: 1,
                ..Bounds::default()
            },
            ..Config::named("two processes, overlapping units, a crash, a doubtful answer")
        },
        Config {
            processes: 2,
            live_edge: Some(2),
            bounds: Bounds {
                cuts: 3,
                crashes: 1,
                doubts: 1,
                ..Bounds::default()
            },
            ..Config::named("a backfill behind a live edge, until the two ranges meet")
        },
        Config {
            processes: 2,
            jobs: 2,
            log_end: 2,
            last_log_end: 2,
            mixed_units: true,
            bounds: Bounds {
                cuts: 3,
                crashes: 1,
                doubts: 1,
                ..Bounds::default()
            },
            ..Config::named("units with ranges of two jobs in shared files")
        },
    ]
}

fn others() -> Vec<Config> {
    use Foreign::{Append, CherryPick, Compact, ExpireAll, ExpireOne, SetMain, SetProperty};
    vec![
        Config {
            foreign: &[Append, Compact, ExpireOne, ExpireAll, SetMain, SetProperty],
            bounds: Bounds {
                cuts: 2,
                doubts: 1,
                foreign: 3,
                ..Bounds::default()
            },
            ..Config::named("others append, compact, expire and roll back")
        },
        Config {
            catalog: Catalog::Rest,
            foreign: &[Append, ExpireAll, SetMain, SetProperty],
            bounds: Bounds {
                cuts: 2,
                doubts: 2,
                foreign: 2,
                ..Bounds::default()
            },
            ..Config::named("a REST catalog, whose answers get lost while others commit")
        },
        Config {
            processes: 2,
            foreign: &[Append, Compact, ExpireAll, SetMain],
            bounds: Bounds {
                cuts: 2,
                crashes: 1,
                doubts: 1,
                foreign: 2,
                ..Bounds::default()
            },
            ..Config::named("two processes among others")
        },
        Config {
            foreign: &[Append, Compact, ExpireOne, SetMain],
            errands: &[Errand::Renew, Errand::Expire, Errand::RemoveOrphans],
            bounds: Bounds {
                cuts: 2,
                doubts: 1,
                foreign: 2,
                errands: 2,
                ..Bounds::default()
            },
            ..Config::named("renewal of the tag, our own expiry and orphan removal among others")
        },
        Config {
            processes: 2,
            errands: &[Errand::RemoveOrphans],
            bounds: Bounds {
                cuts: 2,
                crashes: 1,
                doubts: 2,
                errands: 1,
                ..Bounds::default()
            },
            ..Config::named("orphan removal while bodies are on their way")
        },
        Config {
            foreign: &[Foreign::DropTag, Foreign::MoveTag, Append],
            bounds: Bounds {
                cuts: 3,
                doubts: 1,
                foreign: 2,
                ..Bounds::default()
            },
            ..Config::named("somebody drops or moves the tag")
        },
        Config {
            foreign: &[Append, SetMain, CherryPick],
            errands: &[Errand::Renew],
            bounds: Bounds {
                cuts: 2,
                foreign: 3,
                errands: 1,
                ..Bounds::default()
            },
            ..Config::named("abandoned snapshots are cherry-picked while we are halted")
        },
    ]
}

fn commands() -> Vec<Config> {
    use Errand::{AnchorJob, DeclareLost, Rewind};
    use Foreign::{Append, CherryPick, Compact, ExpireOne, Produce, SetMain};
    vec![
        Config {
            foreign: &[Append, SetMain, CherryPick],
            errands: &[Rewind, DeclareLost],
            bounds: Bounds {
                cuts: 3,
                foreign: 3,
                errands: 2,
                ..Bounds::default()
            },
            ..Config::named("rewind and declare-lost around rollbacks and cherry-picks")
        },
        Config {
            foreign: &[Append, SetMain, CherryPick],
            errands: &[Rewind],
            bounds: Bounds {
                cuts: 2,
                foreign: 5,
                errands: 1,
                ..Bounds::default()
            },
            ..Config::named("one rewind among many cherry-picks")
        },
        Config {
            processes: 2,
            foreign: &[SetMain],
            errands: &[Rewind, DeclareLost],
            bounds: Bounds {
                cuts: 3,
                crashes: 1,
                doubts: 1,
                foreign: 1,
                errands: 1,
                ..Bounds::default()
            },
            ..Config::named("commands while two processes have units waiting and bodies on their way")
        },
        Config {
            foreign: &[Compact, ExpireOne, SetMain],
            errands: &[Rewind, DeclareLost, Errand::Expire],
            bounds: Bounds {
                cuts: 2,
                doubts: 1,
                foreign: 2,
                errands: 2,
                ..Bounds::default()
            },
            ..Config::named("commands after compaction and expiry")
        },
        Config {
            jobs: 2,
            log_end: 2,
            last_log_end: 2,
            cut_lengths: &[1, 2],
            foreign: &[SetMain],
            errands: &[Rewind, DeclareLost],
            bounds: Bounds {
                cuts: 3,
                doubts: 1,
                foreign: 1,
                errands: 1,
                ..Bounds::default()
            },
            ..Config::named("commands are for all jobs of the table")
        },
        Config {
            starts_at_latest: true,
            log_end: 1,
            last_log_end: 3,
            foreign: &[SetMain, Produce],
            errands: &[AnchorJob, Rewind, DeclareLost],
            bounds: Bounds {
                cuts: 2,
                foreign: 3,
                errands: 3,
                ..Bounds::default()
            },
            ..Config::named("a rewind past the anchor of a second job that starts at latest")
        },
        Config {
            live_edge: Some(2),
            rowless: 0b0010,
            foreign: &[SetMain, Append],
            errands: &[Rewind, DeclareLost],
            bounds: Bounds {
                cuts: 3,
                doubts: 1,
                foreign: 2,
                errands: 1,
                ..Bounds::default()
            },
            ..Config::named("commands with two ranges of progress and filtered records")
        },
    ]
}

fn topics() -> Vec<Config> {
    use Errand::{AdoptTopic, DeclareLost, Rewind};
    use Foreign::{RecreateTopic, SetMain};
    vec![
        Config {
            processes: 2,
            log_end: 2,
            last_log_end: 2,
            cut_lengths: &[1],
            foreign: &[RecreateTopic],
            errands: &[AdoptTopic],
            bounds: Bounds {
                cuts: 4,
                crashes: 1,
                doubts: 1,
                foreign: 1,
                errands: 1,
                ..Bounds::default()
            },
            ..Config::named("a topic is deleted and created again, with units of its first life on their way")
        },
        Config {
            log_end: 2,
            last_log_end: 2,
            foreign: &[RecreateTopic, SetMain],
            errands: &[AdoptTopic, Rewind, DeclareLost],
            bounds: Bounds {
                cuts: 3,
                foreign: 2,
                errands: 3,
                ..Bounds::default()
            },
            ..Config::named("rollbacks around an adoption")
        },
        Config {
            jobs: 2,
            log_end: 2,
            last_log_end: 2,
            foreign: &[RecreateTopic, SetMain],
            errands: &[AdoptTopic, Rewind],
            bounds: Bounds {
                cuts: 3,
                foreign: 2,
                errands: 2,
                ..Bounds::default()
            },
            ..Config::named("one of two topics is created again")
        },
    ]
}

/// The same topic id before and after, so that the guard sees nothing but generations.
fn logs() -> Vec<Config> {
    use Errand::{Rewind, Truncate};
    use Foreign::{CutLog, SetMain};
    let base = Config {
        topic_ids: false,
        log_end: 3,
        last_log_end: 3,
        cut_lengths: &[1, 2],
        ..Config::named("")
    };
    vec![
        Config {
            name: "a log is cut and written again, with units of before on their way",
            processes: 2,
            cut_lengths: &[2],
            foreign: &[CutLog],
            errands: &[Truncate],
            bounds: Bounds {
                cuts: 3,
                crashes: 1,
                doubts: 1,
                foreign: 1,
                errands: 1,
                ..Bounds::default()
            },
            ..base.clone()
        },
        Config {
            name: "rollbacks around a cut log, compaction, and our own expiry",
            foreign: &[CutLog, SetMain, Foreign::Compact],
            errands: &[Truncate, Rewind, Errand::Expire],
            bounds: Bounds {
                cuts: 3,
                foreign: 2,
                errands: 3,
                ..Bounds::default()
            },
            ..base.clone()
        },
        Config {
            name: "a cut log with dead letters drained and pending",
            followers: true,
            bad: 0b0110,
            foreign: &[CutLog],
            errands: &[Truncate, Errand::Acknowledge],
            bounds: Bounds {
                cuts: 3,
                doubts: 1,
                foreign: 1,
                errands: 2,
                drains: 3,
                ..Bounds::default()
            },
            ..base
        },
    ]
}

fn followers() -> Vec<Config> {
    use Errand::{Acknowledge, DeclareLost, RebuildFollower, Redrive, Rewind};
    use Foreign::{Append, ExpireOne, RollBackFollower, SetMain};
    let base = Config {
        followers: true,
        bad: 0b0010,
        ..Config::named("")
    };
    vec![
        Config {
            name: "drains and acknowledgements while answers get lost",
            processes: 2,
            cut_lengths: &[1, 2],
            errands: &[Acknowledge],
            bounds: Bounds {
                cuts: 2,
                crashes: 1,
                doubts: 1,
                errands: 1,
                drains: 2,
                ..Bounds::default()
            },
            ..base.clone()
        },
        Config {
            name: "rewind and declare-lost with dead letters drained, pending and acknowledged",
            bad: 0b0110,
            foreign: &[SetMain],
            errands: &[Acknowledge, Rewind, DeclareLost],
            bounds: Bounds {
                cuts: 3,
                foreign: 1,
                errands: 2,
                drains: 3,
                ..Bounds::default()
            },
            ..base.clone()
        },
        Config {
            name: "a follower is rolled back and rebuilt",
            foreign: &[RollBackFollower],
            errands: &[Acknowledge, RebuildFollower],
            bounds: Bounds {
                cuts: 2,
                foreign: 1,
                errands: 3,
                drains: 4,
                ..Bounds::default()
            },
            ..base.clone()
        },
        Config {
            name: "follower and main table are both rolled back",
            foreign: &[RollBackFollower, SetMain],
            errands: &[Acknowledge, RebuildFollower, Rewind],
            bounds: Bounds {
                cuts: 2,
                foreign: 2,
                errands: 3,
                drains: 2,
                ..Bounds::default()
            },
            ..base.clone()
        },
        Config {
            name: "redrive around rollbacks",
            foreign: &[SetMain],
            errands: &[Redrive, Rewind, Acknowledge],
            bounds: Bounds {
                cuts: 3,
                foreign: 1,
                errands: 3,
                drains: 2,
                ..Bounds::default()
            },
            ..base.clone()
        },
        Config {
            name: "the outbox outlives foreign expiry",
            foreign: &[Append, ExpireOne, SetMain],
            errands: &[Rewind, Errand::Expire, Acknowledge],
            bounds: Bounds {
                cuts: 2,
                foreign: 2,
                errands: 2,
                drains: 2,
                ..Bounds::default()
            },
            ..base.clone()
        },
    ]
}

/// Both cores take the next configuration in turn.
#[test]
fn the_protocol_holds_in_more_than_a_million_states() {
    let waiting = Mutex::new(configurations());
    let total = Mutex::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(config) = { waiting.lock().unwrap().pop() } {
                    let explored = explore(&config);
                    let histories = explored
                        .depth
                        .map_or("all".into(), |depth| format!("to {depth} steps"));
                    println!("{:>9} states, {histories:>11}: {}", explored.states, config.name);
                    *total.lock().unwrap() += explored.states;
                    if let Some(found) = explored.counterexample {
                        failures.lock().unwrap().push(format!("{}: {found}", config.name));
                    }
                }
            });
        }
    });
    let (total, failures) = (total.into_inner().unwrap(), failures.into_inner().unwrap());
    println!("{total:>9} states in all");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(total >= LEAST_STATES, "only {total} states: widen the bounds");
}
