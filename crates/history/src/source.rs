//! A [`Source`] over a log that a table holds.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tabletopic_offsets::{Offset, TopicPartition};
use tabletopic_records::Record;
use tabletopic_source::{PartitionError, Position, Source, SourceEvent, Subscription};
use tokio::runtime::Handle;

use crate::reader::{Piece, Reader, Run};
use crate::rows::{RowHeaders, Rows};
use crate::sorted::MOST_HELD;
use crate::{History, HistoryError};

/// Records that a poll hands out at most, as the client of Kafka does.
const BATCH: usize = 3_000;

/// How often reading fails in a row, with a pause that doubles, before it is given up.
const MOST_FAILURES: u32 = 5;

/// Hands out the records of a [`History`]. Each row group is read once for all partitions that go on together; one that
/// was paused while others went on is read anew from where it stood. Leader epochs are not known.
///
/// A member of a group gets all partitions: nobody else reads the same history.
#[derive(Debug)]
pub struct HistorySource {
    history: History,
    runtime: Handle,
    partitions: BTreeMap<i32, Reading>,
    /// What the next poll tells first.
    news: Vec<News>,
    reader: Option<Reader>,
    /// What the reader hands on is no longer what is wanted.
    outdated: bool,
    /// What was taken from the reader and not handed out yet.
    piece: Option<(Box<Rows>, VecDeque<Run>)>,
    failures: u32,
    /// Bytes of rows that may be held to sort them.
    most_held: usize,
}

#[derive(Debug, Default)]
struct Reading {
    /// `None`: not started, or stopped by an error.
    at: Option<Offset>,
    paused: bool,
    /// The reader has gone on without it.
    left_behind: bool,
}

#[derive(Debug)]
enum News {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
    Stopped(TopicPartition, PartitionError),
}

impl HistorySource {
    pub(crate) fn new(history: History, runtime: Handle) -> Self {
        Self {
            history,
            runtime,
            partitions: BTreeMap::new(),
            news: Vec::new(),
            reader: None,
            outdated: false,
            piece: None,
            failures: 0,
            most_held: MOST_HELD,
        }
    }

    /// Holds so many bytes of rows at most to sort them, in the place of [`MOST_HELD`]. With less of it, row groups that
    /// overlap are read more often.
    pub fn holding(self, most: usize) -> Self {
        Self {
            most_held: most,
            ..self
        }
    }

    fn tell_news(&mut self, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        for news in self.news.drain(..) {
            on_event(match news {
                News::Assigned(partitions) => SourceEvent::Assigned(partitions),
                News::Revoked(partitions) => SourceEvent::Revoked(partitions),
                News::Stopped(tp, error) => SourceEvent::PartitionError { tp, error },
            });
        }
    }

    fn end(&self, partition: i32) -> Offset {
        self.history.partitions()[&partition].offsets.end
    }

    /// Partitions with something left to read, and where each stands.
    fn wanted(&self) -> BTreeMap<i32, Offset> {
        let wanted = self.partitions.iter().filter(|(_, reading)| !reading.paused);
        wanted
            .filter_map(|(partition, reading)| Some((*partition, reading.at?)))
            .filter(|(partition, at)| *at < self.end(*partition))
            .collect()
    }

    /// Reads what is wanted now, each partition from where it stands.
    fn read_anew(&mut self, after: Duration) {
        self.outdated = false;
        self.piece = None;
        let wanted = self.wanted();
        for (partition, reading) in &mut self.partitions {
            reading.left_behind = !wanted.contains_key(partition);
        }
        let history = self.history.clone();
        self.reader = (!wanted.is_empty())
            .then(|| Reader::start(history, wanted, after, self.most_held, &self.runtime));
    }

    /// Takes the next piece. `false`: none came in time, or none can come.
    fn take(&mut self, wait: Duration, on_event: &mut dyn FnMut(SourceEvent<'_>)) -> bool {
        let Some(reader) = &mut self.reader else {
            return false;
        };
        let taken = self
            .runtime
            .block_on(async { tokio::time::timeout(wait, reader.pieces.recv()).await });
        match taken {
            Err(_) => false,
            Ok(Some(Ok(Piece::Rows(rows, runs)))) => {
                self.failures = 0;
                self.piece = Some((rows, runs.into()));
                true
            }
            Ok(Some(Ok(Piece::Reached(reached)))) => {
                self.failures = 0;
                self.pass_over(&reached, on_event)
            }
            Ok(Some(Err(error))) => {
                self.failed(&error, on_event);
                false
            }
            Ok(None) => {
                self.reader = None;
                if !self.wanted().is_empty() {
                    let says = format!(
                        "reading {} ended unexpectedly; what it said is in the log",
                        self.history.table()
                    );
                    on_event(SourceEvent::Fatal(says));
                }
                false
            }
        }
    }

    /// Positions move over offsets without a row. Answers whether there is more to take at once.
    fn pass_over(&mut self, reached: &[(i32, Offset)], on_event: &mut dyn FnMut(SourceEvent<'_>)) -> bool {
        let mut moved = Vec::new();
        for (partition, offset) in reached {
            let Some(reading) = self.partitions.get_mut(partition) else {
                continue;
            };
            if reading.paused || reading.left_behind {
                reading.left_behind = true;
                continue;
            }
            if let Some(at) = reading.at.as_mut().filter(|at| **at < *offset) {
                *at = *offset;
                let tp = self.history.topic_partition(*partition);
                moved.push((tp, Position::new(*offset, None)));
            }
        }
        if !moved.is_empty() {
            on_event(SourceEvent::Positions(&moved));
        }
        moved.is_empty()
    }

    fn failed(&mut self, error: &HistoryError, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        self.failures += 1;
        if !error.is_transient() || self.failures == MOST_FAILURES {
            self.reader = None;
            on_event(SourceEvent::Fatal(error.to_string()));
            return;
        }
        on_event(SourceEvent::Outage(error.to_string()));
        self.read_anew(Duration::from_secs(1 << (self.failures - 1)));
    }

    /// Hands out records of the piece. `false`: there are none left that anybody wants.
    fn hand_out(&mut self, on_event: &mut dyn FnMut(SourceEvent<'_>)) -> bool {
        let Some((rows, mut runs)) = self.piece.take() else {
            return false;
        };
        let chosen = self.choose(&mut runs);
        let mut moved = BTreeMap::new();
        let each = || {
            chosen
                .iter()
                .flat_map(|run| run.rows.clone().map(|row| (run.partition, row)))
        };
        let headers: Vec<RowHeaders<'_>> = each().map(|(_, row)| rows.headers(row)).collect();
        let records = each().zip(&headers);
        let records: Vec<Record<'_>> = records
            .map(|((partition, row), headers)| rows.record(row, partition, headers))
            .collect();
        let mut last = 0;
        for run in &chosen {
            last += run.rows.len();
            moved.insert(run.partition, records[last - 1].offset + 1);
        }
        if !records.is_empty() {
            let topic = &self.history.identity().topic;
            on_event(SourceEvent::Records {
                topic,
                records: &records,
            });
        }
        let mut positions = Vec::with_capacity(moved.len());
        for (partition, offset) in moved {
            let tp = self.history.topic_partition(partition);
            positions.push((tp, Position::new(offset, None)));
            if let Some(reading) = self.partitions.get_mut(&partition) {
                reading.at = Some(offset);
            }
        }
        if !positions.is_empty() {
            on_event(SourceEvent::Positions(&positions));
        }
        if !runs.is_empty() {
            self.piece = Some((rows, runs));
        }
        !positions.is_empty()
    }

    /// Takes a batch off the runs. Those of partitions that nobody wants now are left behind.
    fn choose(&mut self, runs: &mut VecDeque<Run>) -> Vec<Run> {
        let (mut chosen, mut left) = (Vec::new(), BATCH);
        while left > 0
            && let Some(mut run) = runs.pop_front()
        {
            let Some(reading) = self.partitions.get_mut(&run.partition) else {
                continue;
            };
            if reading.paused || reading.left_behind || reading.at.is_none() {
                reading.left_behind = true;
                continue;
            }
            if run.rows.len() > left {
                let rest = run.rows.start + left..run.rows.end;
                run.rows.end = rest.start;
                runs.push_front(Run {
                    partition: run.partition,
                    rows: rest,
                });
            }
            left -= run.rows.len();
            chosen.push(run);
        }
        chosen
    }
}

impl Source for HistorySource {
    fn subscribe(&mut self, subscription: &Subscription) {
        let topic = self.history.identity().topic.clone();
        let all: Vec<i32> = self.history.partitions().keys().copied().collect();
        let mut wanted = Vec::new();
        match subscription {
            Subscription::Group(topics) if topics.contains(&topic) => wanted = all,
            Subscription::Group(_) => {}
            Subscription::Static(partitions) => {
                for tp in partitions {
                    match tp.topic == topic && all.contains(&tp.partition) {
                        true => wanted.push(tp.partition),
                        false => {
                            let unknown = PartitionError::UnknownTopicOrPartition;
                            self.news.push(News::Stopped(tp.clone(), unknown));
                        }
                    }
                }
            }
        }
        let gone = self.partitions.keys().filter(|number| !wanted.contains(number));
        let gone: Vec<i32> = gone.copied().collect();
        let new = wanted
            .into_iter()
            .filter(|number| !self.partitions.contains_key(number));
        let new: Vec<i32> = new.collect();
        let named = |numbers: &[i32]| numbers.iter().map(|n| self.history.topic_partition(*n)).collect();
        if !gone.is_empty() {
            self.news.push(News::Revoked(named(&gone)));
        }
        if !new.is_empty() {
            self.news.push(News::Assigned(named(&new)));
        }
        self.outdated |= !gone.is_empty();
        self.partitions.retain(|number, _| !gone.contains(number));
        let new = new.into_iter().map(|number| (number, Reading::default()));
        self.partitions.extend(new);
    }

    fn poll(&mut self, wait: Duration, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        self.tell_news(on_event);
        if self.outdated {
            self.read_anew(Duration::ZERO);
        }
        if self.wanted().is_empty() || self.reader.is_none() {
            // Only a call of the same thread can change that.
            self.runtime.block_on(async { tokio::time::sleep(wait).await });
            return;
        }
        while !self.hand_out(on_event) {
            if !self.take(wait, on_event) {
                return;
            }
        }
    }

    fn start(&mut self, at: &[(TopicPartition, Position)]) {
        for (tp, position) in at {
            let ours = tp.topic == self.history.identity().topic;
            let Some(reading) = self.partitions.get_mut(&tp.partition).filter(|_| ours) else {
                continue;
            };
            let log = self.history.partitions()[&tp.partition].offsets;
            let inside = log.start <= position.offset && position.offset <= log.end;
            *reading = Reading {
                at: inside.then_some(position.offset),
                ..Reading::default()
            };
            if !inside {
                let offset = position.offset;
                let error = PartitionError::OutOfRange { offset };
                self.news.push(News::Stopped(tp.clone(), error));
            }
            self.outdated = true;
        }
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        for tp in partitions {
            if let Some(reading) = self.partitions.get_mut(&tp.partition) {
                reading.paused = true;
            }
        }
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        for tp in partitions {
            if let Some(reading) = self.partitions.get_mut(&tp.partition) {
                reading.paused = false;
                self.outdated |= reading.left_behind;
            }
        }
    }

    /// There is no group, and nobody who asks for its lag.
    fn mirror(&mut self, _offsets: &[(TopicPartition, Offset)]) {}

    fn close(&mut self, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        self.tell_news(on_event);
        self.reader = None;
        self.piece = None;
        let held = std::mem::take(&mut self.partitions).into_keys();
        let held: Vec<TopicPartition> = held.map(|number| self.history.topic_partition(number)).collect();
        if !held.is_empty() {
            on_event(SourceEvent::Revoked(held));
        }
    }
}
