//! Somebody sets `main` back to an older snapshot: the table halts, says which commands go on, and each of them
//! leaves every record once, or declared lost.

use serde_json::Value;
use tabletopic_testkit::Service;

use crate::feed::{Feed, POISON, REASON};

/// A feed whose table was rolled back to where its first records were committed.
struct RolledBack {
    feed: Feed,
    /// Rows of the records that the rollback removed.
    removed: u64,
    /// The snapshots that it removed.
    abandoned: Vec<i64>,
}

impl RolledBack {
    /// Rolls a table back that holds `kept` rows. More records arrive in it first, through `service` if it runs.
    fn new(feed: Feed, kept: u64, service: Option<&Service>, more: &[&str]) -> Self {
        let before = feed.tagged();
        let older = feed.snapshots();
        let removed = feed.produce(600, more);
        match service {
            Some(service) => feed.wait_for_rows(service, kept + removed),
            None => feed.catch_up(),
        }
        let abandoned = feed
            .snapshots()
            .into_iter()
            .filter(|id| !older.contains(id))
            .collect();
        feed.lake.foreign(&["rollback", "--to", &before.to_string()]);
        Self {
            feed,
            removed,
            abandoned,
        }
    }

    /// The answer has removed what nobody may cherry-pick back.
    fn forgot_the_abandoned(&self) {
        let now = self.feed.snapshots();
        assert!(
            !self.abandoned.is_empty() && self.abandoned.iter().all(|id| !now.contains(id)),
            "{now:?}"
        );
    }
}

/// What a halted run says: what was seen, and both commands.
fn names_the_answers(log: &str) {
    for words in [
        "Somebody rolled the table back",
        "resolve shop.orders --rewind",
        "resolve shop.orders --declare-lost",
    ] {
        assert!(log.contains(words), "{words:?} is missing in:\n{log}");
    }
}

#[test]
fn a_rewind_reads_again_what_a_rollback_removed_while_the_service_runs() {
    let feed = Feed::new("rewound", 2);
    let kept = feed.produce(600, POISON);
    let service = feed.run();
    feed.wait_for_rows(&service, kept);
    let rolled_back = RolledBack::new(feed, kept, Some(&service), POISON);
    let RolledBack { feed, removed, .. } = &rolled_back;
    names_the_answers(&service.says("halted=table shop.orders"));
    let after = feed.produce(300, POISON);

    let metadata = feed.show()["metadata"].clone();
    let (code, said) = feed.resolve(&["--rewind", "--dry-run"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("what this does:") && said.contains("goes on at offset"),
        "{said}"
    );
    let (code, said) = feed.resolve(&["--rewind"]);
    assert_eq!(code, 1, "nobody can say yes: {said}");
    assert!(said.contains("nothing was done: add --yes"), "{said}");
    assert_eq!(feed.show()["metadata"], metadata, "looking changes nothing");

    feed.answer(&["--rewind"]);
    service.says("this halt is over");
    feed.wait_for_rows(&service, kept + removed + removed + after);
    service.terminate();

    feed.holds(&[]);
    feed.lake.is_sound();
    rolled_back.forgot_the_abandoned();
    assert_in_ledger(&feed.ledger("rewind"));
}

#[test]
fn declared_lost_is_what_a_rollback_removed_and_nothing_else() {
    let feed = Feed::new("given-up", 1);
    let kept = feed.produce(600, POISON);
    let service = feed.run();
    feed.wait_for_rows(&service, kept);
    let rolled_back = RolledBack::new(feed, kept, Some(&service), &[]);
    let RolledBack { feed, removed, .. } = &rolled_back;
    names_the_answers(&service.says("halted=table shop.orders"));

    let said = feed.answer(&["--declare-lost"]);
    let without_row = 600 - kept + removed;
    assert!(
        said.contains(&format!("{without_row} offsets are declared lost")),
        "{said}"
    );
    service.says("this halt is over");
    let after = feed.produce(300, POISON);
    feed.wait_for_rows(&service, kept + removed + after);
    service.terminate();

    feed.holds(&["--lost", "0=600-1200"]);
    feed.lake.is_sound();
    rolled_back.forgot_the_abandoned();
    let ledger = feed.ledger("declare-lost");
    assert_in_ledger(&ledger);
    let number = |row: &Value, column: &str| row[column].as_u64().expect("a number");
    assert_eq!(
        ledger.iter().map(|row| number(row, "lost")).sum::<u64>(),
        without_row,
        "{ledger:#?}"
    );
    let names = |row: &&Value| number(row, "start_offset") <= 600 && number(row, "end_offset") == 1200;
    assert_eq!(ledger.iter().filter(names).count(), 1, "{ledger:#?}");
}

#[test]
fn a_rollback_while_the_service_is_stopped_ends_a_run_to_the_end_with_exit_code_4() {
    let feed = Feed::new("asleep", 2);
    let kept = feed.produce(600, POISON);
    feed.catch_up();
    let rolled_back = RolledBack::new(feed, kept, None, POISON);
    let feed = &rolled_back.feed;
    let (code, log) = feed.run_until_end();
    assert_eq!(code, 4, "{log}");
    names_the_answers(&log);
    feed.answer(&["--rewind"]);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
    rolled_back.forgot_the_abandoned();
}

#[test]
fn a_tag_that_somebody_removed_is_set_back_and_what_they_rolled_back_is_read_again() {
    let feed = Feed::new("untagged", 1);
    let kept = feed.produce(600, POISON);
    feed.catch_up();
    let rolled_back = RolledBack::new(feed, kept, None, POISON);
    let feed = &rolled_back.feed;
    let stood_at = feed.tagged();
    feed.lake.foreign(&["remove-tag", "tabletopic"]);
    let (code, log) = feed.run_until_end();
    assert_eq!(code, 4, "{log}");
    assert!(log.contains("its tag `tabletopic` is gone"), "{log}");
    assert!(log.contains("resolve shop.orders --rewind"), "{log}");

    let sets_it = format!("set back to our newest snapshot {stood_at}");
    let (code, said) = feed.resolve(&["--rewind", "--dry-run"]);
    assert!(code == 0 && said.contains(&sets_it), "{code}: {said}");
    assert_eq!(
        feed.show()["refs"]["tabletopic"],
        Value::Null,
        "looking sets nothing"
    );
    let said = feed.answer(&["--rewind"]);
    assert!(said.contains(&sets_it), "{said}");
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.is_sound();
    rolled_back.forgot_the_abandoned();
}

#[test]
fn a_tag_is_set_back_under_a_running_service_which_goes_on() {
    let feed = Feed::new("retagged", 1);
    let first = feed.produce(300, &[]);
    let service = feed.run();
    feed.wait_for_rows(&service, first);
    feed.lake.foreign(&["remove-tag", "tabletopic"]);
    let second = feed.produce(300, &[]);
    service.says("halted=table shop.orders");
    feed.answer(&["--rewind"]);
    service.says("this halt is over");
    feed.wait_for_rows(&service, first + second);
    service.terminate();
    feed.holds(&[]);
    feed.lake.is_sound();
}

#[test]
fn a_tag_that_was_removed_above_an_expired_snapshot_is_not_guessed() {
    let feed = Feed::new("unproven", 1);
    feed.produce(100, &[]);
    feed.catch_up();
    feed.lake.foreign(&["append"]);
    let newest = feed.tagged();
    feed.lake.foreign(&["remove-tag", "tabletopic"]);
    feed.lake.foreign(&["expire", "--id", &newest.to_string()]);
    let metadata = feed.show()["metadata"].clone();
    let (code, said) = feed.resolve(&["--rewind", "--yes"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("was expired, which may have been ours"), "{said}");
    assert_eq!(feed.show()["metadata"], metadata, "nothing was changed");
}

#[test]
fn an_answer_where_nothing_is_wrong_is_refused() {
    let feed = Feed::new("sound", 1);
    feed.produce(100, &[]);
    feed.catch_up();
    let metadata = feed.show()["metadata"].clone();
    for answer in ["--rewind", "--declare-lost", "--adopt-topic"] {
        let (code, said) = feed.resolve(&[answer, "--yes"]);
        assert_eq!(code, 1, "{answer}: {said}");
        assert!(said.contains("there is nothing to resolve"), "{answer}: {said}");
    }
    let (code, said) = feed.resolve_table("shop.order", &["--rewind", "--yes"]);
    assert_ne!(code, 0, "{said}");
    assert!(
        said.contains("no topic of the configuration feeds table shop.order; it has: shop.orders"),
        "{said}"
    );
    assert_eq!(
        feed.show()["metadata"],
        metadata,
        "a refused answer changes nothing"
    );
}

/// The command stands in the ledger for good, with the interval that it abandoned and the operator's words.
fn assert_in_ledger(rows: &[Value]) {
    assert!(!rows.is_empty(), "no row of the command");
    let told = |row: &Value| row["reason"] == REASON && row["abandons_since"].is_i64();
    assert!(rows.iter().all(told), "{rows:#?}");
}
