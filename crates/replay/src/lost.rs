//! What the history that a replay is read from has lost: noted when it is begun, and the same for as long as it is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use tabletopic_offsets::{JobId, Offset, OffsetRange, RangeSet, TableState, TopicPartition};

use crate::ReplayError;
use crate::note::NotedJob;

/// Where a replay goes on in a partition that it has begun as `range`.
pub fn goes_on_at(state: Option<&TableState>, job: &JobId, partition: i32, range: OffsetRange) -> Offset {
    let known = state.and_then(|state| state.partition(job, partition));
    known.map_or(range.start, |known| known.progress.live_end())
}

/// Whether the history has lost nothing more of what a replay that goes on has not read yet. `lost` is what it has lost by now,
/// by partition; `state` the replay's own.
///
/// # Errors
/// It has: what the replay was begun as says otherwise for good.
pub fn as_before(
    (topic, job): (&Arc<str>, &JobId),
    noted: &NotedJob,
    lost: &BTreeMap<i32, RangeSet>,
    state: Option<&TableState>,
) -> Result<(), ReplayError> {
    let before = noted.lost();
    for (partition, range) in noted.ranges() {
        let rest = OffsetRange::new(goes_on_at(state, job, partition, range), range.end);
        let now = lost.get(&partition).cloned().unwrap_or_default();
        let now = now.intersection(&[rest].into_iter().collect());
        let more = now.difference(&before.get(&partition).cloned().unwrap_or_default());
        if !more.is_empty() {
            return Err(ReplayError::LostSince {
                topic_partition: TopicPartition::new(topic.clone(), partition),
                lost: more,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tabletopic_offsets::TopicIdentity;

    use super::*;

    fn set(start: Offset, end: Offset) -> RangeSet {
        [OffsetRange::new(start, end)].into_iter().collect()
    }

    #[test]
    fn what_is_lost_is_noted_and_nothing_more_may_be_lost_of_what_is_still_to_be_read() {
        let (topic, job): (Arc<str>, JobId) = ("orders".into(), JobId::new("orders"));
        let identity = TopicIdentity {
            cluster_id: None,
            topic: topic.clone(),
            topic_id: None,
        };
        let ranges = BTreeMap::from([(0, OffsetRange::new(10, 100)), (1, OffsetRange::new(0, 5))]);
        let lost = BTreeMap::from([(0, set(5, 20)), (7, set(0, 9))]);
        let noted = NotedJob::new(&identity, &ranges, &lost);
        assert_eq!(noted.lost(), BTreeMap::from([(0, set(10, 20))]));

        let mut state = TableState::empty();
        state
            .anchor(&job, &identity, &BTreeMap::from([(0, 10)]))
            .expect("it is anchored");
        let partitions = &mut state.jobs.get_mut(&job).expect("it is there").partitions;
        let progress = &mut partitions.get_mut(&0).expect("it is there").progress;
        progress.grow(OffsetRange::new(10, 50)).expect("it grows");
        let as_before = |now: RangeSet, state| {
            as_before((&topic, &job), &noted, &BTreeMap::from([(0, now)]), state).map_err(|e| e.to_string())
        };
        assert_eq!(as_before(set(5, 20), None), Ok(()));
        assert_eq!(
            as_before(set(5, 40), Some(&state)),
            Ok(()),
            "these have been read"
        );
        let said = as_before(set(5, 60), Some(&state)).expect_err("these have not");
        assert!(
            said.contains("orders/0: the history has lost offsets [50, 60)"),
            "{said}"
        );
    }
}
