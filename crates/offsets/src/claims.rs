//! Whose a row is, by its place: what tells a table's own rows from those that somebody else wrote beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Offset, RangeSet, TableState};

/// The offsets that a table's jobs have read, of all topic ids.
#[derive(Debug, Clone, Default)]
pub struct Claims(BTreeMap<i32, Vec<Claim>>);

/// Those of a topic partition of one job.
#[derive(Debug, Clone)]
struct Claim {
    topic: Arc<str>,
    offsets: RangeSet,
    /// Those of earlier topic ids, whose topic may have had another name.
    past: RangeSet,
}

impl Claims {
    pub fn of(state: &TableState) -> Self {
        let mut claims = BTreeMap::<i32, Vec<Claim>>::new();
        for job in state.jobs.values() {
            for (partition, state) in &job.partitions {
                let past = state.past.iter().flat_map(|past| past.claimed.ranges());
                claims.entry(*partition).or_default().push(Claim {
                    topic: job.identity.topic.clone(),
                    offsets: state.progress.offsets(),
                    past: past.copied().collect(),
                });
            }
        }
        Self(claims)
    }

    /// Whether a job may have made a row of this place. `None`: rows do not tell their topic.
    pub fn hold(&self, topic: Option<&str>, partition: i32, offset: Offset) -> bool {
        let mut claims = self.0.get(&partition).into_iter().flatten();
        claims.any(|claim| {
            let of_topic = topic.is_none_or(|topic| topic == &*claim.topic);
            of_topic && claim.offsets.contains(offset) || claim.past.contains(offset)
        })
    }
}
