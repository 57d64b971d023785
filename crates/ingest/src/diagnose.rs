//! Why a topic or a partition stands still, in words, with the answer that goes on from there. A committer finds it
//! out when its worker stops; `tabletopic status` by comparing what a table holds with what the broker has.

use iceberg::TableIdent;
use tabletopic_offsets::{Offset, OffsetRange, TopicIdentity, TopicPartition};
use tabletopic_source::{LogOffsets, PartitionError};

use crate::halts::Why;
use crate::resolve::Answer;

/// The topic of this name is not the one that fed the table.
pub fn other_topic(table: &TableIdent, expected: &TopicIdentity, found: &TopicIdentity) -> Why {
    Why {
        message: format!(
            "topic {}: it was deleted and created again, or another cluster answers: table {table} was fed from \
             {expected}, now it is {found}. Nothing was read from the new one. To go on with it from its start, run \
             `tabletopic resolve {table} --adopt-topic`",
            expected.topic
        ),
        answers: vec![Answer::AdoptTopic],
    }
}

/// The broker refused `position` with `error`; `log` is what it has, where it told.
pub fn refused_position(
    table: &TableIdent,
    tp: &TopicPartition,
    position: Offset,
    error: &PartitionError,
    log: Option<LogOffsets>,
) -> Why {
    let at = format!("topic {} partition {}", tp.topic, tp.partition);
    match (error, log) {
        (PartitionError::OutOfRange { .. }, Some(log)) => lost_position(table, tp, position, log)
            .unwrap_or_else(|| format!("{at}, offset {position}: {error}").into()),
        (PartitionError::Truncated { detail, .. }, _) => Why {
            message: format!(
                "{at}: the log was cut below offset {position} ({detail}), so table {table} holds rows that the topic no \
                 longer has, and other records may have taken their offsets. Find out what happened on the broker. To \
                 remove these rows and go on from the cut, run `tabletopic resolve {table} --truncate`"
            ),
            answers: vec![Answer::Truncate],
        },
        (error, _) => format!("{at}, offset {position}: {error}").into(),
    }
}

/// What is wrong with going on at `position` in a log; `None` if it can be read from there.
pub fn lost_position(
    table: &TableIdent,
    tp: &TopicPartition,
    position: Offset,
    log: LogOffsets,
) -> Option<Why> {
    let at = format!("topic {} partition {}", tp.topic, tp.partition);
    if position < log.start {
        let message = format!(
            "{at}: offsets {position} to {} are no longer in the log (retention was faster than the reader, or \
             they were deleted); the log starts at {}. To go on without them, run `tabletopic resolve {table} \
             --declare-lost`",
            log.start - 1,
            log.start
        );
        return Some(Why {
            message,
            answers: vec![Answer::DeclareLost],
        });
    }
    (position > log.end).then(|| Why {
        message: format!(
            "{at}: table {table} holds everything below offset {position}, but the log ends at {}: records were \
             lost on the broker (unclean leader election, or a restored backup). Find out what happened there. To \
             remove the rows that the topic no longer has and go on from there, run `tabletopic resolve {table} \
             --truncate`",
            log.end
        ),
        answers: vec![Answer::Truncate],
    })
}

/// What is wrong with filling what is `left` to a backfill from a log; `None` if it can be read from its start on.
pub fn lost_history(
    table: &TableIdent,
    tp: &TopicPartition,
    left: OffsetRange,
    log: LogOffsets,
) -> Option<Why> {
    let gone = left.intersection(OffsetRange::new(left.start, log.start))?;
    Some(Why {
        message: format!(
            "topic {} partition {}: offsets {} to {}, which the backfill had yet to read, are no longer in the log \
             (retention was faster, or they were deleted); the log starts at {}. What is new is read all the same. To fill \
             the rest without them, run `tabletopic resolve {table} --declare-lost`",
            tp.topic,
            tp.partition,
            gone.start,
            gone.end - 1,
            log.start
        ),
        answers: vec![Answer::DeclareLost],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backfill_misses_no_more_than_what_was_left_to_it() {
        let table = TableIdent::from_strs(["shop", "orders"]).expect("a name");
        let tp = TopicPartition::new("orders", 3);
        let says = |start| {
            let log = LogOffsets { start, end: 900 };
            let why = lost_history(&table, &tp, OffsetRange::new(50, 200), log)?;
            why.message.split(',').next().map(str::to_owned)
        };
        assert_eq!(says(50), None);
        assert_eq!(
            says(51).as_deref(),
            Some("topic orders partition 3: offsets 50 to 50")
        );
        assert_eq!(
            says(400).as_deref(),
            Some("topic orders partition 3: offsets 50 to 199")
        );
    }
}
