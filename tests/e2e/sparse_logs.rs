//! Logs with offsets that hold no record: what a reader may see is in the table, and the rest is passed.

use tabletopic_testkit::{Topic, eventually};

use crate::feed::{Feed, JSON};

#[test]
fn aborted_transactions_up_to_the_end_of_the_log_are_passed() {
    let feed = Feed::new("transactions", 2);
    feed.produce_kind("transactions", 30, &["--size", "20"]);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
    let ends = feed.topic.admin("describe", &[])["partitions"].clone();
    for row in feed.lake.must("audit", &["--audit", "freshness"])["audits"]["freshness"]
        .as_array()
        .expect("rows")
    {
        let end = &ends[row["kafka_partition"].to_string()]["end"];
        assert_eq!(
            &row["progress"], end,
            "the last offset of the log is a marker: {row:#}"
        );
    }
}

#[test]
fn a_compacted_log_is_held_as_it_was_left() {
    let compacted = [
        "cleanup.policy=compact",
        "segment.ms=100",
        "min.cleanable.dirty.ratio=0.01",
    ];
    let feed = Feed::of(Topic::create("compacted", 1, &compacted), JSON);
    let produced = feed.produce_kind("keyed", 2000, &["--keys", "50", "--tombstones", "0.02"]);
    let left = feed.lake.file("left.parquet");
    eventually("a compacted log", || {
        // The segment that is written to is never compacted: each record lets the one before it be.
        feed.produce_kind("keyed", 1, &["--keys", "1"]);
        let read = feed.topic.admin("read", &["--produced", &left]);
        let records: u64 = read["kinds"]
            .as_object()?
            .values()
            .filter_map(|count| count.as_u64())
            .sum();
        (records < produced / 2).then_some(())
    });
    feed.catch_up();
    feed.holds(&["--compacted"]);
    feed.lake.holds(&[&left], &[]);
    feed.lake.is_sound();
}
