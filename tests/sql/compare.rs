//! `tabletopic compare`: tables that hold the same in other files, orders, types and specs are equal, and each defect of
//! `docs/compare.md` is found and named. The tables are PyIceberg's, and DuckDB counts what differs.

use std::process::Output;

use serde_json::{Value, json};
use tabletopic_testkit::must;

use crate::TABLETOPIC;
use crate::compaction::compact;
use crate::lake::{TestLake, make};

const PAGE: &str = include_str!("../../docs/compare.md");

const BASE: &str = "ci.orders";

fn reader(lake: &TestLake, table: &str, arguments: &[&str]) -> Value {
    let catalog = lake.path("catalog.db").display().to_string();
    must(
        "compared",
        &[&["--catalog", &catalog, "--table", table], arguments].concat(),
    )
}

/// A table of the same rows in a layout; with statements, one for each, with a number behind its name.
fn table(lake: &TestLake, name: &str, layout: &str, statements: &[&str]) {
    let folder = lake.path("tables").display().to_string();
    let sql = statements.iter().flat_map(|statement| ["--sql", statement]);
    let sql: Vec<&str> = sql.collect();
    reader(
        lake,
        name,
        &[&["make", "--folder", &folder, "--layout", layout], sql.as_slice()].concat(),
    );
}

fn code_and_said(output: &Output) -> (Option<i32>, String) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// What `compare` answers, which has to be this verdict.
fn compared(lake: &TestLake, arguments: &[&str], verdict: &str) -> Value {
    let output = lake.tabletopic(&[&["compare", "--output", "json"], arguments].concat());
    let (code, said) = code_and_said(&output);
    let wanted = if verdict == "equal" { 0 } else { 3 };
    assert_eq!(code, Some(wanted), "{arguments:?}: {said}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(answer["verdict"], verdict, "{answer:#}");
    answer
}

/// The kinds of what differs between the schemas, with the column.
fn schema(answer: &Value, kind: &str) -> Vec<String> {
    let differences = answer["schema"].as_array().unwrap().iter();
    let of_kind = differences.filter(|difference| difference["kind"] == kind);
    of_kind
        .map(|difference| difference["column"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_same_rows_are_equal_whatever_holds_them() {
    let lake = make();
    for layout in ["plain", "other", "wide"] {
        table(&lake, &format!("ci.{layout}"), layout, &[]);
    }
    let answer = compared(&lake, &["ci.plain", "ci.other"], "equal");
    assert_eq!(
        answer["key"],
        json!(["_kafka_topic", "_kafka_partition", "_kafka_offset"])
    );
    assert_eq!(answer["columns"].as_array().unwrap().len(), 20);
    assert_eq!(answer["a"]["rows"], 300);
    assert_eq!((&answer["sorted"], &answer["samples"]), (&json!(0), &json!([])));
    assert_eq!(schema(&answer, "type"), [""; 0]);
    assert!(!schema(&answer, "field_id").is_empty(), "{answer:#}");
    let topics = answer["by_topic_partition"].as_array().unwrap();
    assert_eq!(topics.len(), 3, "{answer:#}");
    assert!(
        topics
            .iter()
            .all(|of| of["rows_in_a"] == 100 && of["rows_in_b"] == 100),
        "{answer:#}"
    );
    let days = answer["by_partition"].as_array().unwrap();
    assert_eq!(days[0]["partition"], "seen_day=2026-01-01", "{answer:#}");
    assert_eq!(days.len(), 3, "{answer:#}");

    // Types that others were widened to, either way round.
    let answer = compared(&lake, &["ci.plain", "ci.wide"], "equal");
    let mut widened = schema(&answer, "type");
    widened.sort_unstable();
    let wanted = [
        "_kafka_partition",
        "amount",
        "code",
        "number",
        "ratio",
        "sent",
        "token",
    ];
    assert_eq!(widened, wanted, "{answer:#}");
    compared(&lake, &["ci.wide", "ci.other"], "equal");
    // A row by all of its values, and by a key that no row has alone.
    let answer = compared(
        &lake,
        &["ci.plain", "ci.wide", "--ignore", "_kafka_offset"],
        "equal",
    );
    assert_eq!(answer["key"], json!([]));
    let answer = compared(
        &lake,
        &["ci.plain", "ci.other", "--key", "_kafka_partition", "--every-key"],
        "equal",
    );
    let repeated = &answer["differences"];
    assert_eq!(
        (&repeated["repeated_in_a"], &repeated["repeated_in_b"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(answer["sorted"], 600);

    // In words.
    let (code, said) = code_and_said(&lake.tabletopic(&["compare", "ci.plain", "ci.wide"]));
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with("ci.plain and ci.wide hold the same 300 rows\n"),
        "{said}"
    );
    assert!(
        said.contains("number is int in A and long in B, compared as long"),
        "{said}"
    );
}

#[test]
fn rewritten_and_deleted_rows_are_compared_as_queries_see_them() {
    let lake = make();
    table(&lake, "ci.plain", "plain", &[]);
    let before = compared(&lake, &["ci.plain", "ci.plain"], "equal");
    let before = format!("ci.plain@{}", before["a"]["snapshot_id"]);
    compact(&lake, "ci.plain", &["--sort", "number"]);
    let answer = compared(&lake, &[&before, "ci.plain"], "equal");
    assert_ne!(answer["a"]["snapshot_id"], answer["b"]["snapshot_id"]);

    // Deleted by position, by value, and some that came again.
    let folder = lake.path("tables").display().to_string();
    reader(
        &lake,
        "shop.returns",
        &["copy", "--folder", &folder, "--to", "shop.copied"],
    );
    let answer = compared(&lake, &["shop.returns", "shop.copied"], "equal");
    assert_eq!(answer["a"]["rows"], answer["b"]["rows"]);
    let all = compared(
        &lake,
        &["shop.returns", "shop.copied", "--key", "id", "--every-key"],
        "equal",
    );
    assert_eq!(
        all["sorted"].as_u64(),
        all["a"]["rows"].as_u64().map(|rows| 2 * rows)
    );
    let with = lake.value("SELECT count(*) FROM shop.returns");
    assert_eq!(answer["a"]["rows"], with, "deleted rows are not there");
}

/// The lines of the page's table: what is done, the counts that are found, the column.
fn defects() -> Vec<(&'static str, Value, Option<&'static str>)> {
    let lines = PAGE
        .lines()
        .skip_while(|line| *line != "| done to B | found | column |")
        .skip(2);
    let lines = lines.take_while(|line| line.starts_with('|'));
    let defects = lines.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" |").map(str::trim).collect();
        let [statement, found, ..] = cells[..] else {
            panic!("{line}")
        };
        let names = [
            "only_in_a",
            "only_in_b",
            "different",
            "more_in_a",
            "more_in_b",
            "repeated_in_a",
            "repeated_in_b",
        ];
        let mut counts: Value = names.iter().map(|name| ((*name).to_owned(), json!(0))).collect();
        for count in found.split(", ") {
            let (name, count) = count.split_once(' ').unwrap();
            let name = name.trim_matches('`');
            assert!(names.contains(&name), "{line}");
            counts[name] = json!(count.parse::<u64>().unwrap());
        }
        let column = cells
            .get(2)
            .map(|column| column.trim_matches('`'))
            .filter(|column| !column.is_empty());
        (statement.trim_matches('`'), counts, column)
    });
    defects.collect()
}

#[test]
fn each_defect_of_the_page_is_found_and_named() {
    let lake = make();
    let defects = defects();
    assert!(defects.len() > 30, "the page has a table");
    table(&lake, BASE, "plain", &[]);
    let statements: Vec<&str> = defects.iter().map(|(statement, ..)| *statement).collect();
    table(&lake, "ci.b", "other", &statements);
    let names: Vec<String> = (0..defects.len()).map(|at| format!("ci.b_{at}")).collect();
    let others = names.iter().flat_map(|name| ["--other", name]);
    let judged = reader(
        &lake,
        BASE,
        &[&["judge"], others.collect::<Vec<_>>().as_slice()].concat(),
    );
    for (at, (statement, counts, column)) in defects.into_iter().enumerate() {
        assert_eq!(judged["counts"][at], counts, "what DuckDB counts: {statement}");
        let answer = compared(&lake, &[BASE, &names[at]], "differ");
        assert_eq!(answer["differences"], counts, "{statement}: {answer:#}");
        let samples = answer["samples"].as_array().unwrap();
        assert!(!samples.is_empty(), "{statement}: {answer:#}");
        let different = samples.iter().filter(|sample| sample["kind"] == "different");
        for sample in different {
            let columns = sample["columns"].as_array().unwrap();
            let named: Vec<&str> = columns.iter().map(|of| of["column"].as_str().unwrap()).collect();
            match column {
                Some(column) => assert_eq!(named, [column], "{statement}: {sample:#}"),
                None => assert!(!named.is_empty(), "{statement}: {sample:#}"),
            }
            assert!(
                columns.iter().all(|of| of["a"] != of["b"]),
                "{statement}: {sample:#}"
            );
        }
        if statement.contains("THIS_ROW") {
            let key = &samples[0]["key"];
            assert_eq!(key["_kafka_partition"], 1, "{statement}: {answer:#}");
            let differing: Vec<&Value> = answer["by_topic_partition"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|of| of["rows_in_a"] != of["rows_in_b"] || of["different"] != 0)
                .collect();
            assert!(
                differing.iter().all(|of| of["partition"] == 1),
                "{statement}: {differing:#?}"
            );
        }
    }
}

#[test]
fn a_difference_is_told_in_words_with_both_values() {
    let lake = make();
    table(&lake, BASE, "plain", &[]);
    let statements = [
        "UPDATE b SET name = NULL WHERE THIS_ROW",
        "DELETE FROM b WHERE _kafka_partition = 2 AND _kafka_offset < 3",
    ];
    table(&lake, "ci.b", "other", &statements);
    let (code, said) = code_and_said(&lake.tabletopic(&["compare", BASE, "ci.b_0"]));
    assert_eq!(code, Some(3), "{said}");
    let first = "ci.orders and ci.b_0 differ: 1 key has other values; both have the same keys\n";
    assert!(said.starts_with(first), "{said}");
    let line = said
        .lines()
        .find(|line| line.contains("name") && line.contains('∅'));
    let words: Vec<&str> = line
        .unwrap_or_else(|| panic!("{said}"))
        .split_whitespace()
        .collect();
    assert_eq!(
        words,
        ["\"orders\"", "1", "7", "1", "1", "name", "\"\"", "∅"],
        "{said}"
    );
    assert!(said.contains("orders/1"), "{said}");
    assert!(said.contains("2 more hold the same"), "{said}");

    let (code, said) = code_and_said(&lake.tabletopic(&["compare", BASE, "ci.b_1", "--samples", "2"]));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("differ: 3 rows are only in ci.orders\n"), "{said}");
    assert!(said.contains("Only in A, the first 2\n"), "{said}");
}

#[test]
fn columns_and_names_that_do_not_go_together_are_told() {
    let lake = make();
    table(&lake, BASE, "plain", &[]);
    let folder = lake.path("tables").display().to_string();
    reader(
        &lake,
        "ci.returns",
        &["many", "--folder", &folder, "--rows", "300"],
    );
    // Columns of one side are a difference, and are not compared where they are left out.
    let answer = compared(&lake, &[BASE, "ci.returns"], "differ");
    assert!(
        schema(&answer, "only_in_b").contains(&"customer".to_owned()),
        "{answer:#}"
    );
    assert_eq!(schema(&answer, "incomparable"), [""; 0], "{answer:#}");
    let answer = compared(
        &lake,
        &[BASE, "ci.returns", "--columns", "_kafka_offset"],
        "differ",
    );
    assert_eq!(
        answer["key"],
        json!(["_kafka_partition", "_kafka_offset"]),
        "{answer:#}"
    );
    let answer = compared(
        &lake,
        &[BASE, "ci.returns", "--columns", "total", "--rename", "name=total"],
        "differ",
    );
    assert_eq!(schema(&answer, "incomparable"), ["total"], "{answer:#}");

    for (arguments, says) in [
        (
            vec![BASE, "orders"],
            "`orders` is no table: write its namespace as well",
        ),
        (vec![BASE, "ci.nothing"], "ci.nothing does not exist"),
        (
            vec![BASE, "ci.returns@yesterday"],
            "has no snapshot `yesterday`: write the id of one",
        ),
        (
            vec![BASE, "ci.returns@2020-01-01T00:00:00Z"],
            "its oldest snapshot is of",
        ),
        (
            vec![BASE, "ci.returns", "--key", "customer"],
            "column `customer` can't be a part of the key",
        ),
        (
            vec![BASE, "ci.returns", "--ignore", "custommer"],
            "neither table has a column `custommer`",
        ),
        (
            vec![BASE, "ci.returns", "--rename", "a=b"],
            "B has no column `a` to be compared as `b`",
        ),
    ] {
        let (code, said) = code_and_said(&lake.tabletopic(&[vec!["compare"], arguments.clone()].concat()));
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

/// Two tables of a million rows, all of which are sorted: what memory does not hold lies in files meanwhile.
#[test]
fn memory_is_bounded_and_what_it_does_not_hold_is_spilled() {
    let lake = make();
    let folder = lake.path("tables").display().to_string();
    let rows = "1500000";
    let in_order = ["many", "--folder", &folder, "--rows", rows];
    reader(&lake, "ci.large", &in_order);
    reader(
        &lake,
        "ci.shuffled",
        &[&in_order[..], &["--shuffled", "--without", "7"]].concat(),
    );
    let config = std::fs::read_to_string(lake.path("tabletopic.toml")).unwrap();
    std::fs::write(
        lake.path("small.toml"),
        config + "\n[memory]\nbudget = \"128MiB\"\n",
    )
    .unwrap();
    let temporary = lake.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let (config, temporary) = (lake.path("small.toml"), temporary.display().to_string());
    let ran = |more: &[&str]| {
        let environment = format!("TMPDIR={temporary}");
        let command = [
            "env",
            &environment,
            TABLETOPIC,
            "--config",
            config.to_str().unwrap(),
            "compare",
        ];
        let command = [
            &command[..],
            &["ci.large", "ci.shuffled", "--output", "json"],
            more,
        ]
        .concat();
        reader(&lake, "ci.large", &[&["run", "--"], command.as_slice()].concat())
    };
    let sorted = ran(&["--every-key"]);
    let answer = &sorted["answer"];
    assert_eq!(sorted["code"], 3, "{sorted:#}");
    assert_eq!(
        (&answer["sorted"], &answer["differences"]["only_in_a"]),
        (&json!(2_999_993), &json!(7))
    );
    assert!(answer["spilled_bytes"].as_u64() > Some(64 << 20), "{sorted:#}");
    assert!(sorted["peak_mib"].as_u64() < Some(400), "{sorted:#}");
    let left = std::fs::read_dir(&temporary).unwrap().count();
    assert_eq!(left, 0, "temporary files are gone");

    // Without it only a small part of the rows is.
    let part = ran(&[]);
    assert_eq!(part["answer"]["differences"], answer["differences"], "{part:#}");
    assert!(part["answer"]["sorted"].as_u64() < Some(1000), "{part:#}");
    assert_eq!(part["answer"]["spilled_bytes"], 0);
    assert_eq!(part["answer"]["samples"].as_array().unwrap().len(), 7, "{part:#}");
}
