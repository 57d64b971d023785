//! Where a replay begins or ends, as it is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::TableIdent;
use tabletopic_clock::Millis;
use tabletopic_offsets::Offset;

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// The first offset that is there.
    Earliest,
    /// The end of the log as it is now.
    Latest,
    /// The first record at or after this time.
    Time(Millis),
    /// These offsets. Partitions that neither point names are not read.
    Offsets(Vec<Named>),
    /// Where a table began.
    Began(TableIdent),
    /// Where a table stood: at a snapshot, or now.
    Stood(TableIdent, Option<i64>),
}

/// An offset of a partition that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Needed where several topics are replayed.
    pub topic: Option<Arc<str>>,
    pub partition: i32,
    pub offset: Offset,
}

/// What a replay is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub from: Point,
    /// The first offset of each partition that is not read any more.
    pub to: Point,
}

impl Asked {
    /// The offsets that a point names of a topic, by partition.
    pub(crate) fn named(point: &Point, topic: &str) -> Option<BTreeMap<i32, Offset>> {
        let Point::Offsets(named) = point else { return None };
        let of_topic = named
            .iter()
            .filter(|named| named.topic.as_deref().is_none_or(|name| name == topic));
        Some(of_topic.map(|named| (named.partition, named.offset)).collect())
    }

    /// The topics that it names.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        let named = [&self.from, &self.to].into_iter().flat_map(|point| match point {
            Point::Offsets(named) => named.as_slice(),
            _ => &[],
        });
        named.filter_map(|named| named.topic.as_deref())
    }

    /// Whether it names partitions, and not of which topic.
    pub fn names_no_topic(&self) -> bool {
        [&self.from, &self.to].into_iter().any(|point| match point {
            Point::Offsets(named) => named.iter().any(|named| named.topic.is_none()),
            _ => false,
        })
    }
}
