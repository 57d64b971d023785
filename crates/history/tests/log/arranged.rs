//! Rows that lie in another order than their offsets: the same records come, with whatever memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use iceberg::spec::{DataFile, Struct};
use tabletopic_catalog::LoadedTable;
use tabletopic_decode::{create_schema, decoder, infer};
use tabletopic_history::{History, HistoryError};
use tabletopic_offsets::{Counts, Generation, JobId, OffsetRange, TopicIdentity, UnitRange};
use tabletopic_records::Record;
use tabletopic_source::MemoryBroker;
use tabletopic_table::Lake;
use tabletopic_table::commit::{Anchor, Append, LogWaiting, Unit, commit};
use tabletopic_table::file::{Encodings, FileNames, FileSchema, FileSettings, FileWriter};
use tabletopic_table::follower::create;
use tokio::runtime::Handle;

use crate::feed::{TOPIC, decode, lake, produce, table};
use crate::read::{Log, Owned, Reading, on_a_thread, to_the_end};
use crate::same::of_topic;

pub type Row = (i32, Owned);

/// Commits rows of the whole log as these files.
pub async fn arrange(lake: &Lake, ends: &BTreeMap<i32, i64>, files: Vec<Vec<Row>>) {
    let settings = decode();
    let schema = create_schema(&infer(&[], &settings).unwrap(), &settings).unwrap();
    let created = create::table(lake, &table("raw"), schema, None).await.unwrap();
    create::followers(lake, &table("raw")).await.unwrap();
    let identity = TopicIdentity {
        cluster_id: None,
        topic: TOPIC.into(),
        topic_id: Some("id".to_owned()),
    };
    let (job, starts) = (
        JobId::new(TOPIC),
        ends.keys().map(|partition| (*partition, 0)).collect(),
    );
    let mut anchor = Anchor {
        lake,
        job: &job,
        identity: &identity,
        starts: &starts,
    };
    commit(lake, &table("raw"), &mut anchor, &LogWaiting)
        .await
        .unwrap();
    let mut counts = BTreeMap::<i32, Counts>::new();
    let mut data_files = Vec::new();
    for rows in files.iter().filter(|rows| !rows.is_empty()) {
        for (partition, row) in rows {
            counts
                .entry(*partition)
                .or_default()
                .add(Counts::of_rows(1, row.offset as u64));
        }
        data_files.push(file_of(lake, &created, rows).await);
    }
    let read = ends.iter().filter(|(_, end)| **end > 0);
    let ranges = read.map(|(partition, end)| UnitRange {
        job: job.clone(),
        partition: *partition,
        identity: identity.clone(),
        generation: Generation::default(),
        range: OffsetRange::new(0, *end),
        leader_epoch: None,
        counts: counts.get(partition).copied().unwrap_or_default(),
    });
    let units = [Unit {
        created: lake.clock.now(),
        schema: created.metadata.current_schema().clone(),
        spec_id: created.metadata.default_partition_spec_id(),
        files: data_files,
        dead_letters: None,
        ranges: ranges.collect(),
    }];
    commit(
        lake,
        &table("raw"),
        &mut Append::new(lake, &units, &[]),
        &LogWaiting,
    )
    .await
    .unwrap();
}

/// Writes rows into a file in several row groups.
pub async fn file_of(lake: &Lake, table: &LoadedTable, rows: &[Row]) -> DataFile {
    let schema = table.metadata.current_schema().clone();
    let written = FileSchema::new(schema.clone(), table.metadata.default_partition_spec().clone()).unwrap();
    let settings = FileSettings {
        row_group_size: 1_000,
        ..FileSettings::default()
    };
    let mut file = None;
    for rows in rows.chunks(10) {
        let records: Vec<Record<'_>> = rows
            .iter()
            .map(|(partition, row)| view(*partition, row))
            .collect();
        let batch = decoder(&decode(), &schema)
            .unwrap()
            .decode(&records)
            .unwrap()
            .batch;
        let file = file.get_or_insert_with(|| {
            let (names, partition) = (FileNames::new(table.metadata.location()), Struct::empty());
            let path = names.next(&written, &partition, lake.entropy.as_ref()).unwrap();
            let encodings = Encodings::choose(&written, &batch);
            FileWriter::new(&settings, written.clone(), &encodings, partition, path).unwrap()
        });
        file.write(&batch).unwrap();
    }
    let file = file.unwrap().finish().unwrap();
    let output = lake.file_io.new_output(&file.path).unwrap();
    output.write(Bytes::from(file.payload)).await.unwrap();
    file.data_file
}

fn view(partition: i32, row: &Owned) -> Record<'_> {
    Record {
        partition,
        offset: row.offset,
        timestamp: row.timestamp,
        key: row.key.as_deref(),
        value: row.value.as_deref(),
        headers: &row.headers,
    }
}

pub fn topic() -> Reading {
    let broker = MemoryBroker::new("cluster");
    broker.create_topic(TOPIC, 3);
    produce(&broker, 0);
    produce(&broker, 1);
    of_topic(&broker)
}

pub fn rows(log: &Log) -> Vec<Row> {
    let each = log.iter();
    each.flat_map(|(partition, rows)| rows.iter().map(|row| (*partition, row.clone())))
        .collect()
}

/// Reads it with much memory and with little.
pub async fn read(history: &History, most_held: usize) -> Reading {
    let (history, runtime) = (history.clone(), Handle::current());
    on_a_thread(move || {
        let broker = history.broker(runtime.clone());
        let source = history.source(runtime).holding(most_held);
        to_the_end(source, &broker, &[0, 1, 2], |_, _| {})
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_in_order_however_their_rows_lie() {
    let expected = topic();
    let by_key = |mut rows: Vec<Row>| {
        rows.sort_by(|a, b| a.1.key.cmp(&b.1.key));
        rows.chunks(100).map(<[Row]>::to_vec).collect::<Vec<_>>()
    };
    let shuffled = |mut rows: Vec<Row>| {
        fastrand::Rng::with_seed(5).shuffle(&mut rows);
        vec![rows]
    };
    // Each file ascends, and all of them overlap.
    let dealt = |rows: Vec<Row>| {
        let mut files = vec![Vec::new(); 7];
        for (number, row) in rows.into_iter().enumerate() {
            files[number % 7].push(row);
        }
        files
    };
    // Each runs a little into the next one.
    let chained = |rows: Vec<Row>| {
        let mut files: Vec<Vec<Row>> = rows.chunks(60).map(<[Row]>::to_vec).collect();
        for at in 1..files.len() {
            let (early, late) = files.split_at_mut(at);
            if let (Some(last), Some(first)) = (early[at - 1].last_mut(), late[0].first_mut()) {
                std::mem::swap(last, first);
            }
        }
        files
    };
    let arrangements: [&dyn Fn(Vec<Row>) -> Vec<Vec<Row>>; 4] = [&by_key, &shuffled, &dealt, &chained];
    for (number, arrangement) in arrangements.into_iter().enumerate() {
        let lake = lake();
        arrange(&lake, &expected.positions, arrangement(rows(&expected.log))).await;
        let history = History::open(&lake, &table("raw"), None).await.unwrap();
        for most_held in [64 << 20, 20_000] {
            let read = read(&history, most_held).await;
            assert_eq!(read.log, expected.log, "arrangement {number} with {most_held}");
            assert_eq!(read.positions, expected.positions);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_is_there_twice_is_not_handed_out_twice() {
    let expected = topic();
    let mut files = vec![rows(&expected.log)];
    files.push(vec![files[0][20].clone()]);
    let lake = lake();
    arrange(&lake, &expected.positions, files).await;
    let history = History::open(&lake, &table("raw"), None).await.unwrap();
    let runtime = Handle::current();
    let said = on_a_thread(move || {
        use tabletopic_source::{Position, Source, SourceEvent, Subscription};
        let mut source = history.source(runtime);
        source.subscribe(&Subscription::Static(vec![crate::read::tp(0)]));
        source.poll(std::time::Duration::ZERO, &mut |_| {});
        source.start(&[(crate::read::tp(0), Position::new(0, None))]);
        let (mut said, mut seen) = (None, Vec::new());
        while said.is_none() {
            source.poll(std::time::Duration::from_secs(10), &mut |event| match event {
                SourceEvent::Fatal(reason) => said = Some(reason),
                SourceEvent::Records { records, .. } => {
                    seen.extend(records.iter().map(|record| record.offset))
                }
                _ => {}
            });
        }
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
        said.unwrap()
    })
    .await;
    assert!(
        said.contains("more than once") && said.contains("orders/0"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_rows_is_a_log_without_records() {
    let lake = lake();
    let ends = BTreeMap::from([(0, 9), (1, 0), (2, 4)]);
    arrange(&lake, &ends, Vec::new()).await;
    let history = History::open(&lake, &table("raw"), None).await.unwrap();
    let read = read(&history, 1).await;
    assert!(read.log.is_empty());
    assert_eq!(read.positions, BTreeMap::from([(0, 9), (2, 4)]));
    let other = History::open(&lake, &table("raw"), Some(&JobId::new("other"))).await;
    assert!(matches!(other, Err(HistoryError::NoSuchJob { .. })), "{other:?}");
}
