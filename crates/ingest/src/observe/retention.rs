//! When the broker overtakes the reader: pure arithmetic over what the broker said.

use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_offsets::Offset;
use tabletopic_source::{LogOffsets, Retention};

/// What decides how long the broker still keeps the oldest unread record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToRetention {
    /// Nothing is unread.
    CaughtUp,
    /// `retention.ms`.
    ByTime,
    /// `retention.ms` at the latest; `retention.bytes` may be sooner, which nobody can tell beforehand.
    ByTimeOrSize,
    /// `retention.bytes` alone: it depends on what is produced from now on.
    BySize,
    /// Nothing is deleted.
    Never,
    /// Unread records are gone already.
    Overtaken,
    /// The broker did not say.
    Unknown,
}

/// Seconds until the broker may delete the oldest record that the table does not hold, and what they rest on. The
/// broker deletes a segment once its *newest* record is older than `retention.ms`, so a record is there at least as
/// long as this says. Below zero: it may go at any moment.
///
/// `next` is the lowest offset that the table does not hold; `unread_at` the timestamp of the first record from there
/// on.
pub fn to_retention(
    next: Offset,
    log: LogOffsets,
    unread_at: Option<Millis>,
    retention: Option<Retention>,
    now: Millis,
) -> (ToRetention, Option<f64>) {
    if next < log.start {
        return (ToRetention::Overtaken, Some(0.0));
    }
    if next >= log.end {
        return (ToRetention::CaughtUp, None);
    }
    let (limit, why) = match retention {
        None => return (ToRetention::Unknown, None),
        Some(Retention { deletes: false, .. }) => return (ToRetention::Never, None),
        Some(Retention {
            ms: None,
            bytes: None,
            ..
        }) => return (ToRetention::Never, None),
        Some(Retention {
            ms: None,
            bytes: Some(_),
            ..
        }) => return (ToRetention::BySize, None),
        Some(Retention {
            ms: Some(ms),
            bytes: None,
            ..
        }) => (ms, ToRetention::ByTime),
        Some(Retention {
            ms: Some(ms),
            bytes: Some(_),
            ..
        }) => (ms, ToRetention::ByTimeOrSize),
    };
    match unread_at {
        Some(at) => (why, Some(seconds(at.saturating_add(limit).saturating_sub(now)))),
        None => (ToRetention::Unknown, None),
    }
}

/// Age of the oldest record that the table does not hold; 0 when it holds all. `None`: the broker did not say.
pub fn lag_seconds(next: Offset, log: LogOffsets, unread_at: Option<Millis>, now: Millis) -> Option<f64> {
    if next >= log.end {
        return Some(0.0);
    }
    unread_at.map(|at| seconds((now - at).max(0)))
}

/// Offsets from `next` to the last stable offset.
pub fn lag_records(next: Offset, log: LogOffsets) -> u64 {
    u64::try_from(log.end - next).unwrap_or(0)
}

pub fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogOffsets = LogOffsets { start: 10, end: 50 };
    const DAY: Millis = 86_400_000;

    fn keeps(ms: Option<i64>, bytes: Option<i64>) -> Option<Retention> {
        Some(Retention {
            ms,
            bytes,
            deletes: true,
        })
    }

    #[test]
    fn a_record_lives_for_the_retention_from_its_own_time_on() {
        let left = to_retention(20, LOG, Some(1_000), keeps(Some(DAY), None), 61_000);
        assert_eq!(left, (ToRetention::ByTime, Some(86_340.0)));
        let overdue = to_retention(20, LOG, Some(1_000), keeps(Some(DAY), None), DAY + 3_500);
        assert_eq!(overdue, (ToRetention::ByTime, Some(-2.5)));
    }

    #[test]
    fn a_size_limit_makes_it_a_bound_or_leaves_it_open() {
        let both = to_retention(20, LOG, Some(0), keeps(Some(5_000), Some(1)), 1_000);
        assert_eq!(both, (ToRetention::ByTimeOrSize, Some(4.0)));
        let size = to_retention(20, LOG, Some(0), keeps(None, Some(1)), 1_000);
        assert_eq!(size, (ToRetention::BySize, None));
    }

    #[test]
    fn where_nothing_is_deleted_there_is_no_hurry() {
        assert_eq!(
            to_retention(20, LOG, Some(0), keeps(None, None), 0),
            (ToRetention::Never, None)
        );
        let compacted = Retention {
            ms: Some(1),
            bytes: Some(1),
            deletes: false,
        };
        assert_eq!(
            to_retention(20, LOG, Some(0), Some(compacted), DAY),
            (ToRetention::Never, None)
        );
    }

    #[test]
    fn a_reader_at_the_end_waits_for_nothing_and_one_below_the_start_is_too_late() {
        assert_eq!(
            to_retention(50, LOG, None, keeps(Some(1), None), DAY),
            (ToRetention::CaughtUp, None)
        );
        assert_eq!(
            to_retention(9, LOG, Some(0), keeps(Some(1), None), 0),
            (ToRetention::Overtaken, Some(0.0))
        );
        let empty = LogOffsets { start: 50, end: 50 };
        assert_eq!(
            to_retention(20, empty, None, keeps(Some(1), None), 0),
            (ToRetention::Overtaken, Some(0.0)),
            "everything was deleted"
        );
    }

    #[test]
    fn what_the_broker_does_not_say_is_unknown() {
        assert_eq!(
            to_retention(20, LOG, Some(0), None, 0),
            (ToRetention::Unknown, None)
        );
        assert_eq!(
            to_retention(20, LOG, None, keeps(Some(1), None), 0),
            (ToRetention::Unknown, None)
        );
    }

    #[test]
    fn lag_counts_from_the_next_offset_and_from_its_record() {
        assert_eq!(
            (lag_records(20, LOG), lag_records(50, LOG), lag_records(60, LOG)),
            (30, 0, 0)
        );
        assert_eq!(lag_seconds(20, LOG, Some(1_000), 4_500), Some(3.5));
        assert_eq!(
            lag_seconds(20, LOG, Some(9_000), 4_500),
            Some(0.0),
            "a producer's clock that is ahead"
        );
        assert_eq!(lag_seconds(50, LOG, None, 4_500), Some(0.0));
        assert_eq!(lag_seconds(20, LOG, None, 4_500), None);
    }
}
