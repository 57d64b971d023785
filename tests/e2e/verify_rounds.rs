//! `[verify]`: `run` verifies its tables beside the ingest, and what somebody has done to them is counted, logged once and
//! on the status page, while the ingest goes on.

use serde_json::Value;
use tabletopic_testkit::{Service, eventually};

use crate::admin::{address, administer, get};
use crate::feed::Feed;

/// A service that verifies its tables each second; every round as a whole, unless `whole_every` is longer.
fn verifying(feed: &Feed, whole_every: &str) -> (Service, String) {
    let section = format!("[verify]\nevery = \"1s\"\nwhole_every = \"{whole_every}\"\n\n[kafka]\n");
    feed.edit("[kafka]\n", &section);
    administer(&feed.config, "listen = \"127.0.0.1:0\"");
    let service = feed.run();
    let address = address(&service);
    (service, address)
}

/// A metric's value.
fn metric(address: &str, name: &str) -> Option<f64> {
    let (_, metrics) = get(address, "/metrics", "");
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok())
}

fn findings(address: &str, check: &str) -> Option<f64> {
    let name = format!("tabletopic_verify_findings{{check=\"{check}\",table=\"shop.orders\"}}");
    metric(address, &name)
}

/// The newest verdict, as the report has it.
fn verified(address: &str) -> Option<Value> {
    let (_, report) = get(address, "/status.json", "");
    let report: Value = serde_json::from_str(&report).ok()?;
    let verified = report["tables"][0]["verified"].clone();
    (!verified.is_null()).then_some(verified)
}

/// Waits for a round that began after the last one was told of.
fn one_more_round(address: &str) {
    let before = verified(address);
    let at = |verified: &Option<Value>| verified.as_ref().map(|verified| verified["at"].as_i64());
    eventually("another round", || {
        (at(&verified(address)) > at(&before)).then_some(())
    });
}

#[test]
fn a_row_that_is_gone_is_counted_and_told_once_and_halts_nothing() {
    let feed = Feed::new("verify-rounds", 2);
    let rows = feed.produce(200, &[]);
    let (service, address) = verifying(&feed, "1ms");
    feed.wait_for_rows(&service, rows);
    eventually("a proof", || {
        let proven = metric(
            &address,
            "tabletopic_verify_last_proven_timestamp_seconds{table=\"shop.orders\"}",
        );
        proven.filter(|at| *at > 0.0)
    });
    assert_eq!(findings(&address, "rows"), Some(0.0));
    assert!(!service.log().contains("verify found"), "{}", service.log());

    feed.lake.must("defects", &["row-removed-with-its-entry"]);
    eventually("a finding", || {
        findings(&address, "rows").filter(|found| *found > 0.0)
    });
    let log = service.says("verify found broker: lost: ");
    assert!(log.contains("verify found rows: missing: "), "{log}");
    service.says("`tabletopic verify shop.orders` has all of it");
    let verdict = verified(&address).expect("it was verified");
    assert!(verdict["findings"].as_u64() >= Some(2), "{verdict:#}");
    assert!(
        verdict["proven_at"].as_i64() < verdict["at"].as_i64(),
        "{verdict:#}"
    );
    let (_, page) = get(&address, "/", "");
    assert!(
        page.contains("<h1>shop.orders is not as it should be: "),
        "{page}"
    );
    assert!(page.contains("tabletopic verify shop.orders"), "{page}");

    let more = feed.produce(100, &[]);
    feed.wait_for_rows(&service, rows + more);
    one_more_round(&address);
    one_more_round(&address);
    let log = service.log();
    for kind in ["broker: lost: ", "rows: missing: ", "rows: fewer: "] {
        assert_eq!(log.matches(&format!("verify found {kind}")).count(), 1, "{log}");
    }
    assert_eq!(log.matches("has all of it").count(), 1, "{log}");
    service.terminate();
}

#[test]
fn rounds_go_on_from_what_was_found_good() {
    let feed = Feed::new("verify-rounds-since", 2);
    let rows = feed.produce(200, &[]);
    let (service, address) = verifying(&feed, "1h");
    feed.wait_for_rows(&service, rows);
    one_more_round(&address);
    one_more_round(&address);
    // What a whole round has seen is not looked at again: nobody notices that an older file is gone.
    feed.lake.must("defects", &["file-missing"]);
    one_more_round(&address);
    one_more_round(&address);
    assert_eq!(findings(&address, "files"), Some(0.0), "{}", service.log());
    service.terminate();
    // The first round of a process judges the whole table.
    let service = feed.run();
    let address = crate::admin::address(&service);
    eventually("a finding", || {
        findings(&address, "files").filter(|found| *found > 0.0)
    });
    service.says("verify found files: missing: ");
    service.terminate();
}
