use std::sync::Arc;
use std::time::Duration;

use tabletopic_offsets::{Offset, TopicPartition};

use super::{MemoryBroker, MemoryRecord, MemorySource};
use crate::{Broker, EpochEnd, LogOffsets, PartitionError, Position, Source, SourceEvent, Subscription};

/// Events in words, so that a test states a whole poll at once.
fn poll(source: &mut MemorySource) -> Vec<String> {
    let mut seen = Vec::new();
    source.poll(Duration::ZERO, &mut |event| seen.push(describe(event)));
    seen
}

fn describe(event: SourceEvent<'_>) -> String {
    let names = |tps: Vec<TopicPartition>| tps.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    match event {
        SourceEvent::Assigned(tps) => format!("assigned {}", names(tps)),
        SourceEvent::Revoked(tps) => format!("revoked {}", names(tps)),
        SourceEvent::Lost(tps) => format!("lost {}", names(tps)),
        SourceEvent::Records { topic, records } => {
            let records: Vec<_> = records
                .iter()
                .map(|record| {
                    let value = record.value.map_or("null".into(), String::from_utf8_lossy);
                    format!("{}@{}={value}", record.partition, record.offset)
                })
                .collect();
            format!("records {topic} {}", records.join(" "))
        }
        SourceEvent::Positions(moved) => {
            let moved: Vec<_> = moved
                .iter()
                .map(|(tp, at)| format!("{tp}:{}e{}", at.offset, at.leader_epoch.unwrap_or(-1)))
                .collect();
            format!("positions {}", moved.join(" "))
        }
        SourceEvent::PartitionError { tp, error } => format!("error {tp} {error:?}"),
        SourceEvent::Outage(reason) => format!("outage {reason}"),
        SourceEvent::Fatal(reason) => format!("fatal {reason}"),
    }
}

fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn from(offset: Offset) -> Position {
    Position::new(offset, None)
}

/// A broker with `orders` of two partitions, and member `m` that was handed both.
fn orders() -> (MemoryBroker, MemorySource) {
    let broker = MemoryBroker::new("c");
    broker.create_topic("orders", 2);
    let mut source = broker.member("m");
    broker.assign("m", &[tp("orders", 0), tp("orders", 1)]);
    assert_eq!(poll(&mut source), ["assigned orders/0 orders/1"]);
    (broker, source)
}

#[test]
fn nothing_is_read_before_start_and_partitions_share_a_batch() {
    let (broker, mut source) = orders();
    broker.append(&tp("orders", 0), MemoryRecord::value("a"));
    broker.append(&tp("orders", 1), MemoryRecord::value("b"));
    broker.append(&tp("orders", 1), MemoryRecord::value("c"));
    assert!(poll(&mut source).is_empty());

    source.start(&[(tp("orders", 0), from(0)), (tp("orders", 1), from(1))]);
    assert_eq!(
        poll(&mut source),
        [
            "records orders 0@0=a 1@1=c",
            "positions orders/0:1e0 orders/1:2e0"
        ]
    );
    assert!(poll(&mut source).is_empty());
}

#[test]
fn control_records_move_the_position_without_records() {
    let (broker, mut source) = orders();
    broker.append(&tp("orders", 0), MemoryRecord::value("a"));
    source.start(&[(tp("orders", 0), from(0))]);
    poll(&mut source);
    broker.append_control(&tp("orders", 0), 3);
    assert_eq!(poll(&mut source), ["positions orders/0:4e0"]);
}

#[test]
fn an_open_transaction_holds_the_position() {
    let (broker, mut source) = orders();
    let orders = tp("orders", 0);
    for value in ["a", "b"] {
        broker.append(&orders, MemoryRecord::value(value));
    }
    broker.hold_stable_offset(&orders, Some(1));
    source.start(&[(orders.clone(), from(0))]);
    assert_eq!(
        poll(&mut source),
        ["records orders 0@0=a", "positions orders/0:1e0"]
    );
    assert_eq!(
        broker.offsets(std::slice::from_ref(&orders)),
        Ok(vec![Ok(LogOffsets { start: 0, end: 1 })])
    );
    broker.hold_stable_offset(&orders, None);
    assert_eq!(
        poll(&mut source),
        ["records orders 0@1=b", "positions orders/0:2e0"]
    );
}

#[test]
fn batches_are_bounded_and_a_seek_reads_again() {
    let broker = MemoryBroker::new("c");
    broker.create_topic("t", 1);
    for value in ["a", "b", "c"] {
        broker.append(&tp("t", 0), MemoryRecord::value(value));
    }
    broker.compact(&tp("t", 0), 1);
    let mut source = broker.member("m").batch_records(1);
    source.subscribe(&Subscription::Static(vec![tp("t", 0)]));
    assert_eq!(poll(&mut source), ["assigned t/0"]);
    source.start(&[(tp("t", 0), from(0))]);
    assert_eq!(poll(&mut source), ["records t 0@0=a", "positions t/0:1e0"]);
    assert_eq!(poll(&mut source), ["records t 0@2=c", "positions t/0:3e0"]);
    source.start(&[(tp("t", 0), from(2))]);
    assert_eq!(poll(&mut source), ["records t 0@2=c", "positions t/0:3e0"]);
    source.subscribe(&Subscription::Static(Vec::new()));
    assert_eq!(poll(&mut source), ["revoked t/0"]);
}

#[test]
fn retention_past_the_reader_stops_that_partition_only() {
    let (broker, mut source) = orders();
    for partition in [0, 1] {
        for value in ["a", "b"] {
            broker.append(&tp("orders", partition), MemoryRecord::value(value));
        }
    }
    broker.delete_records(&tp("orders", 0), 1);
    source.start(&[(tp("orders", 0), from(0)), (tp("orders", 1), from(0))]);
    assert_eq!(
        poll(&mut source),
        [
            "records orders 1@0=a 1@1=b",
            "positions orders/1:2e0",
            "error orders/0 OutOfRange { offset: 0 }"
        ]
    );
    assert!(poll(&mut source).is_empty());
    source.start(&[(tp("orders", 0), from(1))]);
    assert_eq!(
        poll(&mut source),
        ["records orders 0@1=b", "positions orders/0:2e0"]
    );
}

#[test]
fn a_log_cut_and_rewritten_is_noticed_by_its_epoch() {
    let (broker, mut source) = orders();
    let orders = tp("orders", 0);
    for value in ["a", "b", "c"] {
        broker.append(&orders, MemoryRecord::value(value));
    }
    broker.truncate(&orders, 1);
    for value in ["x", "y", "z"] {
        broker.append(&orders, MemoryRecord::value(value));
    }
    source.start(&[(orders.clone(), Position::new(3, Some(0)))]);
    assert_eq!(
        poll(&mut source),
        [
            "error orders/0 Truncated { epoch_end: Some(EpochEnd { leader_epoch: 0, offset: 1 }), detail: \"leader epoch \
             0 ends at 1, not at 3\" }"
        ]
    );
    source.start(&[(orders.clone(), Position::new(1, Some(0)))]);
    assert_eq!(
        poll(&mut source),
        ["records orders 0@1=x 0@2=y 0@3=z", "positions orders/0:4e1"]
    );
    broker.elect_leader(&orders);
    broker.append(&orders, MemoryRecord::value("w"));
    assert_eq!(
        poll(&mut source),
        ["records orders 0@4=w", "positions orders/0:5e2"]
    );
}

#[test]
fn a_broker_says_whether_a_log_still_leads_to_a_position() {
    let (broker, _source) = orders();
    let orders = tp("orders", 0);
    for _ in 0..2 {
        for value in ["a", "b", "c"] {
            broker.append(&orders, MemoryRecord::value(value));
        }
        broker.elect_leader(&orders);
    }
    broker.append(&orders, MemoryRecord::value("d"));
    let ask = |offset, epoch| {
        let asked = [(orders.clone(), Position::new(offset, epoch))];
        broker.validate(&asked).unwrap().remove(0)
    };
    let cut_at = |leader_epoch, offset| Some(EpochEnd { leader_epoch, offset });
    let answer = |offset, epoch| match ask(offset, Some(epoch)) {
        Err(PartitionError::Truncated { epoch_end, .. }) => epoch_end,
        other => panic!("{other:?}"),
    };
    assert_eq!(ask(7, Some(2)), Ok(()));
    assert_eq!(ask(8, None), Err(PartitionError::OutOfRange { offset: 8 }));
    broker.truncate(&orders, 5);
    broker.append(&orders, MemoryRecord::value("e"));
    assert_eq!(answer(7, 2), cut_at(1, 5), "nothing is left of epoch 2");
    assert_eq!(answer(6, 1), cut_at(1, 5));
    assert_eq!(
        (ask(5, Some(1)), ask(3, Some(0)), ask(6, None)),
        (Ok(()), Ok(()), Ok(()))
    );
    assert_eq!(
        broker.validate(&[(tp("orders", 9), from(0))]),
        Ok(vec![Err(PartitionError::UnknownTopicOrPartition)])
    );
}

#[test]
fn a_recreated_topic_has_another_id_and_a_deleted_one_is_unknown() {
    let (broker, mut source) = orders();
    let id = |broker: &MemoryBroker| {
        let described = broker.describe(&[Arc::from("orders")]).unwrap();
        described
            .into_iter()
            .next()
            .unwrap()
            .map(|topic| (topic.identity.topic_id, topic.partitions))
    };
    assert_eq!(id(&broker), Ok((Some("topic-1".to_owned()), vec![0, 1])));
    source.start(&[(tp("orders", 0), from(0))]);
    broker.delete_topic("orders");
    assert_eq!(id(&broker), Err(PartitionError::UnknownTopicOrPartition));
    assert_eq!(poll(&mut source), ["error orders/0 UnknownTopicOrPartition"]);
    broker.create_topic("orders", 1);
    broker.add_partitions("orders", 2);
    assert_eq!(id(&broker), Ok((Some("topic-2".to_owned()), vec![0, 1, 2])));
}

#[test]
fn partitions_move_between_members() {
    let (broker, mut source) = orders();
    let mut other = broker.member("n");
    broker.append(&tp("orders", 1), MemoryRecord::value("a"));
    source.start(&[(tp("orders", 1), from(0))]);
    broker.revoke("m", &[tp("orders", 1)]);
    broker.assign("n", &[tp("orders", 1)]);
    assert_eq!(poll(&mut source), ["revoked orders/1"]);
    source.start(&[(tp("orders", 1), from(0))]); // too late: passed over
    assert!(poll(&mut source).is_empty());
    assert_eq!(poll(&mut other), ["assigned orders/1"]);
    other.start(&[(tp("orders", 1), from(0))]);
    assert_eq!(
        poll(&mut other),
        ["records orders 1@0=a", "positions orders/1:1e0"]
    );
    broker.lose("n", &[tp("orders", 1)]);
    assert_eq!(poll(&mut other), ["lost orders/1"]);
    let mut seen = Vec::new();
    source.close(&mut |event| seen.push(describe(event)));
    assert_eq!(seen, ["revoked orders/0"]);
}

#[test]
fn a_pause_holds_records_back_and_an_outage_everything() {
    let (broker, mut source) = orders();
    let orders = tp("orders", 0);
    source.start(&[(orders.clone(), from(0))]);
    source.pause(std::slice::from_ref(&orders));
    broker.append(&orders, MemoryRecord::value("a"));
    assert!(poll(&mut source).is_empty());
    source.resume(std::slice::from_ref(&orders));
    broker.outage(Some("down"));
    assert_eq!(poll(&mut source), ["outage down"]);
    assert!(broker.topics().is_err());
    broker.outage(None);
    assert_eq!(
        poll(&mut source),
        ["records orders 0@0=a", "positions orders/0:1e0"]
    );
    source.mirror(&[(orders.clone(), 1)]);
    assert_eq!(broker.mirrored(&orders), Some(1));
}

#[test]
fn offsets_by_time_are_those_of_the_first_record_at_or_after_it() {
    let (broker, _source) = orders();
    for timestamp in [10, 20] {
        broker.append(
            &tp("orders", 0),
            MemoryRecord {
                timestamp: Some(timestamp),
                ..MemoryRecord::default()
            },
        );
    }
    let at = |timestamp| {
        broker
            .offsets_at(&[tp("orders", 0), tp("orders", 9)], timestamp)
            .unwrap()
    };
    assert_eq!(at(11), [Ok(1), Err(PartitionError::UnknownTopicOrPartition)]);
    assert_eq!(at(21)[0], Ok(2));
}
