//! Other writers in the same table, which know nothing of us: nothing stands still, and nothing of either is lost.

use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use tabletopic_testkit::{Lake, Postgres, Service, Topic, eventually};

use crate::TABLETOPIC;
use crate::feed::{Feed, JSON, never_halted, reference};

#[test]
fn appends_beside_a_running_ingest_are_kept_with_ours() {
    appends_are_kept(&Feed::new("beside", 2));
}

#[test]
fn appends_by_another_client_of_the_database_are_kept_with_ours() {
    let postgres = Postgres::start();
    let lake = Lake::in_postgres(&postgres, postgres.port);
    let topic = Topic::create("beside-in-a-database", 2, &[]);
    appends_are_kept(&Feed::into(lake, topic, JSON));
}

/// PyIceberg appends in the same catalog, beside the ingest.
fn appends_are_kept(feed: &Feed) {
    let first = feed.produce(400, &[]);
    let service = feed.run();
    feed.wait_for_rows(&service, first);
    let beside = while_producing(feed, || {
        for _ in 0..2 {
            feed.lake.foreign(&["append", "--count", "3"]);
        }
    });
    feed.wait_for_rows(&service, first + beside);
    renewed(feed);
    goes_on(feed, service, first + beside);
    assert_eq!(feed.holds(&[])["readers"]["pyiceberg"]["foreign"], 6);
    feed.lake.must("audit", &[]);
}

#[test]
fn an_expired_append_under_an_idle_tag_without_files_is_no_rollback() {
    let feed = Feed::new("idle", 2);
    let first = feed.produce(400, &[]);
    let service = feed.run();
    feed.wait_for_rows(&service, first);
    // The renewal adds no file, so what `main` holds is all that tells that it is still there.
    feed.lake.foreign(&["append", "--count", "1"]);
    renewed(&feed);
    service.signal("STOP");
    append_twice_and_expire_the_first(&feed);
    service.signal("CONT");
    renewed(&feed);
    goes_on(&feed, service, first);
    assert_eq!(feed.holds(&[])["readers"]["pyiceberg"]["foreign"], 6);
    feed.lake.must("audit", &[]);
}

#[test]
fn an_expired_append_while_the_service_is_stopped_is_no_rollback() {
    let feed = Feed::new("stopped", 2);
    let first = feed.produce(400, &[]);
    feed.catch_up();
    append_twice_and_expire_the_first(&feed);
    feed.catch_up();
    goes_on(&feed, feed.run(), 0);
    let held = feed.holds(&[]);
    assert_eq!(held["readers"]["pyiceberg"]["foreign"], 5);
    assert_eq!(held["readers"]["pyiceberg"]["rows"], first + 300 + 5);
    feed.lake.must("audit", &[]);
}

#[test]
fn schema_changes_and_deletes_of_others_stay_and_lose_nothing() {
    let feed = with_columns("changed");
    let first = feed.produce(400, &[]);
    let service = feed.run();
    feed.wait_for_rows(&service, first);
    let beside = while_producing(&feed, || {
        feed.lake.foreign(&["add-column", "extra", "string"]);
        feed.lake.foreign(&["widen", "quantity", "long"]);
        feed.lake.foreign(&["delete", "--where", "_kafka_offset < 150"]);
    });
    feed.wait_for_rows(&service, first + beside);
    let more = feed.produce(300, &[]);
    feed.wait_for_rows(&service, first + beside + more);
    never_halted(&service.terminate());

    let told = changes(&feed);
    let theirs =
        json!({ "changed_by": "another writer", "topic": null, "offset": null, "committed_at": null });
    for change in [
        "add column extra string",
        "widen column quantity from int to long",
    ] {
        assert_eq!(told[change], theirs, "{told:#}");
    }
    assert_eq!(told.as_object().map(serde_json::Map::len), Some(2), "{told:#}");

    let columns = feed.show()["columns"].clone();
    assert_eq!(
        (&columns["quantity"], &columns["extra"]),
        (&"long".into(), &"string".into()),
        "{columns:#}"
    );
    feed.holds(&["--start", "0=150"]);
    feed.lake
        .must("audit", &["--audit", "duplicates", "--audit", "gaps"]);
}

/// The rows of `$schemas`, by what changed.
fn changes(feed: &Feed) -> Value {
    let query = r#"SELECT change, changed_by, topic, "offset", committed_at FROM "orders$schemas""#;
    let output = Command::new(TABLETOPIC)
        .args(["sql", "--output", "json", "-c", query, "--config"])
        .arg(&feed.config)
        .output()
        .expect("tabletopic starts");
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let by_change = rows.into_iter().map(|mut row| {
        let change = row["change"].as_str().expect("a text").to_owned();
        row.as_object_mut().expect("a row").remove("change");
        (change, row)
    });
    by_change.collect()
}

/// One partition, into a table whose columns can be widened; inference takes the widest type at once.
fn with_columns(name: &str) -> Feed {
    let feed = Feed::of(
        Topic::create(name, 1, &[]),
        &format!("{JSON}\nddl = \"orders.sql\""),
    );
    let ddl = "CREATE TABLE orders (id BIGINT, customer VARCHAR, amount DOUBLE, quantity INTEGER, paid BOOLEAN, \
               created_at TIMESTAMPTZ, note VARCHAR)";
    std::fs::write(feed.lake.path("orders.sql"), ddl).expect("it can be written");
    feed
}

/// Does something while records come in for a few seconds; answers how many of them become rows.
fn while_producing(feed: &Feed, act: impl FnOnce()) -> u64 {
    thread::scope(|scope| {
        let producing = scope.spawn(|| feed.produce(2400, &["--rate", "600"]));
        act();
        producing.join().expect("all are produced")
    })
}

/// Waits until the tag is on `main`'s head, whoever wrote there last.
fn renewed(feed: &Feed) {
    eventually("the tag on the head of `main`", || {
        let shown = feed.show();
        (reference(&shown, "main") == reference(&shown, "tabletopic")).then_some(())
    });
}

/// Two appends by somebody else, of which the first is expired: the chain from `main` to our tag is broken.
fn append_twice_and_expire_the_first(feed: &Feed) {
    let first = reference(&feed.lake.foreign(&["append", "--count", "2"]), "main");
    feed.lake.foreign(&["append", "--count", "3"]);
    let shown = feed.lake.foreign(&["expire", "--id", &first.to_string()]);
    assert_ne!(
        reference(&shown, "main"),
        reference(&shown, "tabletopic"),
        "the tag was renewed in between"
    );
    assert!(!feed.snapshots().contains(&first), "{first} was not expired");
}

/// The ingest takes more records beside the `rows` that it has committed, and leaves without ever having halted.
fn goes_on(feed: &Feed, service: Service, rows: u64) {
    let more = feed.produce(300, &[]);
    feed.wait_for_rows(&service, rows + more);
    never_halted(&service.terminate());
}
