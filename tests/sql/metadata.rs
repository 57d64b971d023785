//! Metadata tables and time travel.

use serde_json::{Value, json};

use crate::lake::lake;

#[test]
fn snapshots_history_and_refs_tell_of_the_same_commits() {
    let lake = lake();
    let snapshots = lake
        .rows(r#"SELECT snapshot_id, parent_id, operation FROM "orders$snapshots" ORDER BY committed_at"#);
    // The anchor, three appends, and the change of the schema.
    assert_eq!(snapshots.len(), 5, "{snapshots:?}");
    assert_eq!(snapshots[0]["parent_id"], Value::Null);
    for pair in snapshots.windows(2) {
        assert_eq!(pair[1]["parent_id"], pair[0]["snapshot_id"]);
    }
    let history = lake
        .rows(r#"SELECT snapshot_id, is_current_ancestor FROM "orders$history" ORDER BY made_current_at"#);
    assert_eq!(history.len(), 5);
    assert!(history.iter().all(|entry| entry["is_current_ancestor"] == true));
    let refs = lake.rows(r#"SELECT name, type, snapshot_id FROM "orders$refs" ORDER BY name"#);
    let newest = &snapshots[4]["snapshot_id"];
    assert_eq!(
        refs,
        [
            json!({ "name": "main", "type": "BRANCH", "snapshot_id": newest }),
            json!({ "name": "tabletopic", "type": "TAG", "snapshot_id": newest }),
        ]
    );
    assert_eq!(
        lake.value(
            r#"SELECT summary['added-records'] FROM "orders$snapshots" ORDER BY committed_at DESC LIMIT 1"#
        ),
        "100"
    );
}

#[test]
fn files_and_partitions_add_up_to_the_table() {
    let lake = lake();
    let files = lake.rows(
        r#"SELECT count(*) AS files, sum(record_count) AS records, min("partition") AS first FROM "orders$files""#,
    );
    assert_eq!(
        files,
        [json!({ "files": 11, "records": 1100, "first": "created_at_day=2026-01-01" })]
    );
    let partitions = lake.rows(
        r#"SELECT count(*) AS partitions, min(record_count) AS least, max(record_count) AS most FROM "orders$partitions""#,
    );
    assert_eq!(
        partitions,
        [json!({ "partitions": 11, "least": 100, "most": 100 })]
    );
    let manifests =
        lake.rows(r#"SELECT sum(added_files_count + existing_files_count) AS files FROM "orders$manifests""#);
    assert_eq!(manifests, [json!({ "files": 11 })]);
    let contents = lake.rows(
        r#"SELECT content, count(*) AS files, sum(record_count) AS records FROM "returns$files" GROUP BY content ORDER BY content"#,
    );
    assert_eq!(
        contents,
        [
            json!({ "content": "data", "files": 3, "records": 1001 }),
            json!({ "content": "equality deletes", "files": 2, "records": 5 }),
            json!({ "content": "position deletes", "files": 1, "records": 7 }),
        ]
    );
}

#[test]
fn offsets_are_those_of_the_ledger_and_of_what_it_does_not_hold_yet() {
    let lake = lake();
    let columns = r#"kind, topic, "partition", start_offset, end_offset, "rows""#;
    let all = lake.rows(&format!(
        r#"SELECT {columns} FROM "orders$offsets" ORDER BY sequence_number"#
    ));
    let range = |kind: &str, start: i64, end: i64| {
        json!({
            "kind": kind, "topic": "orders", "partition": 0,
            "start_offset": start, "end_offset": end, "rows": end - start,
        })
    };
    let expected = [
        range("anchor", 0, 0),
        range("append", 0, 500),
        range("append", 500, 1000),
        range("append", 1000, 1100),
    ];
    assert_eq!(all, expected);
    let ledger = lake.rows(&format!(
        "SELECT {columns} FROM orders__ledger WHERE start_offset IS NOT NULL ORDER BY sequence_number"
    ));
    assert_eq!(ledger, expected[..3], "the ledger is a commit behind");
    assert_eq!(
        lake.value(r#"SELECT max(end_offset) FROM "orders$offsets" WHERE kind = 'append'"#),
        1100
    );
    let said = lake.refuses(r#"SELECT * FROM "returns$offsets""#);
    assert!(said.starts_with("table shop.returns: has no offsets"), "{said}");
}

#[test]
fn schemas_tell_each_change_with_the_record_that_asked_for_it() {
    let lake = lake();
    let rows = lake.rows(
        r#"SELECT s.schema_id, s.topic, s."partition", s."offset", s.change, s.changed_by, h.operation
           FROM "orders$schemas" s JOIN "orders$snapshots" h
             ON h.snapshot_id = s.snapshot_id AND h.committed_at = s.committed_at
           ORDER BY s.change"#,
    );
    let changes = [
        "add column address.country string",
        "add column note string",
        "widen column quantity from int to long",
    ];
    let expected = changes.map(|change| {
        json!({
            "schema_id": 1, "topic": "orders", "partition": 0, "offset": 500, "change": change,
            "changed_by": "tabletopic", "operation": "append",
        })
    });
    assert_eq!(rows, expected);
    // A table that nobody of ours has written to.
    assert_eq!(lake.value(r#"SELECT count(*) FROM "returns$schemas""#), 0);
}

#[test]
fn dead_letters_are_their_table() {
    assert_eq!(lake().value(r#"SELECT count(*) FROM "orders$dead_letters""#), 0);
}

#[test]
fn an_earlier_state_has_its_own_schema_and_rows() {
    let lake = lake();
    let at = format!(r#""orders@{}""#, lake.before);
    assert_eq!(lake.value(&format!("SELECT count(*) FROM {at}")), 500);
    let said = lake.refuses(&format!("SELECT note FROM {at}"));
    assert!(said.starts_with("there is no column note"), "{said}");
    let time = lake.value(&format!(
        r#"SELECT committed_at FROM "orders$snapshots" WHERE snapshot_id = {}"#,
        lake.before
    ));
    let at = format!(r#""orders@{}""#, time.as_str().unwrap());
    assert_eq!(lake.value(&format!("SELECT count(*) FROM {at}")), 500);
    // Both states in one query.
    let both = format!(
        "SELECT count(*) FROM orders n WHERE NOT EXISTS (SELECT 1 FROM {at} o WHERE o.order_id = n.order_id)"
    );
    assert_eq!(lake.value(&both), 600);
}
