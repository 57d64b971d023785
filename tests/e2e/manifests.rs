//! Manifests by partition value, by the shipped command and beside the ingest: PyIceberg finds the same files with the
//! same sequence numbers, and opens few manifests for a day.

use serde_json::{Value, json};
use tabletopic_testkit::eventually;

use crate::feed::{Feed, POISON, never_halted};

/// One of the days that the orders are of.
const A_DAY: &str = "created_at >= '2026-01-02T00:00:00+00:00' and created_at < '2026-01-03T00:00:00+00:00'";

/// A table whose commits merge no manifests.
fn of_many_manifests(name: &str) -> Feed {
    let feed = Feed::new(name, 2);
    feed.commit_often();
    feed.without_group();
    feed.produce(50, POISON);
    feed.catch_up();
    feed.lake
        .foreign(&["set", "commit.manifest-merge.enabled", "false"]);
    feed
}

/// At least this many commits that add rows.
fn commits(feed: &Feed, count: usize) {
    let service = feed.run();
    while service.commits() < count {
        feed.produce(50, POISON);
    }
    never_halted(&service.terminate());
}

fn seen(feed: &Feed) -> Value {
    feed.lake.must("manifests", &["--where", A_DAY])
}

fn opened(seen: &Value) -> u64 {
    seen["opened"][0].as_u64().unwrap_or_else(|| panic!("{seen:#}"))
}

#[test]
fn a_query_of_a_day_opens_few_of_them_and_finds_the_same_files() {
    let feed = of_many_manifests("manifests");
    feed.edit("[workers]", "[maintenance]\nenabled = false\n\n[workers]");
    commits(&feed, 12);
    let before = seen(&feed);
    assert!(opened(&before) > 8, "{before:#}");

    let table = feed.lake.table.clone();
    let would = feed.done(&["manifests", &table, "--dry-run"]);
    assert_eq!(seen(&feed), before, "a dry run: {would:#}");
    assert_eq!(would[0]["groups"][0]["manifests"], before["data"], "{would:#}");

    let did = feed.done(&["manifests", &table]);
    assert_eq!(did[0]["outcome"], "committed", "{did:#}");
    let after = seen(&feed);
    assert_eq!(after["entries"], before["entries"]);
    assert_eq!((opened(&after), &after["data"]), (1, &json!(1)), "{after:#}");
    let entries = before["entries"].as_object().expect("by path").len();
    let summary = &after["summary"];
    assert_eq!(after["operation"], "replace", "{after:#}");
    assert_eq!(
        [
            &summary["manifests-created"],
            &summary["manifests-replaced"],
            &summary["manifests-kept"],
            &summary["entries-processed"],
        ],
        [
            &json!("1"),
            &json!(before["data"].to_string()),
            &json!("0"),
            &json!(entries.to_string())
        ],
        "{after:#}"
    );
    assert_eq!(summary["total-records"], before["summary"]["total-records"]);
    let again = feed.done(&["manifests", &table]);
    assert_eq!(again[0]["groups"], json!([]), "{again:#}");

    feed.holds(&[]);
    feed.produce(200, POISON);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.must("audit", &[]);
    feed.lake.is_sound();
}

#[test]
fn beside_an_ingest_that_is_killed_they_stay_few_and_every_record_is_there_once() {
    let feed = of_many_manifests("manifests-beside");
    feed.edit(
        "[workers]",
        "[maintenance]\ninterval = \"1s\"\nprocessor = 1.0\n\n[workers]",
    );
    for round in 0..3 {
        let service = feed.run();
        eventually("manifests are rewritten", || {
            feed.produce(50, POISON);
            service.log().contains(" rewrote manifests table=").then_some(())
        });
        // Another hand at the same time.
        feed.done(&["compact", &feed.lake.table]);
        if round < 2 {
            service.kill();
        } else {
            never_halted(&service.terminate());
        }
    }
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.must("audit", &[]);
    feed.lake.must("metrics", &[]);
    feed.lake.must("snapshots", &[]);
}
