//! `partition_by` is changed while a table lives: older files stay as they are, and every reader has all rows.

use std::process::Command;

use serde_json::{Value, json};
use tabletopic_testkit::Topic;

use crate::TABLETOPIC;
use crate::feed::{Feed, JSON};

const DAYS: &str = r#"partition_by = ["day(created_at)"]"#;

/// What `tabletopic ARGUMENTS --output json` says.
fn says(feed: &Feed, arguments: &[&str]) -> Value {
    let output = Command::new(TABLETOPIC)
        .args(arguments)
        .args(["--output", "json", "--config"])
        .arg(&feed.config)
        .output()
        .expect("tabletopic starts");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_changed_partition_by_is_the_next_spec_and_older_files_stay() {
    let feed = Feed::of(Topic::create("repartitioned", 2, &[]), &format!("{JSON}\n{DAYS}"));
    let partition_by = |fields: &str| {
        let text = std::fs::read_to_string(&feed.config).expect("it was written");
        let line = text
            .lines()
            .find(|line| line.starts_with("partition_by"))
            .expect("the key");
        let changed = text.replace(line, &format!("partition_by = {fields}"));
        std::fs::write(&feed.config, changed).expect("it is written");
    };
    let mut rows = feed.produce(400, &["--days", "2"]);
    feed.catch_up();
    let files = || {
        says(
            &feed,
            &[
                "sql",
                "-c",
                r#"SELECT file_path, spec_id FROM "orders$files" ORDER BY 1"#,
            ],
        )
    };
    let older = files();

    partition_by(r#"["bucket(4, id)", "month(created_at)"]"#);
    let plan = says(&feed, &["plan"]);
    assert_eq!(
        (
            &plan["topics"][0]["action"],
            &plan["topics"][0]["partition_by_then"]
        ),
        (&json!("change"), &json!(["bucket(4, id)", "month(created_at)"]))
    );
    rows += feed.produce(400, &["--days", "2"]);
    feed.catch_up();
    let newer = files();
    let newer = newer.as_array().expect("a list");
    for file in older.as_array().expect("a list") {
        assert!(newer.contains(file), "{file} is gone");
    }
    // To what it was: the older spec again.
    partition_by(r#"["day(created_at)"]"#);
    rows += feed.produce(100, &["--days", "2"]);
    feed.catch_up();

    let held = feed.holds(&[]);
    assert_eq!(held["readers"]["pyiceberg"]["rows"], rows, "{held:#}");
    feed.lake.is_sound();
    let specs = r#"SELECT DISTINCT spec_id FROM "orders$partitions" ORDER BY 1"#;
    assert_eq!(
        says(&feed, &["sql", "-c", specs]),
        json!([{ "spec_id": 0 }, { "spec_id": 1 }])
    );
    let count =
        "SELECT count(*) AS rows FROM orders WHERE created_at IS NULL OR created_at > '2000-01-01T00:00:00Z'";
    assert_eq!(says(&feed, &["sql", "-c", count]), json!([{ "rows": rows }]));
    let changes = r#"SELECT change, "offset" FROM "orders$schemas" ORDER BY committed_at"#;
    let changed = |change: &str| json!({ "change": format!("partition by {change}"), "offset": null });
    assert_eq!(
        says(&feed, &["sql", "-c", changes]),
        json!([
            changed("bucket(4, id), month(created_at)"),
            changed("day(created_at)")
        ])
    );
}
