//! A replay takes its table's place: its rows, columns and dead letters, in one commit; ingest goes on where it ends, and a
//! rollback takes it back.

use std::time::Duration;

use serde_json::json;
use tabletopic_testkit::Service;

use crate::TABLETOPIC;
use crate::feed::{Feed, POISON, REASON, never_halted, reference};
use crate::replay::files_of;

fn columns(feed: &Feed) -> Vec<String> {
    let rows = feed.done(&["sql", "-c", "SELECT * FROM shop.orders LIMIT 1"]);
    let row = rows[0].as_object().expect("a row");
    row.keys().cloned().collect()
}

fn is_proven_by_us(feed: &Feed) {
    let verdict = feed.done(&["verify", "shop.orders"]);
    assert_eq!(verdict["conclusion"], "proven", "{verdict:#}");
}

/// The table says of itself, by our own judge and by DuckDB, that nothing is missing, doubled or miscounted.
fn is_proven(feed: &Feed) {
    is_proven_by_us(feed);
    feed.lake.must("audit", &[]);
    feed.lake.is_sound();
}

const WITHOUT_NOTE: [&str; 2] = ["--set", "columns.drop=[\"note\"]"];

#[test]
fn another_mapping_takes_the_tables_place_and_can_be_taken_back() {
    let feed = Feed::new("promote", 2);
    let first = feed.produce(800, POISON);
    feed.catch_up();
    let before = feed.tagged();
    assert!(
        columns(&feed).contains(&"note".to_owned()),
        "{:?}",
        columns(&feed)
    );
    let replay = [
        &["replay", "--into", "try", "--same-as", "shop.orders"][..],
        &WITHOUT_NOTE,
    ]
    .concat();
    feed.done(&replay);
    // The table is ahead of the replay meanwhile.
    let more = feed.produce(300, POISON);
    feed.catch_up();

    let metadata = feed.show()["metadata"].clone();
    let would = feed.done(&["promote", "try.orders", "--dry-run"]);
    assert_eq!(
        would["rows"],
        json!({ "before": first + more, "after": first }),
        "{would:#}"
    );
    let (code, _, said) = feed.ran(&["promote", "try.orders"]);
    assert_eq!(code, 1, "nobody can say yes: {said}");
    let (code, _, said) = feed.ran(&["promote", "shop.orders", "--yes"]);
    assert_eq!(code, 2, "{said}");
    assert_eq!(feed.show()["metadata"], metadata, "looking changes nothing");

    feed.done(&["promote", "try.orders", "--yes", "--reason", REASON]);
    assert_eq!(
        feed.done(&["replays"])["replays"],
        json!([]),
        "it is the table now"
    );
    assert!(
        !columns(&feed).contains(&"note".to_owned()),
        "{:?}",
        columns(&feed)
    );
    let rows = feed.done(&["sql", "-c", "SELECT count(*) AS n FROM shop.orders"]);
    assert_eq!(rows, json!([{ "n": first }]));
    // A later replay lies elsewhere, and takes nothing along when it is dropped.
    feed.done(&[&["replay", "--into", "try"][..], &WITHOUT_NOTE].concat());
    feed.done(&["replays", "--drop", "try", "--yes"]);
    feed.edit(
        "[topic.commit]",
        "[topic.columns]\ndrop = [\"note\"]\n\n[topic.commit]",
    );
    feed.catch_up();
    let ledger = feed.ledger("replace");
    assert!(
        ledger.iter().any(|row| row["reason"]
            .as_str()
            .is_some_and(|words| words.ends_with(REASON))),
        "{ledger:#?}"
    );
    is_proven(&feed);
    feed.done(&["replay", "--into", "again"]);
    let same = feed.done(&["compare", "shop.orders", "again.orders"]);
    assert_eq!(same["verdict"], "equal", "{same:#}");
    let same = feed.done(&[
        "compare",
        "shop.orders__dead_letters",
        "again.orders__dead_letters",
    ]);
    assert_eq!(same["verdict"], "equal", "{same:#}");

    // The dead letters of before come back with the rows.
    let drop = "[topic.columns]\ndrop = [\"note\"]\n\n";
    feed.edit(drop, "");
    let files = files_of(&feed, "shop");
    feed.done(&[
        "rollback",
        "shop.orders",
        "--to",
        &before.to_string(),
        "--dry-run",
    ]);
    assert_eq!(files_of(&feed, "shop"), files, "looking writes nothing");
    feed.done(&["rollback", "shop.orders", "--to", &before.to_string(), "--yes"]);
    is_proven_by_us(&feed);
    feed.catch_up();
    is_proven(&feed);
    feed.holds(&[]);
}

#[test]
fn a_promote_is_taken_back_with_the_columns_of_before() {
    let feed = Feed::new("promote-back", 1);
    feed.produce(300, &[]);
    feed.catch_up();
    let before = feed.tagged();
    feed.produce(100, &[]);
    feed.catch_up();
    let ahead = feed.tagged();
    feed.done(
        &[
            &["replay", "--into", "try", "--same-as", "shop.orders"][..],
            &WITHOUT_NOTE,
        ]
        .concat(),
    );
    feed.done(&["promote", "try.orders", "--yes"]);
    assert!(
        !columns(&feed).contains(&"note".to_owned()),
        "{:?}",
        columns(&feed)
    );
    // Back to what the table was, as if there had been no replay; and further.
    for then in [ahead, before] {
        feed.done(&["rollback", "shop.orders", "--to", &then.to_string(), "--yes"]);
        assert!(
            columns(&feed).contains(&"note".to_owned()),
            "{:?}",
            columns(&feed)
        );
    }
    feed.catch_up();
    is_proven(&feed);
    feed.holds(&[]);
}

#[test]
fn what_the_history_has_lost_is_said_before_and_lost_only_if_somebody_says_so() {
    let feed = Feed::new("promote-lost", 1);
    feed.keep_history();
    feed.produce(100, &[]);
    feed.catch_up();
    let of_history = |arguments: &[&str]| {
        let named = ["--table", "raw.orders"];
        feed.lake.foreign(&[&named[..], arguments].concat())
    };
    let then = reference(&of_history(&["show"]), "tabletopic").to_string();
    feed.produce(100, &[]);
    feed.catch_up();
    let before = feed.tagged();
    // The history loses the second hundred, which the table has.
    of_history(&["rollback", "--to", &then]);
    let (code, said) = feed.resolve_table("raw.orders", &["--declare-lost", "--yes"]);
    assert_eq!(code, 0, "{said}");
    feed.produce(100, &[]);
    feed.catch_up();

    let replay = [
        "replay",
        "shop.orders",
        "--into",
        "try",
        "--history",
        "raw.orders",
        "--without-topic",
    ];
    let would = feed.done(&[&replay[..], &["--dry-run"]].concat());
    let lost = json!([{ "partition": 0, "start": 100, "end": 200 }]);
    assert_eq!(would["jobs"][0]["lost"], lost, "{would:#}");
    let replayed = feed.done(&replay);
    assert_eq!(replayed["tables"][0]["rows"], 200, "{replayed:#}");
    let metadata = feed.show()["metadata"].clone();
    let would = feed.done(&["promote", "try.orders", "--dry-run"]);
    assert_eq!(
        (&would["lost"][0]["start"], &would["lost"][0]["end"]),
        (&json!(100), &json!(200)),
        "{would:#}"
    );
    let (code, _, said) = feed.ran(&["promote", "try.orders", "--yes"]);
    assert_eq!(code, 1, "{said}");
    let lost = format!("has lost these offsets: {}/0 from 100 to 199", feed.topic.name);
    assert!(said.contains(&lost), "{said}");
    assert!(said.contains("add --declare-lost"), "{said}");
    assert_eq!(feed.show()["metadata"], metadata, "nothing was done");
    let listed = feed.done(&["replays"])["replays"].clone();
    assert_eq!(listed[0]["table"], "try.orders", "{listed:#}");

    let did = feed.done(&["promote", "try.orders", "--declare-lost", "--yes"]);
    assert_eq!(did["partitions"][0]["lost"], 100, "{did:#}");
    feed.catch_up();
    is_proven(&feed);
    feed.holds(&["--lost", "0=100-200"]);
    // What is lost already is no news.
    feed.done(&replay);
    feed.done(&["promote", "try.orders", "--yes"]);
    feed.catch_up();
    is_proven(&feed);
    feed.holds(&["--lost", "0=100-200"]);
    // And all is there again where the table goes back.
    feed.done(&["rollback", "shop.orders", "--to", &before.to_string(), "--yes"]);
    feed.catch_up();
    is_proven(&feed);
    feed.holds(&[]);
}

#[test]
fn a_service_goes_on_where_the_replay_ends() {
    let feed = Feed::new("promote-live", 2);
    feed.commit_often();
    let first = feed.produce(500, POISON);
    let service = feed.run();
    feed.wait_for_rows(&service, first);
    feed.done(&["replay", "--into", "same", "--same-as", "shop.orders"]);
    let more = feed.produce(400, POISON);
    feed.wait_for_rows(&service, first + more);
    feed.done(&["promote", "same.orders", "--yes"]);
    feed.wait_for_rows(&service, first + 2 * more);
    let last = feed.produce(100, POISON);
    feed.wait_for_rows(&service, first + 2 * more + last);
    never_halted(&service.terminate());
    is_proven(&feed);
    feed.holds(&[]);
}

#[test]
fn whoever_dies_in_between_leaves_the_old_table_or_the_new_one() {
    let feed = Feed::new("promote-killed", 1);
    let first = feed.produce(300, POISON);
    feed.catch_up();
    let old = feed.tagged();
    feed.done(
        &[
            &["replay", "--into", "try", "--same-as", "shop.orders"][..],
            &WITHOUT_NOTE,
        ]
        .concat(),
    );
    let mut kills = 0;
    // The later the process dies, the further it has come; at last it is done.
    for delay in (0..).map(|step| Duration::from_millis(8 * step)) {
        let mut promote = Service::command(TABLETOPIC, &feed.config, &["promote", "try.orders", "--yes"]);
        std::thread::sleep(delay);
        let died = promote.is_running();
        if died {
            promote.kill();
            kills += 1;
        }
        let has_note = columns(&feed).contains(&"note".to_owned());
        assert_eq!(
            feed.tagged() == old,
            has_note,
            "the old table whole, or the new one"
        );
        let rows = feed.done(&["sql", "-c", "SELECT count(*) AS n FROM shop.orders"]);
        assert_eq!(rows, json!([{ "n": first }]));
        if !has_note {
            break;
        }
    }
    assert!(kills > 2, "it was killed {kills} times");
    // What is left of the replay goes, and takes nothing of the table along.
    for left in feed.done(&["replays"])["replays"].as_array().expect("a list") {
        assert_eq!(left["table"], "try.orders");
        feed.done(&["replays", "--drop", "try", "--yes"]);
    }
    feed.edit(
        "[topic.commit]",
        "[topic.columns]\ndrop = [\"note\"]\n\n[topic.commit]",
    );
    feed.catch_up();
    is_proven(&feed);
}
