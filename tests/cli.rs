//! The binary as a script sees it: exit codes, and what goes to standard output.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const CONFIG: &str = r#"
[kafka]
bootstrap = "127.0.0.1:PORT"

[catalog]
type = "sqlite"
uri = "lake/catalog.db"
warehouse = "lake/warehouse"

[[topic]]
name = "orders"
table = "shop.orders"
format = "json"
ddl = "orders.sql"
event_time = "created_at"
"#;

const DDL: &str = "CREATE TABLE orders (id BIGINT, created_at TIMESTAMPTZ, note VARCHAR)";

/// A folder with a configuration that is right, but for the broker, which is not there.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago: nobody answers there.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    std::fs::write(
        folder.path().join("tabletopic.toml"),
        CONFIG.replace("PORT", &port.to_string()),
    )
    .unwrap();
    std::fs::write(folder.path().join("orders.sql"), DDL).unwrap();
    folder
}

fn change(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

fn tabletopic(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tabletopic"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("TABLETOPIC_CONFIG")
        .output()
        .unwrap()
}

fn shown(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_good_configuration_passes_offline() {
    let folder = folder();
    let output = tabletopic(folder.path(), &["check", "--offline"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        shown(&output),
        "ok    tabletopic.toml: topics: orders\nok    table shop.orders: 6 columns are declared\n"
    );
    assert!(!folder.path().join("lake").exists(), "offline reaches nothing");
}

#[test]
fn a_wrong_key_is_a_configuration_error() {
    let folder = folder();
    change(folder.path(), "tabletopic.toml", "event_time", "evnt_time");
    let output = tabletopic(folder.path(), &["check", "--offline"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        shown(&output),
        "fail  tabletopic.toml:15: topic.evnt_time: `evnt_time` is no such key; did you mean `event_time`?\n"
    );
}

#[test]
fn an_event_time_that_is_no_column_is_a_configuration_error() {
    let folder = folder();
    change(
        folder.path(),
        "tabletopic.toml",
        "\"created_at\"",
        "\"createdat\"",
    );
    let output = tabletopic(folder.path(), &["check", "--offline"]);
    assert_eq!(output.status.code(), Some(2));
    let shown = shown(&output);
    assert!(
        shown.contains("fail  table shop.orders: ") && shown.contains("createdat"),
        "{shown}"
    );
}

#[test]
fn a_ddl_file_is_named_with_the_line_at_fault() {
    let folder = folder();
    change(folder.path(), "orders.sql", "note VARCHAR", "\nnote MONEY");
    let output = tabletopic(folder.path(), &["check", "--offline"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        shown(&output).contains("orders.sql: line 2, "),
        "{}",
        shown(&output)
    );
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let folder = folder();
    let output = tabletopic(folder.path(), &["check", "--config", "other.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        shown(&output).starts_with("fail  other.toml: cannot be read: "),
        "{}",
        shown(&output)
    );
}

#[test]
fn the_environment_can_name_the_configuration() {
    let folder = folder();
    std::fs::rename(
        folder.path().join("tabletopic.toml"),
        folder.path().join("mine.toml"),
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tabletopic"))
        .args(["check", "--offline"])
        .current_dir(folder.path())
        .env("TABLETOPIC_CONFIG", "mine.toml")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    let folder = folder();
    assert_eq!(
        tabletopic(folder.path(), &["check", "--ofline"]).status.code(),
        Some(2)
    );
}

#[test]
fn every_help_has_an_example() {
    let folder = folder();
    for command in ["demo", "run", "plan", "check", "resolve", "compare"] {
        let output = tabletopic(folder.path(), &[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let shown = shown(&output);
        let (_, after) = shown
            .split_once("Example")
            .unwrap_or_else(|| panic!("{command}: {shown}"));
        assert!(
            after.contains(&format!("\n  tabletopic {command} ")),
            "{command}: {shown}"
        );
    }
}

#[test]
fn a_folder_that_is_not_a_demos_is_not_touched() {
    let folder = folder();
    let before: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    let output = tabletopic(folder.path(), &["demo", "--dir", "."]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("is not empty") && error.contains("--dir"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before.len());
}

#[test]
fn a_run_with_a_wrong_configuration_says_so_on_standard_error() {
    let folder = folder();
    change(folder.path(), "tabletopic.toml", "\"json\"", "\"jason\"");
    let output = tabletopic(folder.path(), &["run", "--until-end"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(shown(&output), "");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: tabletopic.toml:13: topic.format: `jason` is not a value for this key; did you mean `json`?\n"
    );
}

#[test]
fn an_answer_to_a_halt_is_one_of_three() {
    let folder = folder();
    let none = tabletopic(folder.path(), &["resolve", "shop.orders"]);
    assert_eq!(none.status.code(), Some(2), "{none:?}");
    let two = tabletopic(
        folder.path(),
        &["resolve", "shop.orders", "--rewind", "--declare-lost"],
    );
    assert_eq!(two.status.code(), Some(2), "{two:?}");
}

/// The broker is away, everything else is well: the findings of a machine-readable check.
#[test]
fn a_broker_that_is_away_says_try_again_later() {
    let folder = folder();
    let output = tabletopic(folder.path(), &["check", "--output", "json"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["exit_code"], 5);
    let verdicts: Vec<(&str, &str)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            (
                finding["subject"].as_str().unwrap(),
                finding["verdict"].as_str().unwrap(),
            )
        })
        .map(|(subject, verdict)| (subject.split(' ').next().unwrap(), verdict))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("tabletopic.toml", "ok"),
            ("table", "ok"),
            ("brokers", "fail"),
            ("warehouse", "ok"),
            ("catalog", "ok")
        ]
    );
    let left: Vec<_> = std::fs::read_dir(folder.path().join("lake/warehouse"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "the probe file is gone: {left:?}");
    assert!(
        !folder.path().join("lake/catalog.db").exists(),
        "a check makes no catalog"
    );
}

#[test]
fn a_warehouse_that_is_a_file_fails() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("lake")).unwrap();
    std::fs::write(folder.path().join("lake/warehouse"), "").unwrap();
    let output = tabletopic(folder.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        shown(&output).contains("fail  warehouse file:///"),
        "{}",
        shown(&output)
    );
}

#[test]
fn status_makes_no_catalog() {
    let folder = folder();
    let output = tabletopic(folder.path(), &["status"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`tabletopic run` makes it"), "{said}");
    assert!(!folder.path().join("lake").exists(), "it only looks");
}

#[test]
fn status_of_a_table_that_no_topic_feeds_names_those_that_are_fed() {
    let folder = folder();
    let output = tabletopic(folder.path(), &["status", "shop.order"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("it has: shop.orders"), "{said}");
}
