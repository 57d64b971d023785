//! What DuckDB reads of a compacted table is what was in it before: rows that were deleted by position and by value stay
//! away.

use serde_json::{Value, json};
use tabletopic_testkit::must;

use crate::lake::{TestLake, make};

fn compact(lake: &TestLake, table: &str) -> Value {
    let output = lake.tabletopic(&["compact", table, "--output", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{said}"))[0].clone()
}

#[test]
fn duckdb_reads_the_same_rows_after_it() {
    let lake = make();
    let catalog = lake.path("catalog.db").display().to_string();
    let (asked, answer) = (lake.path("asked.sql"), lake.path("answer.parquet"));
    let (asked, answer) = (asked.display().to_string(), answer.display().to_string());
    let query = "SELECT * FROM returns";
    std::fs::write(&asked, query).unwrap();
    let output = lake.sql(&["-c", query, "--output", "parquet", "-o", &answer]);
    assert!(output.status.success(), "{output:?}");
    let files = || must("files", &["--catalog", &catalog, "--table", "shop.returns"]);
    let before = files();
    assert!(before["live_delete_files"].as_u64() > Some(2), "{before:#}");

    let did = compact(&lake, "shop.returns");
    let pieces = did["pieces"].as_array().unwrap();
    assert!(
        pieces.len() == 1 && pieces[0]["outcome"] == "committed",
        "{did:#}"
    );
    let after = files();
    assert_eq!(
        (&after["live_delete_files"], &after["live_data_files"]),
        (&json!(0), &json!(1))
    );

    let compared = must(
        "answers",
        &[
            "--catalog",
            &catalog,
            "--namespace",
            "shop",
            "--answer",
            &asked,
            &answer,
        ],
    );
    assert_eq!(compared["compared"], json!(1), "{compared:#}");
    must("metrics", &["--catalog", &catalog, "--table", "shop.returns"]);
}
