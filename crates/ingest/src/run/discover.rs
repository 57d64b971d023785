//! Finds the topics that patterns match: at the start, and again and again while the service runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tabletopic_offsets::JobId;
use tabletopic_source::{BrokerError, PartitionError};
use tokio::sync::mpsc;

use crate::ask_broker::{AskBroker, patiently};
use crate::halts::Scope;
use crate::job::{Job, Start};
use crate::observe::Observed;
use crate::patterns::{Matched, Patterns};

/// See the module.
pub struct Discovery {
    patterns: Arc<dyn Patterns>,
    broker: Arc<dyn AskBroker>,
    observed: Arc<Observed>,
    /// Topics that have become jobs.
    running: BTreeSet<Arc<str>>,
    refused: BTreeSet<Arc<str>>,
    /// Running topics that the last look did not find.
    absent: BTreeSet<Arc<str>>,
}

impl Discovery {
    pub fn new(patterns: Arc<dyn Patterns>, broker: Arc<dyn AskBroker>, observed: Arc<Observed>) -> Self {
        Self {
            patterns,
            broker,
            observed,
            running: BTreeSet::new(),
            refused: BTreeSet::new(),
            absent: BTreeSet::new(),
        }
    }

    /// The jobs of the topics that there are at the start.
    ///
    /// # Errors
    /// As [`patiently`].
    pub async fn first(&mut self) -> Result<Vec<Arc<Job>>, BrokerError> {
        let broker = self.broker.clone();
        let topics = patiently(|| broker.topics()).await?;
        Ok(self.take(&topics))
    }

    /// Looks again in this interval, and sends on what is new. Ends when nobody wants to know.
    pub async fn go_on(mut self, every: Duration, found: mpsc::Sender<Vec<Arc<Job>>>) {
        loop {
            tokio::time::sleep(every).await;
            let topics = match self.broker.topics().await {
                Ok(topics) => topics,
                Err(error) => {
                    tracing::warn!("no look for new topics, tried again later: {error}");
                    continue;
                }
            };
            self.miss(&topics);
            let new: Vec<_> = self.take(&topics).into_iter().map(from_its_begin).collect();
            if !new.is_empty() && found.send(new).await.is_err() {
                return;
            }
        }
    }

    /// Halts the jobs of topics that are gone. Not at once: a broker may not have heard yet of one that is new. A topic that
    /// comes back is another one, which its committer sees.
    fn miss(&mut self, topics: &[Arc<str>]) {
        let there: BTreeSet<&Arc<str>> = topics.iter().collect();
        let absent = self.running.iter().filter(|topic| !there.contains(topic));
        let absent: BTreeSet<Arc<str>> = absent.cloned().collect();
        for topic in absent.intersection(&self.absent) {
            let gone = PartitionError::UnknownTopicOrPartition;
            self.observed
                .halts
                .raise(halt_of(topic), format!("topic {topic}: {gone}"));
        }
        self.absent = absent;
    }

    /// The jobs that are new. Topics that are refused stand still, each by itself.
    fn take(&mut self, topics: &[Arc<str>]) -> Vec<Arc<Job>> {
        let Matched { jobs, refused } = self.patterns.matched(topics, &self.running);
        let over = |topic: &&Arc<str>| !refused.contains_key(*topic);
        for topic in self.refused.iter().filter(over) {
            let lifted = halt_of(topic);
            self.observed.halts.lift(|scope| *scope == lifted);
        }
        self.refused = refused.keys().cloned().collect();
        for (topic, why) in refused {
            self.observed.halts.raise(halt_of(&topic), why);
        }
        let new = jobs
            .into_iter()
            .filter(|job| self.running.insert(job.topic.clone()));
        new.collect()
    }
}

fn halt_of(topic: &str) -> Scope {
    Scope::Topic {
        job: JobId::new(topic),
    }
}

/// A topic that was not there before: all that is in it is new, as in a partition that appears later.
fn from_its_begin(job: Arc<Job>) -> Arc<Job> {
    tracing::info!(topic = %job.topic, table = %job.table, "a pattern matches a new topic");
    match job.start {
        Start::Latest => Arc::new(Job {
            start: Start::Earliest,
            ..Job::clone(&job)
        }),
        Start::Earliest | Start::Timestamp(_) => job,
    }
}
