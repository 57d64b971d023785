//! `KafkaSource` and `KafkaBroker` against a real broker.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tabletopic_offsets::TopicPartition;
use tabletopic_source::{
    Broker, GroupProtocol, KafkaBroker, KafkaSettings, KafkaSource, LogOffsets, PartitionError, Position,
    Retention, Source, SourceEvent, Subscription,
};

const PATIENCE: Duration = Duration::from_secs(30);
const WAIT: Duration = Duration::from_millis(50);

fn bootstrap() -> String {
    std::env::var("TABLETOPIC_TEST_BOOTSTRAP").unwrap_or_else(|_| {
        panic!(
            "TABLETOPIC_TEST_BOOTSTRAP is not set: these tests need a Kafka broker. `make test` starts one \
             and sets it; or set it to host:port of a broker of your own (Kafka 4.0 or later)"
        )
    })
}

/// Topics are never shared between tests, nor between runs.
fn create_topic(stem: &str, partitions: i32) -> Arc<str> {
    let since_epoch = std::time::UNIX_EPOCH.elapsed().unwrap();
    let name = format!("{stem}-{}-{}", std::process::id(), since_epoch.as_nanos());
    create_named(&name, partitions);
    Arc::from(name)
}

fn create_named(name: &str, partitions: i32) {
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let created = futures::executor::block_on(admin().create_topics(&[topic], &AdminOptions::new())).unwrap();
    created.into_iter().for_each(|topic| drop(topic.unwrap()));
}

fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap())
        .create()
        .unwrap()
}

fn producer(transactional_id: Option<&str>) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap());
    if let Some(id) = transactional_id {
        config.set("transactional.id", id);
    }
    let producer: BaseProducer = config.create().unwrap();
    if transactional_id.is_some() {
        producer.init_transactions(PATIENCE).unwrap();
    }
    producer
}

fn send(producer: &BaseProducer, tp: &TopicPartition, values: impl IntoIterator<Item = String>) {
    for value in values {
        let record = BaseRecord::<(), _>::to(&tp.topic)
            .partition(tp.partition)
            .payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

fn numbered(range: std::ops::Range<i64>) -> impl Iterator<Item = String> {
    range.map(|number| format!("v{number}"))
}

fn broker() -> KafkaBroker {
    KafkaBroker::new(&KafkaSettings::new(bootstrap(), "unused"), PATIENCE).unwrap()
}

/// A source and all that it told.
struct Reader {
    source: KafkaSource,
    assigned: Vec<TopicPartition>,
    revoked: Vec<TopicPartition>,
    values: BTreeMap<TopicPartition, Vec<(i64, String)>>,
    positions: BTreeMap<TopicPartition, Position>,
    errors: Vec<(TopicPartition, PartitionError)>,
    outages: Vec<String>,
    /// Headers of all records, one after the other.
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Reader {
    fn new(settings: &KafkaSettings, subscription: &Subscription) -> Self {
        let mut source = KafkaSource::new(settings).unwrap();
        source.subscribe(subscription);
        Self {
            source,
            assigned: Vec::new(),
            revoked: Vec::new(),
            values: BTreeMap::new(),
            positions: BTreeMap::new(),
            errors: Vec::new(),
            outages: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Assigned one partition, and started there.
    fn of(tp: &TopicPartition, at: Position) -> Self {
        let settings = KafkaSettings::new(bootstrap(), format!("{}-group", tp.topic));
        let mut reader = Self::new(&settings, &Subscription::Static(vec![tp.clone()]));
        reader.until("the static assignment", |reader| reader.assigned.len() == 1);
        reader.source.start(&[(tp.clone(), at)]);
        reader
    }

    fn poll(&mut self) {
        let Self {
            source,
            assigned,
            revoked,
            values,
            positions,
            errors,
            outages,
            headers,
        } = self;
        source.poll(WAIT, &mut |event| match event {
            SourceEvent::Assigned(tps) => assigned.extend(tps),
            SourceEvent::Revoked(tps) | SourceEvent::Lost(tps) => {
                assigned.retain(|tp| !tps.contains(tp));
                revoked.extend(tps);
            }
            SourceEvent::Records { topic, records } => {
                for record in records {
                    let tp = TopicPartition::new(topic.clone(), record.partition);
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    values.entry(tp).or_default().push((record.offset, value));
                    record.headers.for_each(&mut |name, value| {
                        headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
                    });
                }
            }
            SourceEvent::Positions(moved) => positions.extend(moved.iter().cloned()),
            SourceEvent::PartitionError { tp, error } => errors.push((tp, error)),
            SourceEvent::Outage(reason) => outages.push(reason),
            SourceEvent::Fatal(reason) => panic!("fatal: {reason}"),
        });
    }

    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}: not seen; assigned {:?}, positions {:?}, errors {:?}, outages {:?}",
                self.assigned,
                self.positions,
                self.errors,
                self.outages
            );
            self.poll();
        }
    }

    fn until_at(&mut self, tp: &TopicPartition, offset: i64) {
        self.until("the position", |reader| {
            reader.positions.get(tp).is_some_and(|at| at.offset >= offset)
        });
    }

    fn offsets(&self, tp: &TopicPartition) -> Vec<i64> {
        self.values
            .get(tp)
            .into_iter()
            .flatten()
            .map(|(offset, _)| *offset)
            .collect()
    }
}

fn from(offset: i64) -> Position {
    Position::new(offset, None)
}

#[test]
fn several_batches_come_once_and_in_order() {
    let topic = create_topic("plain", 2);
    let tps = [0, 1].map(|partition| TopicPartition::new(topic.clone(), partition));
    let producer = producer(None);
    for tp in &tps {
        send(&producer, tp, numbered(0..5_000));
    }
    let settings = KafkaSettings::new(bootstrap(), &*topic);
    let mut reader = Reader::new(&settings, &Subscription::Static(tps.to_vec()));
    reader.until("the assignment", |reader| reader.assigned.len() == 2);
    reader
        .source
        .start(&[(tps[0].clone(), from(0)), (tps[1].clone(), from(4_990))]);
    reader.until_at(&tps[0], 5_000);
    reader.until_at(&tps[1], 5_000);
    assert_eq!(reader.offsets(&tps[0]), (0..5_000).collect::<Vec<_>>());
    assert_eq!(reader.offsets(&tps[1]), (4_990..5_000).collect::<Vec<_>>());
    assert_eq!(reader.values[&tps[0]][4_321], (4_321, "v4321".to_owned()));
    assert!(reader.positions[&tps[0]].leader_epoch.is_some());
}

#[test]
fn headers_repeat_and_may_be_null() {
    let topic = create_topic("headers", 1);
    let tp = TopicPartition::new(topic, 0);
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "trace",
            value: Some("a"),
        })
        .insert(Header {
            key: "trace",
            value: Some("b"),
        })
        .insert(Header::<&str> {
            key: "none",
            value: None,
        });
    let producer = producer(None);
    let record = BaseRecord::<(), _>::to(&tp.topic)
        .partition(0)
        .payload("v")
        .headers(headers);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
    let mut reader = Reader::of(&tp, from(0));
    reader.until_at(&tp, 1);
    let expected = [("trace", Some("a")), ("trace", Some("b")), ("none", None)];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.map(|v| v.as_bytes().to_vec())));
    assert_eq!(reader.headers, expected);
}

#[test]
fn a_topic_that_ends_in_an_abort_marker_is_read_to_its_last_stable_offset() {
    let topic = create_topic("aborted", 1);
    let tp = TopicPartition::new(topic.clone(), 0);
    let producer = producer(Some(&topic));
    producer.begin_transaction().unwrap();
    send(&producer, &tp, numbered(0..3));
    producer.commit_transaction(PATIENCE).unwrap(); // marker at 3
    producer.begin_transaction().unwrap();
    send(&producer, &tp, numbered(10..14)); // 4..8
    producer.abort_transaction(PATIENCE).unwrap(); // marker at 8
    let mut reader = Reader::of(&tp, from(0));
    let end = broker().offsets(std::slice::from_ref(&tp)).unwrap();
    assert_eq!(end, [Ok(LogOffsets { start: 0, end: 9 })]);
    let edge = broker().live_edges(std::slice::from_ref(&tp)).unwrap();
    assert_eq!(edge, [Ok(Position::new(9, Some(0)))]);
    reader.until_at(&tp, 9);
    assert_eq!(reader.offsets(&tp), [0, 1, 2]);
    assert_eq!(reader.positions[&tp].offset, 9);

    // Started where nothing but the aborted ones and their marker follow.
    let mut reader = Reader::of(&tp, reader_position(4, &reader));
    reader.until_at(&tp, 9);
    assert!(reader.values.is_empty());
    assert!(reader.errors.is_empty());
}

fn reader_position(offset: i64, reader: &Reader) -> Position {
    Position::new(offset, reader.positions.values().next().unwrap().leader_epoch)
}

#[test]
fn an_open_transaction_holds_the_position_at_its_begin() {
    let topic = create_topic("open", 2);
    let [tp, other] = [0, 1].map(|partition| TopicPartition::new(topic.clone(), partition));
    let transaction = producer(Some(&topic));
    transaction.begin_transaction().unwrap();
    send(&transaction, &tp, numbered(0..2));
    let plain = producer(None);
    send(&plain, &tp, numbered(2..4)); // behind the open transaction
    let settings = KafkaSettings::new(bootstrap(), &*topic);
    let mut reader = Reader::new(&settings, &Subscription::Static(vec![tp.clone(), other.clone()]));
    reader.until("the assignment", |reader| reader.assigned.len() == 2);
    reader
        .source
        .start(&[(tp.clone(), from(0)), (other.clone(), from(0))]);
    send(&plain, &other, numbered(0..1));
    reader.until_at(&other, 1);
    assert!(reader.offsets(&tp).is_empty());
    assert_eq!(
        broker().offsets(std::slice::from_ref(&tp)).unwrap(),
        [Ok(LogOffsets { start: 0, end: 0 })]
    );
    transaction.commit_transaction(PATIENCE).unwrap();
    reader.until_at(&tp, 5);
    assert_eq!(reader.offsets(&tp), [0, 1, 2, 3]);
}

#[test]
fn out_of_range_stops_the_partition_until_it_is_started_elsewhere() {
    let topic = create_topic("range", 1);
    let tp = TopicPartition::new(topic, 0);
    send(&producer(None), &tp, numbered(0..5));
    let mut reader = Reader::of(&tp, from(100));
    reader.until("the error", |reader| !reader.errors.is_empty());
    assert_eq!(
        reader.errors,
        [(tp.clone(), PartitionError::OutOfRange { offset: 100 })]
    );
    assert!(
        reader.positions.is_empty(),
        "an error must not move a position: {:?}",
        reader.positions
    );
    reader.source.start(&[(tp.clone(), from(3))]);
    reader.until_at(&tp, 5);
    assert_eq!(reader.offsets(&tp), [3, 4]);
    assert_eq!(reader.errors.len(), 1);
}

#[test]
fn a_start_elsewhere_drops_what_was_fetched_before() {
    let topic = create_topic("seek", 1);
    let tp = TopicPartition::new(topic, 0);
    send(&producer(None), &tp, numbered(0..20_000));
    let mut reader = Reader::of(&tp, from(0));
    reader.until_at(&tp, 1);
    let epoch = reader.positions[&tp].leader_epoch;
    for start in [15_000, 7, 19_999, 0, 12_345] {
        reader.values.clear();
        reader.positions.clear();
        reader.source.start(&[(tp.clone(), Position::new(start, epoch))]);
        reader.until_at(&tp, (start + 1).min(20_000));
        let offsets = reader.offsets(&tp);
        let expected: Vec<_> = (start..).take(offsets.len()).collect();
        assert_eq!(offsets, expected);
    }
}

#[test]
fn a_pause_holds_back_and_loses_nothing() {
    let topic = create_topic("pause", 2);
    let [tp, other] = [0, 1].map(|partition| TopicPartition::new(topic.clone(), partition));
    let producer = producer(None);
    send(&producer, &tp, numbered(0..10_000));
    let settings = KafkaSettings::new(bootstrap(), &*topic);
    let mut reader = Reader::new(&settings, &Subscription::Static(vec![tp.clone(), other.clone()]));
    reader.until("the assignment", |reader| reader.assigned.len() == 2);
    reader
        .source
        .start(&[(tp.clone(), from(0)), (other.clone(), from(0))]);
    reader.until_at(&tp, 1);
    reader.source.pause(std::slice::from_ref(&tp));
    let held = reader.positions[&tp];
    send(&producer, &other, numbered(0..1));
    reader.until_at(&other, 1);
    assert_eq!(reader.positions[&tp], held);
    reader.source.resume(std::slice::from_ref(&tp));
    reader.until_at(&tp, 10_000);
    assert_eq!(reader.offsets(&tp), (0..10_000).collect::<Vec<_>>());
}

fn a_group_shares_and_hands_over(protocol: GroupProtocol) {
    let topic = create_topic("group", 4);
    let producer = producer(None);
    let tps: Vec<_> = (0..4)
        .map(|partition| TopicPartition::new(topic.clone(), partition))
        .collect();
    for tp in &tps {
        send(&producer, tp, numbered(0..10));
    }
    let mut settings = KafkaSettings::new(bootstrap(), &*topic);
    settings.group_protocol = protocol;
    let subscription = Subscription::Group(vec![topic.clone()]);
    let mut first = Reader::new(&settings, &subscription);
    first.until("all partitions", |reader| reader.assigned.len() == 4);
    // Only some are started: the rest must neither be read nor hold the group up.
    let started: Vec<_> = tps[..3].iter().map(|tp| (tp.clone(), from(2))).collect();
    first.source.start(&started);
    for tp in &tps[..3] {
        first.until_at(tp, 10);
        assert_eq!(first.offsets(tp), (2..10).collect::<Vec<_>>());
    }
    assert!(first.offsets(&tps[3]).is_empty());

    let mut second = Reader::new(&settings, &subscription);
    let begun = Instant::now();
    while second.assigned.len() < 2 || first.assigned.len() > 2 {
        assert!(
            begun.elapsed() < PATIENCE,
            "{:?} {:?}",
            first.assigned,
            second.assigned
        );
        first.poll();
        second.poll();
    }
    assert_eq!(first.revoked.len(), 2);
    let taken: Vec<_> = second.assigned.iter().map(|tp| (tp.clone(), from(5))).collect();
    second.source.start(&taken);
    for (tp, _) in &taken {
        second.until_at(tp, 10);
        assert_eq!(second.offsets(tp), (5..10).collect::<Vec<_>>());
    }
    let kept = first.assigned.clone();
    second.source.mirror(&[(taken[0].0.clone(), 10)]);
    let mut handed_back = Vec::new();
    second.source.close(&mut |event| {
        if let SourceEvent::Revoked(tps) = event {
            handed_back.extend(tps);
        }
    });
    assert_eq!(handed_back.len(), 2);
    first.until("everything again", |reader| reader.assigned.len() == 4);
    assert!(
        kept.iter().all(|tp| !first.revoked.contains(tp)),
        "cooperative: what stays is not revoked"
    );
    assert!(first.errors.is_empty() && second.errors.is_empty());
}

#[test]
fn a_classic_group_shares_and_hands_over() {
    a_group_shares_and_hands_over(GroupProtocol::Classic);
}

#[test]
fn a_kip_848_group_shares_and_hands_over() {
    a_group_shares_and_hands_over(GroupProtocol::Consumer);
}

#[test]
fn a_static_member_comes_back_to_its_partitions() {
    let topic = create_topic("member", 2);
    let mut settings = KafkaSettings::new(bootstrap(), &*topic);
    settings.instance_id = Some("worker-0".to_owned());
    let subscription = Subscription::Group(vec![topic]);
    for _ in 0..2 {
        let mut reader = Reader::new(&settings, &subscription);
        reader.until("the assignment", |reader| reader.assigned.len() == 2);
        reader.source.close(&mut |_| {});
    }
}

#[test]
fn the_broker_tells_topics_apart_and_knows_new_partitions() {
    let topic = create_topic("identity", 2);
    let broker = broker();
    let missing: Arc<str> = Arc::from("no-such-topic");
    let described = broker.describe(&[topic.clone(), missing.clone()]).unwrap();
    let before = described[0].clone().unwrap();
    assert_eq!(before.partitions, [0, 1]);
    assert!(before.identity.cluster_id.is_some() && before.identity.topic_id.is_some());
    assert_eq!(described[1], Err(PartitionError::UnknownTopicOrPartition));
    assert!(broker.topics().unwrap().contains(&topic));

    let more = NewPartitions::new(&topic, 3);
    futures::executor::block_on(admin().create_partitions([&more], &AdminOptions::new())).unwrap();
    eventually("the third partition", || {
        broker.describe(std::slice::from_ref(&topic)).unwrap()[0]
            .as_ref()
            .is_ok_and(|topic| topic.partitions == [0, 1, 2])
    });

    futures::executor::block_on(admin().delete_topics(&[&topic], &AdminOptions::new())).unwrap();
    eventually("the deletion", || {
        broker.describe(std::slice::from_ref(&topic)).unwrap()[0].is_err()
    });
    create_named(&topic, 1);
    eventually("the new topic", || {
        broker.describe(std::slice::from_ref(&topic)).unwrap()[0]
            .as_ref()
            .is_ok_and(|now| now.identity.topic_id != before.identity.topic_id && now.partitions == [0])
    });
}

#[test]
fn offsets_are_answered_for_each_partition_even_beside_an_unknown_one() {
    let topic = create_topic("offsets", 2);
    let tps = [0, 1].map(|partition| TopicPartition::new(topic.clone(), partition));
    let producer = producer(None);
    // Recent ones: retention takes old timestamps away at once.
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    for (ago, value) in [(3_000, "a"), (2_000, "b"), (1_000, "c")] {
        let record = BaseRecord::<(), _>::to(&topic)
            .partition(0)
            .payload(value)
            .timestamp(now - ago);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let broker = broker();
    let unknown = TopicPartition::new("no-such-topic", 0);
    let asked = [tps[0].clone(), tps[1].clone(), unknown];
    let unknown = || Err(PartitionError::UnknownTopicOrPartition);
    let ranges = [
        Ok(LogOffsets { start: 0, end: 3 }),
        Ok(LogOffsets { start: 0, end: 0 }),
    ];
    assert_eq!(broker.offsets(&asked[..2]).unwrap(), ranges);
    assert_eq!(broker.offsets(&asked).unwrap()[2].clone().map(|_| 0), unknown());
    assert_eq!(
        broker.offsets_at(&asked[..2], now - 2_500).unwrap(),
        [Ok(1), Ok(0)]
    );
    assert_eq!(broker.offsets_at(&asked[..1], now).unwrap(), [Ok(3)]);
}

/// A position that the log never had looks to the leader like one that was cut off.
#[test]
fn positions_are_validated_by_their_leader_epochs_and_several_at_once() {
    let topic = create_topic("validate", 3);
    let tps = [0, 1, 2].map(|partition| TopicPartition::new(topic.clone(), partition));
    for tp in &tps[..2] {
        send(&producer(None), tp, numbered(0..5));
    }
    let answers = |asked: [Position; 3]| {
        let asked: Vec<_> = tps.iter().cloned().zip(asked).collect();
        broker().validate(&asked).unwrap()
    };
    let known = |offset| Position::new(offset, Some(0));
    assert_eq!(answers([known(3), known(5), from(0)]), [Ok(()), Ok(()), Ok(())]);
    let refused = answers([known(9), from(9), known(1)]);
    let epoch_end = |answer: &Result<(), PartitionError>| match answer {
        Err(PartitionError::Truncated { epoch_end, .. }) => {
            epoch_end.map(|end| (end.leader_epoch, end.offset))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(epoch_end(&refused[0]), Some((0, 5)), "{refused:?}");
    assert_eq!(refused[1], Err(PartitionError::OutOfRange { offset: 9 }));
    assert_eq!(epoch_end(&refused[2]), Some((0, 0)), "{refused:?}");
}

#[test]
fn an_unreachable_broker_is_an_outage_and_an_error_that_says_so() {
    let settings = KafkaSettings::new("127.0.0.1:1", "g");
    let mut reader = Reader::new(
        &settings,
        &Subscription::Static(vec![TopicPartition::new("t", 0)]),
    );
    reader.until("the outage", |reader| !reader.outages.is_empty());
    let broker = KafkaBroker::new(&settings, Duration::from_millis(500)).unwrap();
    let answer = broker.offsets(&[TopicPartition::new("t", 0)]).unwrap_err();
    assert!(answer.to_string().contains("127.0.0.1:1"), "{answer}");
}

fn eventually(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not seen");
    }
}

#[test]
fn the_broker_tells_how_long_it_keeps_a_topic() {
    let topic = create_topic("kept", 1);
    let told = broker().retention(&[topic, "no-such-topic".into()]).unwrap();
    let week = Retention {
        ms: Some(7 * 24 * 3_600_000),
        bytes: None,
        deletes: true,
    };
    assert_eq!(told, [Ok(week), Err(PartitionError::UnknownTopicOrPartition)]);
}

#[test]
fn the_first_record_from_an_offset_on_tells_its_timestamp() {
    let topic = create_topic("timestamps", 3);
    let tp = |partition| TopicPartition::new(topic.clone(), partition);
    // Young enough for the topic's retention.
    let hour_ago = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap() - 3_600_000;
    let at = |partition: i32, number: i64| hour_ago + 1_000_000 * i64::from(partition) + number;
    let producer = producer(None);
    // Far more than a queue of one message, so that one partition could hold up the others.
    for partition in 0..2 {
        for number in 0..2_000 {
            let record = BaseRecord::<(), _>::to(&topic)
                .partition(partition)
                .timestamp(at(partition, number))
                .payload("v");
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
    }
    producer.flush(PATIENCE).unwrap();
    let broker = broker();
    let told = broker
        .timestamps(&[(tp(0), 0), (tp(1), 1_234), (tp(2), 0)])
        .unwrap();
    assert_eq!(told, [Some(at(0, 0)), Some(at(1, 1_234)), None]);
    let again = broker.timestamps(&[(tp(1), 1_999), (tp(0), 7)]).unwrap();
    assert_eq!(again, [Some(at(1, 1_999)), Some(at(0, 7))], "the client is kept");
}
