//! The queries of `sql/shell`, answered by the shell and by DuckDB on the same tables.

use std::path::Path;

use serde_json::Value;
use tabletopic_testkit::must;

use crate::lake::{TestLake, lake};

/// Gives DuckDB queries and our answers to them.
fn duckdb_agrees(lake: &TestLake, compared: &[(String, String)]) -> Value {
    let catalog = lake.path("catalog.db").display().to_string();
    let mut arguments = vec!["--catalog", &catalog, "--namespace", "shop"];
    for (query, answer) in compared {
        arguments.extend(["--answer", query, answer]);
    }
    must("answers", &arguments)
}

#[test]
fn every_query_is_answered_as_duckdb_answers_it() {
    let lake = lake();
    let queries = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/shell");
    let mut compared = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(&queries).unwrap() {
        let query = entry.unwrap().path().display().to_string();
        let answer = lake
            .path(&format!("answer-{count}.parquet"))
            .display()
            .to_string();
        let output = lake.sql(&["-f", &query, "--output", "parquet", "-o", &answer]);
        assert!(
            output.status.success(),
            "{query}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        compared.push((query, answer));
        count += 1;
    }
    assert!(count >= 10, "{count} queries");
    let verdict = duckdb_agrees(lake, &compared);
    assert_eq!(verdict["compared"], count, "{verdict:#}");
}

#[test]
fn earlier_states_are_those_that_duckdb_sees() {
    let lake = lake();
    let snapshots = lake.rows(r#"SELECT snapshot_id FROM "orders$snapshots""#);
    let mut compared = Vec::new();
    for (at, snapshot) in snapshots.iter().enumerate() {
        let id = &snapshot["snapshot_id"];
        let query = lake.path(&format!("at-{at}.sql"));
        std::fs::write(
            &query,
            format!(r#"SELECT count(*) AS orders, sum(order_id) AS ids FROM "orders@{id}""#),
        )
        .unwrap();
        let query = query.display().to_string();
        let answer = lake.path(&format!("at-{at}.parquet")).display().to_string();
        let output = lake.sql(&["-f", &query, "--output", "parquet", "-o", &answer]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        compared.push((query, answer));
    }
    let verdict = duckdb_agrees(lake, &compared);
    assert_eq!(verdict["compared"], snapshots.len(), "{verdict:#}");
}
