//! Many commits to one table: history is expired and manifests are merged on the way, outside readers find the same
//! rows, and no file is missing or too many.

use crate::feed::{Feed, POISON, never_halted};

/// Little is kept, so that few commits do what takes thousands otherwise.
const LITTLE: [(&str, &str); 2] = [
    ("tabletopic.expire.max-snapshots", "12"),
    ("commit.manifest.min-count-to-merge", "3"),
];

#[test]
fn a_table_of_many_commits_holds_the_same_rows_in_few_files() {
    let feed = Feed::new("upkeep", 2);
    feed.produce(400, POISON);
    feed.catch_up();
    let tables = [
        feed.lake.table.clone(),
        format!("{}__dead_letters", feed.lake.table),
        format!("{}__ledger", feed.lake.table),
    ];
    for table in &tables {
        for (key, value) in LITTLE {
            feed.lake.foreign(&["--table", table, "set", key, value]);
        }
    }
    let first = *feed.snapshots().first().expect("the anchor");
    feed.commit_often();
    // Each service drains the ledger as it leaves, and the next one expires what is in there.
    for _ in 0..3 {
        let service = feed.run();
        let rows = feed.produce(1500, &[POISON, &["--rate", "500"]].concat());
        feed.wait_for_rows(&service, rows);
        never_halted(&service.terminate());
    }
    assert!(!feed.snapshots().contains(&first), "nothing was expired");

    for table in &tables {
        let files = feed.lake.must("files", &["--table", table]);
        println!("{table}: {files:#}");
        assert!(files["manifests"].as_u64() <= Some(2 * 5), "{table}: {files:#}");
        feed.lake.must("metrics", &["--table", table, "--all-snapshots"]);
    }
    feed.holds(&[]);
    feed.lake.is_sound();
}
