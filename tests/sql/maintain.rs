//! `maintain` does what is due to tables, one after the other; what it does to rows DuckDB tells.

use std::fs::{self, File};
use std::process::Output;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tabletopic_testkit::must;

use crate::lake::{TestLake, lake, make};

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn files(lake: &TestLake) -> Value {
    let catalog = lake.path("catalog.db").display().to_string();
    must("files", &["--catalog", &catalog, "--table", "shop.returns"])
}

/// A file that nothing leads to, four days old.
fn stray(lake: &TestLake) -> std::path::PathBuf {
    let path = lake.path("warehouse/shop/returns/data/stray.parquet");
    let file = File::create(&path).unwrap();
    let four_days = Duration::from_secs(4 * 24 * 60 * 60);
    #[allow(clippy::disallowed_methods, reason = "the file system has no other clock")]
    file.set_modified(SystemTime::now() - four_days).unwrap();
    path
}

#[test]
fn what_is_due_is_done_in_one_go_and_rows_stay_what_they_are() {
    let lake = make();
    let catalog = lake.path("catalog.db").display().to_string();
    let (asked, answer) = (lake.path("asked.sql"), lake.path("answer.parquet"));
    let (asked, answer) = (asked.display().to_string(), answer.display().to_string());
    let query = "SELECT * FROM returns";
    fs::write(&asked, query).unwrap();
    let output = lake.sql(&["-c", query, "--output", "parquet", "-o", &answer]);
    assert!(output.status.success(), "{output:?}");
    let stray = stray(&lake);
    let before = files(&lake);

    let all = |more: &[&str]| {
        let asked = [
            "maintain",
            "shop.returns",
            "--older-than",
            "0s",
            "--orphans",
            "--output",
            "json",
        ];
        let output = lake.tabletopic(&[&asked[..], more].concat());
        (output.status.code(), document(&output)[0].clone())
    };
    let (code, would) = all(&["--dry-run"]);
    assert_eq!(code, Some(0), "{would:#}");
    assert_eq!(files(&lake), before, "a dry run: {would:#}");
    assert_eq!(
        would["compact"]["pieces"][0]["outcome"],
        json!("planned"),
        "{would:#}"
    );
    assert_eq!(would["orphans"]["sum"]["files"], json!(1), "{would:#}");

    // There is nobody to ask: what nobody is asked about is done before that.
    let (code, did) = all(&[]);
    assert_eq!(code, Some(1), "{did:#}");
    // The newest ten stay.
    assert_eq!(did["expire"]["snapshots"], json!(0), "{did:#}");
    assert_eq!(
        did["compact"]["pieces"][0]["outcome"],
        json!("committed"),
        "{did:#}"
    );
    let error = did["error"].as_str().unwrap_or_else(|| panic!("{did:#}"));
    assert!(error.contains("add --yes") && stray.exists(), "{did:#}");
    let after = files(&lake);
    assert_eq!(
        (&after["live_delete_files"], &after["live_data_files"]),
        (&json!(0), &json!(1)),
        "{after:#}"
    );

    let (code, did) = all(&["--yes"]);
    assert_eq!((code, &did["error"]), (Some(0), &Value::Null), "{did:#}");
    assert_eq!(did["compact"]["pieces"], json!([]), "{did:#}");
    assert!(!stray.exists(), "{did:#}");
    let compared = [
        "--catalog",
        &catalog,
        "--namespace",
        "shop",
        "--answer",
        &asked,
        &answer,
    ];
    assert_eq!(must("answers", &compared)["compared"], json!(1));
}

#[test]
fn a_table_that_fails_keeps_no_other_from_being_done_or_told() {
    let lake = make();
    let tables = ["shop.nothing", "shop.returns", "--dry-run", "--output", "json"];
    for command in ["compact", "expire", "orphans"] {
        let output = lake.tabletopic(&[&[command], &tables[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{command}: {output:?}");
        let told = document(&output);
        assert_eq!(
            (told.as_array().unwrap().len(), &told[0]["table"]),
            (1, &json!("shop.returns"))
        );
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("error: shop.nothing: "), "{command}: {said}");
    }
    let output = lake.tabletopic(&[&["maintain"], &tables[..]].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told = document(&output);
    assert!(
        told[0]["error"].as_str().unwrap().contains("shop.nothing"),
        "{told:#}"
    );
    assert_eq!(
        told[1]["compact"]["pieces"][0]["outcome"],
        json!("planned"),
        "{told:#}"
    );
}

#[test]
fn other_engines_are_given_what_they_understand_of_tables_that_are_there() {
    let spark = [
        "maintain",
        "shop.orders",
        "--engine",
        "spark",
        "--catalog-name",
        "lake",
    ];
    let output = lake().tabletopic(&spark);
    assert!(output.status.success(), "{output:?}");
    let sql = String::from_utf8(output.stdout).unwrap();
    assert!(
        sql.contains("CALL lake.system.rewrite_manifests(table => 'shop.orders');"),
        "{sql}"
    );
    let fails = |more: &[&str], code: i32, words: &str| {
        let output = lake().tabletopic(&[&["maintain", "shop.orders"], more].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {said}");
        assert!(said.contains(words), "{more:?}: {said}");
    };
    fails(&["--engine", "trino"], 2, "--trino-url");
    fails(&["--trino-url", "http://127.0.0.1:9"], 2, "--engine");
    fails(
        &["--engine", "spark", "--orphans", "--orphans-older-than", "1h"],
        2,
        "24 hours",
    );
    fails(
        &["--engine", "trino", "--trino-url", "http://127.0.0.1:9"],
        5,
        "cannot be reached",
    );
    let nothing = lake().tabletopic(&["maintain", "shop.nothing", "--engine", "spark"]);
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
}
