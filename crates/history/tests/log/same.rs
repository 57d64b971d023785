//! The table in the place of the topic.

use std::sync::Arc;

use tabletopic_history::{History, HistoryError};
use tabletopic_ingest::run::Sources;
use tabletopic_offsets::{JobId, TopicPartition};
use tabletopic_source::{Broker, MemoryBroker, PartitionError, Position, Source, SourceError};
use tokio::runtime::Handle;

use crate::feed::{self, NOW, TOPIC, ingest, ingest_from_memory, lake, produce, table};
use crate::read::{Reading, on_a_thread, to_the_end, tp};

/// What the topic itself hands out.
pub fn of_topic(broker: &MemoryBroker) -> Reading {
    to_the_end(broker.member("reader"), broker, &[0, 1, 2], |_, _| {})
}

async fn of_table(history: History, partitions: &'static [i32]) -> Reading {
    let runtime = Handle::current();
    on_a_thread(move || {
        let broker = history.broker(runtime.clone());
        to_the_end(history.source(runtime), &broker, partitions, |_, _| {})
    })
    .await
}

#[derive(Debug)]
struct OfHistory(History, Handle);

impl Sources for OfHistory {
    fn open(&self, _worker: usize) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(self.0.source(self.1.clone())))
    }
}

/// Three commits of two workers.
pub async fn fed(name: &str) -> (tabletopic_table::Lake, MemoryBroker) {
    let (lake, broker) = (lake(), MemoryBroker::new("cluster"));
    broker.create_topic(TOPIC, 3);
    for part in 0..3 {
        produce(&broker, part);
        ingest_from_memory(&lake, name, &broker, 2).await;
    }
    (lake, broker)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_hands_out_what_the_topic_does() {
    let (lake, broker) = fed("raw").await;
    let expected = of_topic(&broker);
    assert!(expected.log[&0].len() > 500 && expected.log[&2].len() > 10);
    let history = History::open(&lake, &table("raw"), None).await.unwrap();
    let read = of_table(history.clone(), &[0, 1, 2]).await;
    assert_eq!(read.log, expected.log);
    assert_eq!(
        read.positions, expected.positions,
        "they pass over what has no row"
    );
    let some = of_table(history.clone(), &[1]).await;
    assert_eq!((some.log.len(), &some.log[&1]), (1, &expected.log[&1]));
    let rows: u64 = history.partitions().values().map(|log| log.rows).sum();
    assert_eq!(rows as usize, expected.log.values().map(Vec::len).sum::<usize>());

    // The whole service over it.
    let runtime = Handle::current();
    let (of, sources) = (
        Arc::new(history.broker(runtime.clone())),
        Arc::new(OfHistory(history, runtime)),
    );
    ingest(&lake, "again", of, sources, 2).await;
    let again = History::open(&lake, &table("again"), None).await.unwrap();
    let read = of_table(again.clone(), &[0, 1, 2]).await;
    assert_eq!(read.log, expected.log);
    assert_eq!(read.positions, expected.positions);
    let named = broker.describe(&[TOPIC.into()]).unwrap().remove(0).unwrap();
    assert_eq!(*again.identity(), named.identity);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_broker_answers_as_the_topic_s_does() {
    let (lake, topic) = fed("raw").await;
    let history = History::open(&lake, &table("raw"), Some(&JobId::new(TOPIC)))
        .await
        .unwrap();
    let broker = history.broker(Handle::current());
    on_a_thread(move || {
        let names = [TOPIC.into(), "other".into()];
        assert_eq!(broker.topics().unwrap(), topic.topics().unwrap());
        assert_eq!(broker.describe(&names).unwrap(), topic.describe(&names).unwrap());
        let all = [tp(0), tp(1), tp(2), TopicPartition::new("other", 0)];
        assert_eq!(broker.offsets(&all).unwrap(), topic.offsets(&all).unwrap());
        for at in [
            0,
            NOW - 999_000,
            NOW - 850_000,
            NOW - 700_123,
            NOW - 399_990,
            NOW + 1_000_000,
        ] {
            let found = broker.offsets_at(&all, at).unwrap();
            assert_eq!(found, topic.offsets_at(&all, at).unwrap(), "{at}");
        }
        let end = broker.offsets(&all[..1]).unwrap()[0].clone().unwrap().end;
        for offset in [0, 1, 17, 333, end - 2, end] {
            let at: Vec<_> = all[..3].iter().map(|tp| (tp.clone(), offset)).collect();
            assert_eq!(
                broker.timestamps(&at).unwrap(),
                topic.timestamps(&at).unwrap(),
                "{offset}"
            );
        }
        let valid = broker.validate(&[
            (tp(0), Position::new(3, Some(1))),
            (tp(9), Position::new(3, None)),
        ]);
        assert_eq!(
            valid.unwrap(),
            [Ok(()), Err(PartitionError::UnknownTopicOrPartition)]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_rests_misses_nothing() {
    let (lake, broker) = fed("raw").await;
    let expected = of_topic(&broker);
    let history = History::open(&lake, &table("raw"), None).await.unwrap();
    let runtime = Handle::current();
    let read = on_a_thread(move || {
        let broker = history.broker(runtime.clone());
        let mut random = fastrand::Rng::with_seed(3);
        let mut resting = Vec::new();
        to_the_end(history.source(runtime), &broker, &[0, 1, 2], |source, reading| {
            match random.u8(..6) {
                0 => {
                    resting = vec![tp(random.i32(0..3))];
                    source.pause(&resting);
                }
                1 => {
                    // A seek to where it stands, which ends a pause too.
                    let partition = random.i32(0..3);
                    let at = reading.positions.get(&partition).copied().unwrap_or(0);
                    source.start(&[(tp(partition), Position::new(at, None))]);
                }
                _ => source.resume(&std::mem::take(&mut resting)),
            }
        })
    })
    .await;
    assert_eq!(read.log, expected.log);
    assert_eq!(read.positions, expected.positions);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_the_table_does_not_have_stops_its_partition() {
    let (lake, _broker) = fed("raw").await;
    let history = History::open(&lake, &table("raw"), None).await.unwrap();
    let runtime = Handle::current();
    on_a_thread(move || {
        let mut source = history.source(runtime);
        source.subscribe(&tabletopic_source::Subscription::Group(vec![TOPIC.into()]));
        let mut reading = Reading::default();
        let wait = std::time::Duration::from_millis(1);
        source.poll(wait, &mut |event| reading.take(event));
        assert_eq!(reading.assigned, [0, 1, 2]);
        source.start(&[(tp(1), Position::new(1_000_000, None))]);
        source.poll(wait, &mut |event| reading.take(event));
        assert!(reading.errors[0].starts_with("orders/1: offset 1000000 is not in the log"));
        assert!(reading.log.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_topic_feeds_is_refused() {
    let lake = lake();
    let schema = tabletopic_decode::create_schema(
        &tabletopic_decode::infer(&[], &feed::decode()).unwrap(),
        &feed::decode(),
    );
    tabletopic_table::follower::create::table(&lake, &table("raw"), schema.unwrap(), None)
        .await
        .unwrap();
    let refused = History::open(&lake, &table("raw"), None).await.unwrap_err();
    assert!(matches!(refused, HistoryError::NotFed { .. }), "{refused}");
    let missing = History::open(&lake, &table("none"), None).await.unwrap_err();
    assert!(missing.to_string().contains("shop.none"), "{missing}");
}
