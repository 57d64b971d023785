//! The catalog as engines reach it: `tabletopic catalog serve`, asked by PyIceberg, DuckDB and the compatibility kit of
//! Iceberg's own, and beside a running ingest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use tabletopic_testkit::{Lake, Postgres, Service, Topic, must};

use crate::TABLETOPIC;
use crate::feed::{Feed, JSON, never_halted};

const TOKEN: &str = "a-token-of-this-test";

/// Adds a `[catalog.serve]` section, on any free port, to a configuration.
pub fn serve(config: &Path, more: &str) {
    let text = std::fs::read_to_string(config).expect("it was written");
    let section = format!("\n[catalog.serve]\nlisten = \"127.0.0.1:0\"\n{more}\n");
    std::fs::write(config, text + &section).expect("it can be written");
}

/// A configuration without a broker, which a catalog server needs none of.
pub fn configured(lake: &Lake, more: &str) -> PathBuf {
    let topic = Topic {
        name: "nothing".to_owned(),
        bootstrap: "127.0.0.1:1".to_owned(),
    };
    let config = lake.configure("tabletopic", &topic, "", "format = \"json\"");
    serve(&config, more);
    config
}

/// Where it answers, as its log says it.
pub fn url(service: &Service) -> String {
    let log = service.says("catalog tabletopic at http://");
    let (_, after) = log.split_once("catalog tabletopic at ").expect("it says so");
    after
        .lines()
        .next()
        .expect("a line")
        .trim_end_matches('/')
        .to_owned()
}

#[test]
fn pyiceberg_makes_changes_and_drops_tables_through_it() {
    pyiceberg_tells(&Lake::new());
}

#[test]
fn pyiceberg_makes_changes_and_drops_tables_in_a_database_through_it() {
    let postgres = Postgres::start();
    pyiceberg_tells(&Lake::in_postgres(&postgres, postgres.port));
}

fn pyiceberg_tells(lake: &Lake) {
    let service = Service::serve_catalog(TABLETOPIC, &configured(lake, &format!("token = \"{TOKEN}\"")));
    let told = must("rest", &["--uri", &url(&service), "--token", TOKEN, "pyiceberg"]);
    assert_eq!(told["told"].as_array().map(Vec::len), Some(6), "{told:#}");
    let log = service.terminate();
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn duckdb_reads_and_writes_tables_through_it() {
    let lake = Lake::new();
    let service = Service::serve_catalog(TABLETOPIC, &configured(&lake, ""));
    let told = must("rest", &["--uri", &url(&service), "duckdb"]);
    // 0 to 999 without the first ten, and one more.
    assert_eq!(told["counted"], json!([[991, 500_455, "n999"]]), "{told:#}");
    assert_eq!(told["theirs"], json!([15, 180, "Bonn"]), "{told:#}");
    service.terminate();
}

/// What the kit leaves out. `docs/catalog.md` says why.
const LEFT_OUT: [&str; 11] = [
    "createAndDropEmptyNamespace()",
    "createTableInUniqueLocation()",
    "listNamespacesWithEmptyNamespace()",
    "listTablesInEmptyNamespace()",
    "namespacePropertiesOnEmptyNamespace()",
    "testDropNamespaceWithNestedNamespace()",
    "testListNestedNamespaces()",
    "testNamespaceWithDot()",
    "testNamespaceWithSlash()",
    "testTableNameWithDot()",
    "testTableNameWithSlash()",
];

#[test]
fn the_compatibility_kit_of_iceberg_passes() {
    the_kit_passes(&Lake::new());
}

#[test]
#[ignore = "make test-full: the kit has run over the same statements on SQLite"]
fn the_compatibility_kit_of_iceberg_passes_on_a_database() {
    let postgres = Postgres::start();
    the_kit_passes(&Lake::in_postgres(&postgres, postgres.port));
}

fn the_kit_passes(lake: &Lake) {
    let section = format!("token = \"{TOKEN}\"\nlocations = [\"/tmp\"]");
    let service = Service::serve_catalog(TABLETOPIC, &configured(lake, &section));
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parts/rck.py");
    let output = Command::new("python3")
        .arg(kit)
        .args([&url(&service), "--warehouse", "tabletopic"])
        .env("CATALOG_TOKEN", TOKEN)
        .output()
        .expect("python3 starts");
    let verdict: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(verdict["failed"], json!({}), "{verdict:#}");
    assert!(verdict["passed"].as_u64() > Some(90), "{verdict:#}");
    let left_out = verdict["skipped"].as_object().expect("an object").keys();
    let left_out: BTreeSet<&str> = left_out.map(String::as_str).collect();
    assert_eq!(left_out, BTreeSet::from(LEFT_OUT), "{verdict:#}");
    service.terminate();
}

#[test]
fn an_engine_commits_through_it_beside_the_ingest_and_neither_loses_anything() {
    neither_loses_anything(&Feed::new("engines", 2));
}

#[test]
fn an_engine_commits_to_a_database_through_it_and_neither_loses_anything() {
    let postgres = Postgres::start();
    let lake = Lake::in_postgres(&postgres, postgres.port);
    let topic = Topic::create("engines-of-a-database", 2, &[]);
    neither_loses_anything(&Feed::into(lake, topic, JSON));
}

fn neither_loses_anything(feed: &Feed) {
    serve(&feed.config, "");
    let first = feed.produce(400, &[]);
    let service = Service::run(TABLETOPIC, &feed.config, &["--serve-catalog"]);
    feed.wait_for_rows(&service, first);
    let url = url(&service);
    let (beside, appended) = thread::scope(|scope| {
        let producing = scope.spawn(|| feed.produce(2400, &["--rate", "600"]));
        let arguments = ["--uri", &url, "append", "--table", "shop.orders", "--times", "12"];
        let appended = must("rest", &arguments);
        (producing.join().expect("all are produced"), appended)
    });
    assert_eq!(appended["appended"], 12, "{appended:#}");
    feed.wait_for_rows(&service, first + beside);
    never_halted(&service.terminate());
    assert_eq!(feed.holds(&[])["readers"]["pyiceberg"]["foreign"], 12);
    feed.lake.must("audit", &[]);
}
