//! Thousands of commits, one each second, by a service as it is configured by default: what a query looks at stays small.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tabletopic_testkit::{Service, eventually_within};

use crate::feed::{Feed, POISON, never_halted};

const COMMITS: usize = 2_000;
/// In each of so many phases, event times are of one day and the next: a query's "today", and what comes late.
const PHASES: usize = 5;
/// Days that nothing has come to for eleven minutes in the end, one more than `[maintenance] hot_for`.
const QUIET: usize = 3;

/// Files that a partition has which gets rows each second: those of less than two intervals of 60 s, one for the look
/// and one for the merge, and fewer than sixteen of each of two tiers.
const OF_A_HOT_ONE: u64 = 2 * 60 + 2 * 15;
/// Partitions that get rows, or have got some within ten minutes.
const HOT: u64 = 4;
/// Fewer than sixteen of each tier of manifests: of fewer than 16 files, than 256, and than 4,096.
const MANIFESTS: u64 = 3 * 15;

#[test]
#[ignore = "make test-full: it takes 40 minutes"]
fn a_commit_each_second_leaves_a_table_that_is_planned_like_a_new_one() {
    let feed = Feed::new("thousands", 2);
    feed.produce(100, &["--days", "1"]);
    feed.catch_up();
    let service = feed.run();
    let mut rows = 0;
    let mut looks = Vec::new();
    for phase in 0..PHASES {
        let going_on = GoingOn::new(feed.lake.file("going-on"));
        let file = going_on.0.clone();
        rows += thread::scope(|scope| {
            // Who produces ends with it, also where a look fails.
            let going_on = going_on;
            let producer = scope.spawn(|| {
                let day = phase.to_string();
                let slowly = [
                    "--rate",
                    "50",
                    "--first-day",
                    &day,
                    "--days",
                    "2",
                    "--while",
                    &file,
                ];
                feed.produce(1_000_000, &[&slowly[..], POISON].concat())
            });
            for quarter in 1..=4 {
                let commits = COMMITS * (4 * phase + quarter) / (4 * PHASES);
                wait_for_commits(&feed, &service, commits);
                let sizes = feed.lake.must("planning", &[])["table"].clone();
                println!("{commits} commits: {sizes}");
                looks.push(sizes);
            }
            drop(going_on);
            producer.join().expect("it was produced")
        });
    }
    feed.wait_for_rows(&service, rows);
    never_halted(&service.terminate());

    let beside = feed.lake.file("beside");
    let planned = feed
        .lake
        .must("planning", &["--beside", &beside, "--column", "created_at"]);
    println!("{planned:#}");
    looks.iter().for_each(is_small);
    levels_off(&looks);
    let days = planned["days"].as_object().expect("by day");
    assert_eq!(days.len(), PHASES + 1);
    for (day, planned) in days.iter().take(QUIET) {
        assert_eq!(
            planned["table"]["files"], planned["new"]["files"],
            "{day}: {planned:#}"
        );
        assert!(planned["times"].as_f64() < Some(1.5), "{day}: {planned:#}");
    }
    feed.holds(&[]);
    feed.lake.is_sound();
}

/// A file that goes with this.
struct GoingOn(String);

impl GoingOn {
    fn new(file: String) -> Self {
        fs::write(&file, "").expect("it is written");
        Self(file)
    }
}

impl Drop for GoingOn {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("it is there");
    }
}

fn wait_for_commits(feed: &Feed, service: &Service, count: usize) {
    let committed = format!(" committed table={} ", feed.lake.table);
    // Twice as long as all of them should take.
    let patience = Duration::from_secs(2 * COMMITS as u64);
    eventually_within(patience, &format!("{count} commits"), || {
        (service.log().matches(&committed).count() >= count).then_some(())
    });
}

fn size(sizes: &Value, name: &str) -> u64 {
    let size = sizes.pointer(name).and_then(Value::as_u64);
    size.unwrap_or_else(|| panic!("no {name} in {sizes:#}"))
}

/// What `docs/maintenance.md` and `docs/operations.md` promise.
fn is_small(sizes: &Value) {
    let quiet = PHASES as u64 + 1;
    assert!(size(sizes, "/files") <= HOT * OF_A_HOT_ONE + quiet, "{sizes:#}");
    assert!(size(sizes, "/manifests") <= MANIFESTS, "{sizes:#}");
    assert!(size(sizes, "/snapshots") <= 1_000, "{sizes:#}");
    assert!(size(sizes, "/metadata_bytes") <= 1_000_000, "{sizes:#}");
}

/// The folder is hardly larger in the last third than it was in the second, for all that was written meanwhile.
fn levels_off(looks: &[Value]) {
    let third = looks.len() / 3;
    for name in ["/folder/metadata", "/folder/metadata files", "/folder/data files"] {
        let most = |looks: &[Value]| looks.iter().map(|sizes| size(sizes, name)).max();
        let (second, last) = (most(&looks[third..2 * third]), most(&looks[2 * third..]));
        let bound = second.map(|second| second + second / 4);
        assert!(last <= bound, "{name}: {second:?}, then {last:?}");
    }
}
