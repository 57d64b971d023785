//! Reads each partition from the table up to its end, and from the topic on.

use std::collections::BTreeSet;
use std::time::Duration;

use tabletopic_history::History;
use tabletopic_offsets::{Offset, TopicPartition};
use tabletopic_source::{Position, Source, SourceEvent, Subscription};

use super::end;

/// See the module.
pub struct Chained {
    first: Box<dyn Source>,
    then: Box<dyn Source>,
    history: History,
    /// Partitions that are read from the table now.
    in_first: BTreeSet<TopicPartition>,
    paused: BTreeSet<TopicPartition>,
}

impl Chained {
    pub fn new(first: Box<dyn Source>, then: Box<dyn Source>, history: History) -> Self {
        Self {
            first,
            then,
            history,
            in_first: BTreeSet::new(),
            paused: BTreeSet::new(),
        }
    }

    fn split(&self, partitions: &[TopicPartition]) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
        let in_first = |tp: &TopicPartition| self.in_first.contains(tp);
        partitions.iter().cloned().partition(in_first)
    }

    /// Partitions that the table has been read of.
    fn go_on(&mut self, ended: Vec<(TopicPartition, Position)>) {
        if ended.is_empty() {
            return;
        }
        let partitions: Vec<_> = ended.iter().map(|(tp, _)| tp.clone()).collect();
        self.first.pause(&partitions);
        self.in_first.retain(|tp| !partitions.contains(tp));
        self.then.start(&ended);
        let paused: Vec<_> = partitions
            .into_iter()
            .filter(|tp| self.paused.contains(tp))
            .collect();
        if !paused.is_empty() {
            self.then.pause(&paused);
        }
    }
}

impl Source for Chained {
    fn subscribe(&mut self, subscription: &Subscription) {
        let known = |tp: &TopicPartition| end(&self.history, tp).is_some();
        // The table has no partitions that appeared later.
        self.first.subscribe(&match subscription {
            Subscription::Static(all) => {
                Subscription::Static(all.iter().filter(|tp| known(tp)).cloned().collect())
            }
            Subscription::Group(topics) => Subscription::Group(topics.clone()),
        });
        self.then.subscribe(subscription);
    }

    fn poll(&mut self, wait: Duration, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        let mut ended = Vec::new();
        if !self.in_first.is_empty() {
            let history = &self.history;
            self.first.poll(wait, &mut |event| match event {
                // The topic's own assignments are told.
                SourceEvent::Assigned(_) | SourceEvent::Revoked(_) | SourceEvent::Lost(_) => {}
                SourceEvent::Positions(moved) => {
                    let is_over = |(tp, at): &&(TopicPartition, Position)| {
                        end(history, tp).is_some_and(|end| at.offset >= end)
                    };
                    ended.extend(moved.iter().filter(is_over).cloned());
                    on_event(SourceEvent::Positions(moved));
                }
                other => on_event(other),
            });
        }
        self.go_on(ended);
        let wait = match self.in_first.is_empty() {
            true => wait,
            false => Duration::ZERO,
        };
        self.then.poll(wait, on_event);
    }

    fn start(&mut self, at: &[(TopicPartition, Position)]) {
        let (first, then): (Vec<_>, Vec<_>) = at
            .iter()
            .cloned()
            .partition(|(tp, position)| end(&self.history, tp).is_some_and(|end| position.offset < end));
        for (tp, _) in at {
            self.paused.remove(tp);
            self.in_first.remove(tp);
        }
        self.in_first.extend(first.iter().map(|(tp, _)| tp.clone()));
        let of =
            |some: &[(TopicPartition, Position)]| some.iter().map(|(tp, _)| tp.clone()).collect::<Vec<_>>();
        self.then.pause(&of(&first));
        self.first.pause(&of(&then));
        self.first.start(&first);
        self.then.start(&then);
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        self.paused.extend(partitions.iter().cloned());
        let (first, then) = self.split(partitions);
        self.first.pause(&first);
        self.then.pause(&then);
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        for tp in partitions {
            self.paused.remove(tp);
        }
        let (first, then) = self.split(partitions);
        self.first.resume(&first);
        self.then.resume(&then);
    }

    fn mirror(&mut self, offsets: &[(TopicPartition, Offset)]) {
        self.then.mirror(offsets);
    }

    fn close(&mut self, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        self.first.close(&mut |_| {});
        self.then.close(on_event);
    }
}
