//! Reads ranges of topic partitions again, and tells which offsets have a record.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use roaring::RoaringTreemap;
use tabletopic_offsets::{OffsetRange, TopicPartition};
use tabletopic_source::{PartitionError, Position, Source, SourceError, SourceEvent, Subscription};

/// How long nothing at all may come.
const PATIENCE: Duration = Duration::from_secs(30);

const WAIT: Duration = Duration::from_millis(100);

type Found = BTreeMap<TopicPartition, RoaringTreemap>;

/// What is still to be read of each topic partition; the first range is being read.
type Ahead = BTreeMap<TopicPartition, VecDeque<OffsetRange>>;

/// Reads all of `wanted`. `Err`: why it could not be read. What the broker has dropped meanwhile is passed over.
pub fn read_back(
    make: &(dyn Fn() -> Result<Box<dyn Source>, SourceError> + Send + Sync),
    wanted: BTreeMap<TopicPartition, Vec<OffsetRange>>,
) -> Result<Found, String> {
    let mut source = make().map_err(|error| error.to_string())?;
    let read = read(source.as_mut(), wanted);
    source.close(&mut |_| {});
    read
}

fn read(
    source: &mut dyn Source,
    wanted: BTreeMap<TopicPartition, Vec<OffsetRange>>,
) -> Result<Found, String> {
    let mut found: Found = wanted
        .keys()
        .map(|tp| (tp.clone(), RoaringTreemap::new()))
        .collect();
    let mut ahead: Ahead = wanted
        .into_iter()
        .map(|(tp, ranges)| (tp, ranges.into()))
        .collect();
    source.subscribe(&Subscription::Static(ahead.keys().cloned().collect()));
    let mut moved = Instant::now();
    while !ahead.is_empty() {
        let (mut starts, mut done) = (Vec::new(), Vec::new());
        let (mut failed, mut outage) = (None, None);
        let mut quiet = true;
        source.poll(WAIT, &mut |event| match event {
            SourceEvent::Assigned(tps) => starts.extend(tps),
            SourceEvent::Records { topic, records } => {
                quiet = false;
                for record in records {
                    let tp = TopicPartition::new(topic.clone(), record.partition);
                    let range = ahead.get(&tp).and_then(|ranges| ranges.front());
                    if range.is_some_and(|range| range.contains(record.offset))
                        && let Some(found) = found.get_mut(&tp)
                    {
                        found.insert(record.offset as u64);
                    }
                }
            }
            SourceEvent::Positions(positions) => {
                quiet = false;
                for (tp, position) in positions {
                    let Some(ranges) = ahead.get_mut(tp) else { continue };
                    let before = ranges.len();
                    while ranges.front().is_some_and(|range| range.end <= position.offset) {
                        ranges.pop_front();
                    }
                    match ranges.front() {
                        None => done.push(tp.clone()),
                        // What lies between is not read.
                        Some(next) if ranges.len() < before && position.offset < next.start => {
                            starts.push(tp.clone())
                        }
                        Some(_) => {}
                    }
                }
            }
            // Retention was faster: what is gone from there rests on the table.
            SourceEvent::PartitionError {
                tp,
                error: PartitionError::OutOfRange { .. },
            } => done.push(tp),
            SourceEvent::PartitionError { tp, error } => failed = Some(format!("{tp}: {error}")),
            SourceEvent::Fatal(why) => failed = Some(why),
            SourceEvent::Outage(why) => outage = Some(why),
            SourceEvent::Revoked(_) | SourceEvent::Lost(_) => {}
        });
        if let Some(why) = failed {
            return Err(why);
        }
        for tp in &done {
            ahead.remove(tp);
        }
        source.pause(&done);
        let at = starts.iter().filter_map(|tp| {
            let range = ahead.get(tp)?.front()?;
            Some((tp.clone(), Position::new(range.start, None)))
        });
        let at: Vec<_> = at.collect();
        if !at.is_empty() {
            source.start(&at);
        }
        if !quiet || !at.is_empty() {
            moved = Instant::now();
        } else if moved.elapsed() > PATIENCE {
            let why = outage.unwrap_or_else(|| format!("nothing came for {} s", PATIENCE.as_secs()));
            return Err(format!("offsets without a row could not be read back: {why}"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use tabletopic_source::{MemoryBroker, MemoryRecord};

    use super::*;

    #[test]
    fn records_of_the_ranges_are_found_and_control_records_are_none() {
        let broker = MemoryBroker::new("c");
        broker.create_topic("orders", 2);
        let (zero, one) = (TopicPartition::new("orders", 0), TopicPartition::new("orders", 1));
        for tp in [&zero, &one] {
            for _ in 0..500 {
                broker.append(tp, MemoryRecord::default());
            }
            broker.append_control(tp, 10);
        }
        let make = move || -> Result<Box<dyn Source>, SourceError> { Ok(Box::new(broker.member("audit"))) };
        let wanted = BTreeMap::from([
            (
                zero.clone(),
                vec![OffsetRange::new(3, 5), OffsetRange::new(400, 402)],
            ),
            (one.clone(), vec![OffsetRange::new(498, 510)]),
        ]);
        let found = read_back(&make, wanted).unwrap();
        assert_eq!(found[&zero].iter().collect::<Vec<_>>(), [3, 4, 400, 401]);
        assert_eq!(found[&one].iter().collect::<Vec<_>>(), [498, 499]);
    }
}
