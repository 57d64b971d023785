//! Sees that a topic was created again where nothing else asks the broker: commits and grants do, and so does whoever
//! finds a position out of range.
//!
//! - A partition that stands still asks nothing more; its halt would name a command that the new topic refuses.
//! - A new log that ends right where the old one was read to hands out no record. All of it would be missing, with a lag
//!   of 0, until the next record comes.

use std::collections::BTreeSet;
use std::time::Duration;

use tabletopic_offsets::JobId;
use tabletopic_source::TopicDescription;
use tokio::time::Instant;

use super::Committer;
use crate::halts::Scope;

/// How often the topics are asked for that may just have nothing new.
const EVERY: Duration = Duration::from_secs(30);

impl Committer {
    /// What the table says was seen just now. A broker that can't answer is asked at a later look.
    pub(super) async fn look_at_topics(&mut self) {
        let mut asked: BTreeSet<JobId> = self.refused.keys().map(|(id, ..)| id.clone()).collect();
        if self.topics_seen.elapsed() >= EVERY {
            self.topics_seen = Instant::now();
            asked.extend(self.generations.keys().filter(|id| self.goes_on(id)).cloned());
        }
        for id in asked {
            let Some(job) = self.jobs.get(&id).cloned() else {
                continue;
            };
            match self.broker.describe(&job.topic).await {
                Ok(Ok(found)) => self.compare(&id, &found),
                Ok(Err(_)) => {}
                // Each of the others would take as long to give no answer.
                Err(_) => return,
            }
        }
    }

    fn goes_on(&self, id: &JobId) -> bool {
        let stopped = Scope::Topic { job: id.clone() };
        !self.observed.halts.has(|scope| *scope == stopped)
    }

    /// Stops a job whose topic is not the one that fed the table.
    fn compare(&mut self, id: &JobId, found: &TopicDescription) {
        let Some((held, generation)) = self.observed.fed_from(&self.table, id) else {
            return;
        };
        if held.agrees(&found.identity) {
            return;
        }
        self.refused.retain(|(refused, ..), _| refused != id);
        self.observed.halts.lift(|scope| match scope {
            Scope::Partition { job, .. } | Scope::Backfill { job, .. } => job == id,
            Scope::Topic { .. } | Scope::Table { .. } => false,
        });
        self.other_topic(id, &held, &found.identity, generation);
        self.stop(id);
    }
}
