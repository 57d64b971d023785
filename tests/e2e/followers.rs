//! Somebody drops one of the tables beside the main one, or the main one and not these. The main table never suffers,
//! what is lost is said, and nothing has to be repaired by hand inside of a table.

use serde_json::Value;

use crate::feed::{Feed, POISON};

const LETTERS: &str = "shop.orders__dead_letters";
const LEDGER: &str = "shop.orders__ledger";

fn drop_table(feed: &Feed, table: &str) {
    feed.lake.foreign(&["--table", table, "drop"]);
}

/// Two runs, so that the main table knows what its followers hold, and has let go of it.
fn begun(name: &str) -> Feed {
    let feed = Feed::new(name, 2);
    for _ in 0..2 {
        feed.produce(400, POISON);
        feed.catch_up();
    }
    feed
}

#[test]
fn a_ledger_that_was_dropped_is_begun_anew_and_says_what_is_missing_from_it() {
    let feed = begun("dropped-ledger");
    let known = feed.lake.must("ledger", &[])["rows"].clone();
    let before = known.as_array().expect("rows").last().expect("a row")["sequence_number"].clone();
    drop_table(&feed, LEDGER);

    feed.produce(400, POISON);
    let (code, log) = feed.run_until_end();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("it was gone and is begun anew"), "{log}");
    feed.holds(&[]);

    let ledger = feed.lake.must("ledger", &[]);
    let rows = ledger["rows"].as_array().expect("rows");
    assert_eq!(
        (&rows[0]["kind"], &rows[0]["job"]),
        (&"maintenance".into(), &Value::Null),
        "{ledger:#}"
    );
    let reason = rows[0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("the ledger was gone"), "{reason}");
    assert!(
        rows[0]["sequence_number"].as_i64() < before.as_i64(),
        "{ledger:#}"
    );
    // What had not been let go of is there again, and everything after it.
    assert_eq!(
        rows.iter().filter(|row| row["sequence_number"] == before).count(),
        2,
        "{ledger:#}"
    );
    assert_eq!(rows.last().map(|row| &row["kind"]), Some(&"append".into()));

    let (code, found) = feed.lake.ask("audit", &["--audit", "gaps"]);
    assert_eq!(code, 3, "an auditor has to see it: {found:#}");
    assert!(found.to_string().contains("begun anew"), "{found:#}");
}

#[test]
fn a_dead_letter_table_that_is_dropped_while_it_is_in_use_is_made_again() {
    let feed = begun("dropped-letters");
    let service = feed.run();
    let rows = feed.produce(200, POISON);
    feed.wait_for_rows(&service, rows);
    drop_table(&feed, LETTERS);
    let more = feed.produce(400, POISON);
    feed.wait_for_rows(&service, rows + more);
    service.says("it was gone and is begun anew");
    service.terminate();

    let letters = feed.lake.must("foreign", &["--table", LETTERS, "show"]);
    let newest = letters["snapshots"]
        .as_array()
        .and_then(|snapshots| snapshots.last())
        .expect("a snapshot");
    assert_ne!(newest["summary"]["total-records"], "0", "{letters:#}");
    let (code, found) = feed.lake.ask("audit", &["--audit", "counts"]);
    assert_eq!(code, 3, "letters are missing: {found:#}");
}

#[test]
fn a_main_table_that_was_dropped_alone_is_not_mixed_with_what_is_left_of_it() {
    let feed = begun("dropped-main");
    drop_table(&feed, &feed.lake.table);
    let (code, log) = feed.run_until_end();
    assert_eq!(code, 4, "the table is complete, its followers stand still: {log}");
    for table in [LETTERS, LEDGER] {
        let words = format!("table {table}: it belongs to an earlier shop.orders");
        assert!(log.contains(&words), "{words:?} is missing in:\n{log}");
    }

    let service = feed.run();
    service.says("it belongs to an earlier shop.orders");
    drop_table(&feed, LETTERS);
    drop_table(&feed, LEDGER);
    service.says("scope=table shop.orders__ledger");
    service.terminate();
    feed.holds(&[]);
    feed.lake.is_sound();
}
