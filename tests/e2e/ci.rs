//! `examples/ci`: the script as it is, on the queries as they are. What it made is gone afterwards, whatever happened.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tabletopic_testkit::must;

use crate::TABLETOPIC;
use crate::feed::{Feed, POISON};
use crate::replay::files_of;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci")
}

/// The exit code of the script, and all that it prints.
fn script(feed: &Feed, queries: &Path, more: &[&str]) -> (i32, String) {
    let output = Command::new(examples().join("replay-test.sh"))
        .args([
            feed.config.as_path(),
            feed.lake.table.as_ref(),
            queries,
            feed.lake.path("report.xml").as_path(),
        ])
        .args(more)
        .env("TABLETOPIC", TABLETOPIC)
        .stdin(Stdio::null())
        .output()
        .expect("the script starts");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// No replay is left, in the catalog or in the warehouse.
fn left_nothing(feed: &Feed) {
    let replays = feed.done(&["replays"]);
    assert!(!replays.to_string().contains("ci_"), "{replays:#}");
    for namespace in std::fs::read_dir(feed.lake.warehouse())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = namespace.file_name().to_string_lossy().into_owned();
        let files = files_of(feed, &name);
        assert!(!name.starts_with("ci_") || files.is_empty(), "{files:?}");
    }
}

fn report(feed: &Feed) -> Value {
    must("junit", &[&feed.lake.file("report.xml")])
}

#[test]
fn the_script_asks_reports_and_cleans_up() {
    let feed = Feed::new("ci", 2);
    feed.produce(300, &[]);
    feed.catch_up();
    let queries = examples().join("sql");
    let (code, said) = script(&feed, &queries, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("3 as expected; "), "{said}");
    let asked = report(&feed);
    assert_eq!(
        (&asked["tests"], &asked["failures"], &asked["errors"]),
        (&json!(3), &json!(0), &json!(0))
    );
    left_nothing(&feed);

    // One query more, and an order that it finds.
    let own = feed.lake.path("own");
    std::fs::create_dir(&own).expect("a folder");
    for entry in std::fs::read_dir(&queries).expect("queries").flatten() {
        std::fs::copy(entry.path(), own.join(entry.file_name())).expect("a copy");
    }
    std::fs::write(
        own.join("nobody.sql"),
        "SELECT id FROM orders WHERE customer LIKE 'c%'",
    )
    .expect("a query");
    let (code, said) = script(&feed, &own, &["--from", "earliest"]);
    assert_eq!(code, 3, "{said}");
    let asked = report(&feed);
    assert_eq!(
        (&asked["tests"], &asked["failures"]),
        (&json!(4), &json!(1)),
        "{asked:#}"
    );
    left_nothing(&feed);

    // The replay itself halts at a bad record.
    feed.produce(50, POISON);
    feed.produce(50, &["--poison", "0.5"]);
    let (code, said) = script(&feed, &queries, &["--set", "on_bad_record=halt"]);
    assert_eq!(code, 4, "{said}");
    left_nothing(&feed);

    // It never begins.
    let (code, said) = script(&feed, &queries, &["--from", "7:0"]);
    assert_eq!(code, 2, "{said}");
    let (code, said) = script(&feed, &feed.lake.path("no-such-folder"), &[]);
    assert_eq!(code, 2, "{said}");
    left_nothing(&feed);
    feed.catch_up();
    feed.holds(&[]);
}

#[test]
fn the_workflow_runs_the_script_that_is_there() {
    let text = |name: &str| std::fs::read_to_string(examples().join(name)).expect("it is there");
    let workflow = text("workflow.yml");
    assert!(
        workflow.contains("run: ./replay-test.sh tabletopic.toml shop.orders sql report.xml "),
        "{workflow}"
    );
    assert!(workflow.contains("path: report.xml"), "{workflow}");
    let usage = Command::new(examples().join("replay-test.sh"))
        .output()
        .expect("it starts");
    assert_eq!(usage.status.code(), Some(2));
    let said = String::from_utf8_lossy(&usage.stderr).into_owned();
    assert!(
        said.contains("replay-test.sh CONFIG TABLE QUERIES REPORT"),
        "{said}"
    );
}
