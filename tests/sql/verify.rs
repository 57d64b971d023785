//! `verify` without a broker: on tables that were committed as the service commits them, with little memory, and on tables
//! of others.

use iceberg::TableIdent;
use serde_json::{Value, json};
use tabletopic_audit::verify::{Conclusion, Means, Name, Outcome, Progress, Verdict, verify};
use tabletopic_testkit::must;

use crate::lake::{TestLake, make, open};

struct Quiet;

impl Progress for Quiet {
    fn done(&self, _what: &'static str, _done: u64, _all: u64) {}
}

/// The verdict on `shop.orders` with so many bytes for bitmaps.
fn judged(lake: &TestLake, memory: usize) -> Verdict {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let lake = open(&lake.path("")).await;
        let means = Means {
            lake: &lake,
            brokers: Err("there is none".to_owned()),
            memory,
            progress: &Quiet,
        };
        let table = TableIdent::from_strs(["shop", "orders"]).unwrap();
        verify(&means, &table, None).await.unwrap()
    })
}

fn counted(verdict: &Verdict, name: Name) -> Value {
    let check = verdict.checks.iter().find(|check| check.name == name).unwrap();
    serde_json::to_value(&check.counted).unwrap()
}

#[test]
fn a_table_is_proven_in_one_window_and_in_many() {
    let lake = make();
    for memory in [1 << 20, 1] {
        let verdict = judged(&lake, memory);
        assert_eq!(verdict.conclusion, Conclusion::Proven, "{verdict:#?}");
        for check in verdict.checks.iter().filter(|check| check.name != Name::Broker) {
            assert_eq!(check.outcome, Outcome::Ok, "{verdict:#?}");
        }
    }
    let catalog = lake.path("catalog.db").display().to_string();
    let table = ["--catalog", &catalog, "--table", "shop.orders"];
    must("defects", &[&table[..], &["rows-appended-again"]].concat());
    must("defects", &[&table[..], &["row-removed-with-its-entry"]].concat());
    let (once, often) = (judged(&lake, 1 << 20), judged(&lake, 1));
    assert_eq!(once.conclusion, Conclusion::Differs);
    for name in [Name::Offsets, Name::Rows] {
        let found = counted(&once, name);
        assert_ne!(found, json!({}), "{once:#?}");
        assert_eq!(found, counted(&often, name));
    }
}

#[test]
fn of_a_table_of_others_the_files_are_judged_and_nothing_else() {
    let lake = make();
    let output = lake.tabletopic(&["verify", "shop.returns", "--offline", "--output", "json"]);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let outcomes = verdict["checks"].as_array().unwrap().iter();
    let outcomes: Vec<_> = outcomes
        .map(|check| (&check["name"], &check["outcome"]))
        .collect();
    let files = outcomes.iter().find(|(name, _)| *name == "files").unwrap();
    assert_eq!(files.1, "ok", "{verdict:#}");
    let others = outcomes.iter().filter(|(name, _)| *name != "files");
    assert!(
        others.clone().all(|(_, outcome)| *outcome == "not_checked"),
        "{verdict:#}"
    );
    assert_eq!(others.count(), 6);
}

#[test]
fn a_person_reads_a_line_for_each_check_and_one_sentence() {
    let lake = make();
    let output = lake.tabletopic(&["verify", "shop.orders", "--offline"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("shop.orders: snapshot "), "{said}");
    for name in [
        "history",
        "ledger",
        "files",
        "offsets",
        "rows",
        "dead-letters",
        "broker",
    ] {
        assert!(said.contains(&format!("\n  {name} ")), "{said}");
    }
    let last = said.trim().lines().last().unwrap();
    assert!(last.contains("rests on the table alone"), "{said}");

    let output = lake.tabletopic(&["verify", "shop.nothing", "--offline"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = lake.tabletopic(&["verify", "shop.orders", "--offline", "--since", "42"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
