//! Logs that were cut: what goes, what is written again and what is left alone, beside other writers' rows and deletes,
//! under a schema that has changed since.

use iceberg::spec::{Operation, PrimitiveType, Type};
use tabletopic_offsets::{Counts, Generation, Kind, OffsetRange, RecordAt};
use tabletopic_table::commit::resolve::{AdoptTopic, DeclareMissing, Rewind};
use tabletopic_table::commit::{ChangeSchema, LogWaiting, Plan, SnapshotAt, commit};
use tabletopic_table::schema::SchemaChange;

use crate::table::{Row, Table, ident, job, paths, rows, topic};

#[tokio::test]
async fn rows_from_the_cut_on_go_and_all_others_stay_as_they_were() {
    let table = Table::new().await;
    let below = table.file("a", &rows(0, 0..10)).await;
    let foreign: Row = (None, -1);
    let mixed_rows = [rows(0, 10..20), rows(1, 0..5), vec![foreign]].concat();
    let mixed = table.file("b", &mixed_rows).await;
    table
        .append(vec![below.clone(), mixed.clone()], &[(0, 0, 20), (1, 0, 5)])
        .await;
    let whole = table.file("a", &rows(0, 20..30)).await;
    let other = table.file("a", &rows(1, 5..40)).await;
    table
        .append(vec![whole.clone(), other.clone()], &[(0, 20, 30), (1, 5, 40)])
        .await;
    // Positions in the mixed file: offset 12, which stays gone, offset 15, which is not removed twice.
    table.delete(&ident(), &mixed, &[2, 5]).await;
    let mut change = ChangeSchema {
        lake: &table.0,
        made_for: table.base().await.metadata().current_schema_id(),
        changes: &[SchemaChange::AddColumn {
            parent: Vec::new(),
            name: "later".to_owned(),
            ty: Type::Primitive(PrimitiveType::Double),
        }],
        cause: RecordAt {
            job: job(),
            topic: "orders".into(),
            topic_id: None,
            partition: 0,
            offset: 30,
        },
    };
    table.commit(&mut change).await;
    let before = table.rows().await;

    let mut plan = table.truncate(0, &[(0, 14)]);
    let base = table.base().await;
    let at = SnapshotAt {
        sequence_number: 99,
        snapshot_id: 99,
        timestamp_ms: 99,
        schema_id: base.metadata().current_schema_id(),
    };
    let planned = plan.plan(&base, at).await.unwrap().expect("something to do");
    assert_eq!((planned.files.remove.len(), planned.rewrites.len()), (2, 1));
    assert_eq!(table.files().await.len(), 4, "planning writes nothing");
    let snapshot = table.commit(&mut plan).await.snapshot.expect("a commit");
    assert_eq!(snapshot.summary().operation, Operation::Overwrite);

    let mut expected = before.clone();
    expected.retain(|place, _| place.is_none_or(|(partition, offset)| partition != 0 || offset < 14));
    assert_eq!(table.rows().await, expected);
    assert!(
        !expected.contains_key(&Some((0, 12))),
        "it was deleted by somebody"
    );

    let files = table.files().await;
    let live = paths(&files);
    assert!(
        live.contains(&below.file_path()) && live.contains(&other.file_path()),
        "{live:?}"
    );
    assert!(
        !live.contains(&whole.file_path()) && !live.contains(&mixed.file_path()),
        "{live:?}"
    );
    let [again] = files
        .iter()
        .filter(|file| !paths(&[below.clone(), other.clone()]).contains(&file.file_path()))
        .collect::<Vec<_>>()[..]
    else {
        panic!("{live:?}")
    };
    assert_eq!(
        (again.record_count(), again.partition()),
        (3 + 5 + 1, mixed.partition())
    );
    assert_eq!(
        again.null_value_counts().get(&5),
        Some(&9),
        "the column that came later"
    );

    let base = table.base().await;
    let state = base.state().unwrap();
    assert_eq!(state.kind, Kind::Replace);
    assert_eq!(state.job(&job()).unwrap().generation, Generation(1));
    let cut = state.partition(&job(), 0).unwrap();
    assert_eq!((cut.progress.live_end(), cut.leader_epoch), (14, Some(1)));
    // Offset 15 was deleted by somebody and stays counted, as every delete of others does.
    assert_eq!(cut.counts.rows, 14 + 1);
    let untouched = state.partition(&job(), 1).unwrap();
    assert_eq!(
        untouched.counts,
        Counts::of_rows(40, OffsetRange::new(0, 40).offset_sum())
    );
    let entry = state.outbox.ledger.last().unwrap();
    assert_eq!(
        (entry.kind, entry.stamp.reason.as_str()),
        (Kind::Replace, "ticket 42")
    );
    let [range] = &entry.ranges[..] else {
        panic!("{entry:?}")
    };
    assert_eq!(
        (range.partition, range.range, range.counts.rows),
        (0, OffsetRange::new(14, 30), 15)
    );

    // The new log, read again from there.
    let file = table.file("b", &rows(0, 14..18)).await;
    table.append(vec![file], &[(0, 14, 18)]).await;
    assert_eq!(table.rows().await.len(), expected.len() + 4);
    // An answer found before that has nothing left to do: it would take the new rows.
    assert!(
        table
            .commit(&mut table.truncate(0, &[(0, 14)]))
            .await
            .snapshot
            .is_none()
    );
}

#[tokio::test]
async fn several_partitions_are_cut_at_once_and_files_can_go_without_any_written() {
    let table = Table::new().await;
    let low = table.file("a", &[rows(0, 0..5), rows(1, 0..5)].concat()).await;
    let high = table.file("a", &[rows(0, 5..9), rows(1, 5..7)].concat()).await;
    table
        .append(vec![low.clone(), high], &[(0, 0, 9), (1, 0, 7)])
        .await;
    let snapshot = table
        .commit(&mut table.truncate(0, &[(0, 5), (1, 5)]))
        .await
        .snapshot;
    assert_eq!(snapshot.expect("a commit").summary().operation, Operation::Delete);
    assert_eq!(paths(&table.files().await), [low.file_path()]);
    let rows = table.rows().await;
    assert_eq!(rows.len(), 10);
}

#[tokio::test]
async fn rows_that_may_be_of_another_topic_are_refused() {
    let table = Table::new().await;
    let file = table.file("a", &rows(0, 0..9)).await;
    table.append(vec![file], &[(0, 0, 9)]).await;
    let mut adopt = AdoptTopic {
        lake: &table.0,
        job: job(),
        identity: topic(2),
        starts: [(0, 0), (1, 0)].into(),
        reason: String::new(),
    };
    table.commit(&mut adopt).await;
    let file = table.file("a", &rows(0, 0..15)).await;
    table.append(vec![file], &[(0, 0, 15)]).await;

    let refused = commit(&table.0, &ident(), &mut table.truncate(1, &[(0, 8)]), &LogWaiting).await;
    let words = refused.expect_err("offset 8 is in both").to_string();
    assert!(words.contains("orders/0: its log was cut at offset 8"), "{words}");
    assert_eq!(table.files().await.len(), 2);
    // Above all that the old topic had there is no doubt.
    table.commit(&mut table.truncate(1, &[(0, 9)])).await;
    assert_eq!(table.rows().await.values().map(Vec::len).sum::<usize>(), 9 + 9);
}

/// The stale rows are back below progress: by their offsets they look like those that took their place.
#[tokio::test]
async fn after_a_rollback_over_a_truncation_nothing_is_declared_lost() {
    let table = Table::new().await;
    let file = table.file("a", &rows(0, 0..9)).await;
    table.append(vec![file], &[(0, 0, 9)]).await;
    let before = table.base().await.head().unwrap().snapshot_id();
    table.commit(&mut table.truncate(0, &[(0, 5)])).await;
    let file = table.file("a", &rows(0, 5..20)).await;
    table.append(vec![file], &[(0, 5, 20)]).await;
    table.roll_back_to(before).await;
    let mut declare = DeclareMissing {
        lake: &table.0,
        reason: String::new(),
    };
    let refused = commit(&table.0, &ident(), &mut declare, &LogWaiting).await;
    let words = refused.expect_err("stale rows are back").to_string();
    assert!(words.contains("rows back that a log no longer has"), "{words}");
    let mut rewind = Rewind::new(&table.0, String::new());
    table.commit(&mut rewind).await;
    table.commit(&mut table.truncate(2, &[(0, 5)])).await;
    assert_eq!(table.rows().await.len(), 5);
}
