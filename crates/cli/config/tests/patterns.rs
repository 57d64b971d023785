//! Topics by pattern: who takes which topic, and into which table.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::config::Matched;

const HEAD: &str = r#"
kafka.bootstrap = "localhost:9092"
catalog = { type = "sqlite", uri = "c.db", warehouse = "w" }
"#;

fn config(topics: &str) -> Config {
    parse(&format!("{HEAD}{topics}")).unwrap()
}

fn refused(topics: &str) -> String {
    parse(&format!("{HEAD}{topics}")).unwrap_err()
}

/// What becomes of topics with these names: `topic table` of those that are taken, `topic: reason` of the others.
fn taken(config: &Config, names: &[&str], running: &[&str]) -> (Vec<String>, Vec<String>) {
    let names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
    let running: BTreeSet<Arc<str>> = running.iter().map(|name| Arc::from(*name)).collect();
    let Matched { topics, refused } = config.matched(&names, &running);
    let topics = topics
        .iter()
        .map(|topic| format!("{} {}", topic.name, topic.table));
    (topics.collect(), refused.into_values().collect())
}

const SHOP: &str = r#"
[[topic]]
pattern = '^shop\.'
table = "lake.${topic}"
format = "json"
event_time = "created_at"
"#;

#[test]
fn each_topic_that_matches_has_the_patterns_settings_and_a_table_of_its_own() {
    let config = config(SHOP);
    assert_eq!(config.topics, []);
    let (taken, refused) = taken(
        &config,
        &["bookshop.x", "shop.orders", "shop.order-lines", "shop.v1.x"],
        &[],
    );
    assert_eq!(
        taken,
        [
            "shop.orders lake.shop_orders",
            "shop.order-lines lake.shop_order-lines",
            "shop.v1.x lake.shop_v1_x"
        ]
    );
    assert_eq!(refused, Vec::<String>::new());

    let Matched { topics, .. } = config.matched(&["shop.orders".into()], &BTreeSet::new());
    let orders = &topics[0];
    assert_eq!(orders.job, "shop.orders");
    assert_eq!(orders.decode.topic, "shop.orders");
    assert_eq!(orders.decode.event_time.as_deref(), Some("created_at"));
    assert_eq!(orders.partition_by.fields(), ["day(created_at)"]);
}

#[test]
fn a_pattern_matches_anywhere_unless_it_is_anchored() {
    let config = config("[[topic]]\npattern = \"orders\"\ntable = \"lake.all\"\nformat = \"raw\"");
    let (taken, _) = taken(&config, &["orders", "payments", "reorders-x"], &[]);
    assert_eq!(taken, ["orders lake.all", "reorders-x lake.all"]);
}

#[test]
fn a_topic_with_a_section_of_its_own_is_not_the_patterns() {
    let named = "[[topic]]\nname = \"shop.payments\"\ntable = \"money.${topic}\"\nformat = \"json\"";
    let config = config(&format!("{SHOP}{named}"));
    assert_eq!(config.topics[0].table.to_string(), "money.shop_payments");
    let (taken, _) = taken(&config, &["shop.orders", "shop.payments"], &[]);
    assert_eq!(taken, ["shop.orders lake.shop_orders"]);
}

#[test]
fn the_first_pattern_that_matches_takes_the_topic() {
    let catch_all = "[[topic]]\npattern = \".*\"\ntable = \"rest.${topic}\"\nformat = \"raw\"";
    let config = config(&format!("{SHOP}{catch_all}"));
    let (taken, _) = taken(&config, &["audit", "shop.orders"], &[]);
    assert_eq!(taken, ["audit rest.audit", "shop.orders lake.shop_orders"]);
}

#[test]
fn topics_are_never_merged_by_their_names() {
    let config = config(SHOP);
    let names = ["shop.a.b", "shop.a_b", "shop.c"];
    let (both, refused) = taken(&config, &names, &[]);
    assert_eq!(both, ["shop.c lake.shop_c"]);
    assert_eq!(
        refused,
        [
            "topic shop.a.b is not read: `${topic}` would give it table lake.shop_a_b, which is that of topic \
             shop.a_b; give it a [[topic]] with name = \"shop.a.b\" and a table of its own",
            "topic shop.a_b is not read: `${topic}` would give it table lake.shop_a_b, which is that of topic \
             shop.a.b; give it a [[topic]] with name = \"shop.a_b\" and a table of its own",
        ]
    );

    // One that appears later does not disturb the one that is read.
    let (running, refused) = taken(&config, &names, &["shop.a.b", "shop.c"]);
    assert_eq!(running, ["shop.a.b lake.shop_a_b", "shop.c lake.shop_c"]);
    assert_eq!(refused.len(), 1);
    assert!(refused[0].starts_with("topic shop.a_b "), "{}", refused[0]);
}

#[test]
fn a_topic_is_not_merged_into_a_table_that_has_a_topic_already() {
    let named =
        "[[topic]]\nname = \"legacy\"\ntable = \"lake.shop_orders\"\nformat = \"json\"\njob = \"shop.x\"";
    let config = config(&format!("{SHOP}{named}"));
    let (taken, refused) = taken(&config, &["shop.orders", "shop.x", "shop.y"], &[]);
    assert_eq!(taken, ["shop.y lake.shop_y"]);
    assert!(
        refused[0].contains("table lake.shop_orders, which is that of topic legacy"),
        "{}",
        refused[0]
    );
    assert!(
        refused[1].contains("`shop.x` is the job of topic legacy"),
        "{}",
        refused[1]
    );
}

#[test]
fn a_topic_whose_table_would_be_a_follower_is_refused() {
    let config = config("[[topic]]\npattern = \".\"\ntable = \"lake.${topic}\"\nformat = \"raw\"");
    let (taken, refused) = taken(&config, &["orders", "orders__ledger"], &[]);
    assert_eq!(taken, ["orders lake.orders"]);
    assert!(
        refused[0].contains("write one that does not end in __ledger"),
        "{}",
        refused[0]
    );
}

#[test]
fn what_does_not_go_with_a_pattern_is_refused() {
    let section = |lines: &str| format!("[[topic]]\n{lines}\ntable = \"lake.t\"\nformat = \"raw\"");
    let cases = [
        ("pattern = \"\"", "is empty; write a regular expression"),
        (
            "pattern = \"shop(\"",
            "`shop(` is not a regular expression: unclosed group",
        ),
        ("name = \"a\"\npattern = \"b\"", "it has a name already"),
        (
            "pattern = \"b\"\njob = \"j\"",
            "every topic of a pattern is a job of its own",
        ),
        (
            "pattern = \"b\"\npartitions = [0]",
            "the group shares the partitions out",
        ),
        (
            "name = \"${topic}\"",
            "`${topic}` may stand in a topic's `table` only",
        ),
        ("patern = \"b\"", "pattern"),
    ];
    for (lines, message) in cases {
        let said = refused(&section(lines));
        assert!(said.contains(message), "{lines}: {said}");
    }
    let fixed = refused(&format!(
        "kafka.assignment = \"static\"\n{}",
        section("pattern = \"b\"")
    ));
    assert!(fixed.contains("write the topics by name"), "{fixed}");
}

#[test]
fn the_brokers_are_not_asked_all_the_time() {
    let asked = |interval: &str| {
        parse(&SMALLEST.replacen("[kafka]", &format!("[kafka]\ntopic_refresh = \"{interval}\""), 1))
    };
    assert_eq!(asked("5s").unwrap().kafka.topic_refresh, Duration::from_secs(5));
    let said = asked("20ms").unwrap_err();
    assert!(said.contains("too often for the brokers"), "{said}");
}
