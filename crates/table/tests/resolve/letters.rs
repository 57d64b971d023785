//! Dead letters that have to go, beside another writer's deletes.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use iceberg::TableUpdate;
use iceberg::spec::DataFile;
use tabletopic_catalog::{CommitOutcome, TableChange};
use tabletopic_offsets::{Counts, Follower, OffsetRange, PendingRange, RangeSet, UnitRange};
use tabletopic_table::commit::{DeadLetterFile, LettersOf, LogWaiting, Redrive, TAG, Unit, commit};
use tabletopic_table::file::FileSchema;
use tabletopic_table::follower::drain::drain;
use tabletopic_table::follower::{ident as follower, write};
use tabletopic_table::rows::{Lookup, Offsets, iceberg_table};

use crate::table::{Row, Table, ident, job, rows};

impl Table {
    /// A unit all of whose offsets, from 0 to `end`, are dead letters of partition 0.
    async fn set_aside(&self, end: i64) -> DataFile {
        let letters = follower(&ident(), Follower::DeadLetters);
        let letters = self.0.catalog.load(&letters).await.unwrap();
        let spec = letters.metadata.default_partition_spec().clone();
        let schema = FileSchema::new(letters.metadata.current_schema().clone(), spec).unwrap();
        let base = self.base().await;
        let known = base.state().unwrap().job(&job()).unwrap();
        let rows = usize::try_from(end).unwrap();
        let columns = schema.arrow().fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                "partition" => Arc::new(Int32Array::from(vec![0; rows])),
                "offset" => Arc::new(Int64Array::from_iter_values(0..end)),
                "job" => Arc::new(StringArray::from(vec!["orders"; rows])),
                "topic_id" => Arc::new(StringArray::from(vec![known.identity.topic_id.as_deref(); rows])),
                "topic" | "reason" | "detail" => Arc::new(StringArray::from(vec!["words"; rows])),
                _ => new_null_array(field.data_type(), rows),
            }
        });
        let batch = RecordBatch::try_new(schema.arrow().clone(), columns.collect()).unwrap();
        let file = write::store(&self.0, &letters.metadata, &batch).await.unwrap();
        let range = OffsetRange::new(0, end);
        let pending = PendingRange {
            job: job(),
            partition: 0,
            range,
        };
        let unit = Unit {
            created: self.0.clock.now(),
            schema: base.metadata().current_schema().clone(),
            spec_id: base.metadata().default_partition_spec_id(),
            files: Vec::new(),
            dead_letters: Some(DeadLetterFile {
                file: file.clone(),
                ranges: vec![pending],
                reasons: Default::default(),
            }),
            ranges: vec![UnitRange {
                job: job(),
                partition: 0,
                identity: known.identity.clone(),
                generation: known.generation,
                range,
                leader_epoch: Some(1),
                counts: Counts {
                    dead_letters: range.len(),
                    ..Counts::default()
                },
            }],
        };
        self.append_units(&[unit]).await;
        file
    }

    /// Commits rows of these letters of partition 0. Whether it was done.
    async fn redrive(&self, offsets: &[i64]) -> bool {
        let base = self.base().await;
        let places: Vec<Row> = offsets
            .iter()
            .map(|offset| (Some((0, *offset)), *offset))
            .collect();
        let unit = Unit {
            created: self.0.clock.now(),
            schema: base.metadata().current_schema().clone(),
            spec_id: base.metadata().default_partition_spec_id(),
            files: vec![self.file("north", &places).await],
            dead_letters: None,
            ranges: Vec::new(),
        };
        let set: RangeSet = offsets
            .iter()
            .map(|offset| OffsetRange::new(*offset, offset + 1))
            .collect();
        let known = base.state().unwrap().job(&job()).unwrap();
        let letters = LettersOf {
            job: job(),
            identity: known.identity.clone(),
            generation: known.generation,
            offsets: Offsets::from([(0, set)]),
        };
        let mut plan = Redrive {
            lake: &self.0,
            lookup: Lookup::new("orders".into(), letters.offsets.clone()),
            letters: &letters,
            rows: &unit,
            followers: &[],
            reason: "ticket 42".to_owned(),
        };
        self.commit(&mut plan).await.snapshot.is_some()
    }

    async fn drain_letters(&self) {
        let drained = drain(&self.0, &self.base().await, Follower::DeadLetters, &LogWaiting).await;
        drained.expect("it can be written to");
    }

    /// Offsets in the dead-letter table, as a reader sees it.
    async fn letters(&self) -> Vec<i64> {
        let letters = follower(&ident(), Follower::DeadLetters);
        let letters = self.0.catalog.load(&letters).await.unwrap();
        let letters = iceberg_table(&self.0, &letters).unwrap();
        let batches = letters
            .scan()
            .select(["offset"])
            .build()
            .unwrap()
            .to_arrow()
            .await
            .unwrap();
        let batches: Vec<RecordBatch> = batches.try_collect().await.unwrap();
        let mut offsets: Vec<i64> = batches
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        offsets.sort_unstable();
        offsets
    }
}

#[tokio::test]
async fn a_dead_letter_table_without_its_tag_says_how_it_is_mended() {
    let table = Table::new().await;
    table.set_aside(10).await;
    table.drain_letters().await;
    let letters = follower(&ident(), Follower::DeadLetters);
    let letters = table.0.catalog.load(&letters).await.unwrap();
    let change = TableChange {
        requirements: Vec::new(),
        updates: vec![TableUpdate::RemoveSnapshotRef {
            ref_name: TAG.to_owned(),
        }],
    };
    let outcome = table.0.catalog.commit(&letters, change).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    let refused = commit(&table.0, &ident(), &mut table.truncate(0, &[(0, 6)]), &LogWaiting).await;
    let words = refused.expect_err("letters can't be counted").to_string();
    assert!(words.contains("that has `tabletopic.follows`"), "{words}");
    assert!(
        !words.contains("tabletopic resolve"),
        "it answers main tables: {words}"
    );
}

#[tokio::test]
async fn letters_that_somebody_deleted_stay_deleted_when_others_are_removed() {
    let table = Table::new().await;
    let file = table.set_aside(10).await;
    table.drain_letters().await;
    table
        .delete(&follower(&ident(), Follower::DeadLetters), &file, &[2, 8])
        .await;
    assert_eq!(table.letters().await, [0, 1, 3, 4, 5, 6, 7, 9]);
    table.commit(&mut table.truncate(0, &[(0, 6)])).await;
    table.drain_letters().await;
    assert_eq!(table.letters().await, [0, 1, 3, 4, 5]);
}

#[tokio::test]
async fn letters_become_rows_once_whether_they_wait_or_not() {
    let table = Table::new().await;
    table.set_aside(10).await;
    assert!(table.redrive(&[2, 5]).await, "they are on the way");
    assert!(!table.redrive(&[2]).await, "it is a row");
    assert!(!table.redrive(&[5, 6]).await, "one of them is a row");
    table.drain_letters().await;
    assert!(table.redrive(&[6]).await);
    assert!(!table.redrive(&[10]).await, "it was not read yet");
    let places: Vec<_> = table.rows().await.into_iter().collect();
    let row = |offset| (Some((0, offset)), vec![offset]);
    assert_eq!(places, [row(2), row(5), row(6)]);
    assert_eq!(table.letters().await, (0..10).collect::<Vec<i64>>());
    let base = table.base().await;
    let counts = Counts {
        dead_letters: 10,
        ..Counts::of_rows(3, 13)
    };
    assert_eq!(base.state().unwrap().partition(&job(), 0).unwrap().counts, counts);
}

#[tokio::test]
async fn letters_that_are_about_to_go_stay_letters() {
    let table = Table::new().await;
    table.set_aside(10).await;
    table.drain_letters().await;
    table.commit(&mut table.truncate(0, &[(0, 6)])).await;
    // Other records took their offsets; only one of them is a row.
    let file = table.file("north", &rows(0, 6..7)).await;
    table.append(vec![file], &[(0, 6, 10)]).await;
    assert!(!table.redrive(&[8]).await, "its removal waits");
    table.drain_letters().await;
    assert!(!table.redrive(&[8]).await);
    assert!(table.redrive(&[3]).await);
}
