//! Reads ranges of topic partitions again, and tells which offsets have a record.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use roaring::RoaringTreemap;
use tabletopic_offsets::{Offset, OffsetRange, RangeSet, TopicPartition};
use tabletopic_source::{PartitionError, Position, Source, SourceError, SourceEvent, Subscription};

/// How long nothing at all may come.
const PATIENCE: Duration = Duration::from_secs(30);

const WAIT: Duration = Duration::from_millis(100);

type Found = BTreeMap<TopicPartition, RoaringTreemap>;

/// What is still to be read of each topic partition; the first range is being read.
type Ahead = BTreeMap<TopicPartition, VecDeque<OffsetRange>>;

/// What came of it.
#[derive(Debug, Default)]
pub struct ReadBack {
    /// Offsets that have a record.
    pub found: Found,
    /// What retention dropped meanwhile.
    pub gone: BTreeMap<TopicPartition, RangeSet>,
    /// What was not read, and why.
    pub unread: BTreeMap<TopicPartition, (RangeSet, String)>,
}

/// Reads all of `wanted`. `Err`: why it could not be read. Where a log begins above a range meanwhile, as `log_start`
/// says, reading goes on from there.
pub fn read_back(
    make: &(dyn Fn() -> Result<Box<dyn Source>, SourceError> + Send + Sync),
    log_start: &dyn Fn(&TopicPartition) -> Result<Offset, String>,
    wanted: BTreeMap<TopicPartition, Vec<OffsetRange>>,
) -> Result<ReadBack, String> {
    let mut source = make().map_err(|error| error.to_string())?;
    let read = read(source.as_mut(), log_start, wanted);
    source.close(&mut |_| {});
    read
}

/// Takes away what lies below the start of a log.
fn drop_below(ranges: &mut VecDeque<OffsetRange>, start: Offset) -> RangeSet {
    let mut gone = RangeSet::new();
    while let Some(range) = ranges.pop_front() {
        if range.start < start {
            gone.insert(OffsetRange::new(range.start, range.end.min(start)));
        }
        if range.end > start {
            ranges.push_front(OffsetRange::new(range.start.max(start), range.end));
            break;
        }
    }
    gone
}

fn read(
    source: &mut dyn Source,
    log_start: &dyn Fn(&TopicPartition) -> Result<Offset, String>,
    wanted: BTreeMap<TopicPartition, Vec<OffsetRange>>,
) -> Result<ReadBack, String> {
    let (mut gone, mut unread) = (BTreeMap::<_, RangeSet>::new(), BTreeMap::new());
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
        let (mut failed, mut outage, mut out_of_range) = (None, None, Vec::new());
        let mut quiet = true;
        source.poll(WAIT, &mut |event| match event {
            SourceEvent::Assigned(tps) => starts.extend(tps),
            SourceEvent::Records { topic, records } => {
                quiet = false;
                for record in records {
                    let tp = TopicPartition::new(topic.clone(), record.partition);
                    // What comes at once may go over several of them.
                    let range = ahead.get(&tp).and_then(|ranges| {
                        ranges.get(ranges.partition_point(|range| range.end <= record.offset))
                    });
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
            // Retention was faster.
            SourceEvent::PartitionError {
                tp,
                error: PartitionError::OutOfRange { .. },
            } => out_of_range.push(tp),
            SourceEvent::PartitionError { tp, error } => failed = Some(format!("{tp}: {error}")),
            SourceEvent::Fatal(why) => failed = Some(why),
            SourceEvent::Outage(why) => outage = Some(why),
            SourceEvent::Revoked(_) | SourceEvent::Lost(_) => {}
        });
        if let Some(why) = failed {
            return Err(why);
        }
        for tp in out_of_range {
            let Some(ranges) = ahead.get_mut(&tp) else {
                continue;
            };
            let below = log_start(&tp).map(|start| (start, drop_below(ranges, start)));
            let why = match below {
                Ok((_, below)) if !below.is_empty() => {
                    let gone = gone.entry(tp.clone()).or_default();
                    below.ranges().iter().for_each(|range| gone.insert(*range));
                    match ranges.is_empty() {
                        true => done.push(tp),
                        false => starts.push(tp),
                    }
                    continue;
                }
                Ok((start, _)) => format!("it is not in the log, which begins at {start}"),
                Err(why) => why,
            };
            unread.insert(tp.clone(), (ranges.iter().copied().collect(), why));
            done.push(tp);
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
    Ok(ReadBack { found, gone, unread })
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
        let read = read_back(&make, &|_| Ok(0), wanted).unwrap();
        assert_eq!(read.found[&zero].iter().collect::<Vec<_>>(), [3, 4, 400, 401]);
        assert_eq!(read.found[&one].iter().collect::<Vec<_>>(), [498, 499]);
        assert!(read.gone.is_empty() && read.unread.is_empty(), "{read:?}");
    }

    #[test]
    fn where_retention_was_faster_reading_goes_on_at_the_new_start() {
        let broker = MemoryBroker::new("c");
        broker.create_topic("orders", 1);
        let zero = TopicPartition::new("orders", 0);
        for _ in 0..500 {
            broker.append(&zero, MemoryRecord::default());
        }
        broker.delete_records(&zero, 401);
        let make = move || -> Result<Box<dyn Source>, SourceError> { Ok(Box::new(broker.member("audit"))) };
        let wanted = || {
            let ranges = [(3, 5), (400, 402), (450, 451)];
            let ranges = ranges.map(|(start, end)| OffsetRange::new(start, end));
            BTreeMap::from([(zero.clone(), ranges.to_vec())])
        };
        let read = read_back(&make, &|_| Ok(401), wanted()).unwrap();
        assert_eq!(read.found[&zero].iter().collect::<Vec<_>>(), [401, 450]);
        let gone = [OffsetRange::new(3, 5), OffsetRange::new(400, 401)];
        assert_eq!(read.gone[&zero].ranges(), gone);
        assert!(read.unread.is_empty(), "{read:?}");

        // Whoever can't say where the log begins has not read it.
        let read = read_back(&make, &|_| Err("no answer".to_owned()), wanted()).unwrap();
        assert_eq!(read.unread[&zero].0.len_offsets(), 5);
        assert!(read.gone.is_empty(), "{read:?}");
    }
}
