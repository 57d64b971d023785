//! Records that the broker has and the table does not, of which some are lost.

use roaring::RoaringTreemap;
use tabletopic_offsets::{Offset, OffsetRange, RangeSet, TopicPartition};

use crate::verify::verdict::Finding;

/// Runs of offsets that one finding names.
const NAMED: usize = 5;

/// Records of which some are lost.
pub struct Suspect {
    tp: TopicPartition,
    /// The first of them.
    offsets: RangeSet,
    records: u64,
    pub lost: u64,
}

impl Suspect {
    pub fn of(tp: &TopicPartition, offsets: &RoaringTreemap, lost: u64) -> Self {
        let mut named = RangeSet::new();
        for offset in offsets.iter().map(|offset| offset as Offset) {
            if named.ranges().len() > NAMED {
                break;
            }
            named.insert(OffsetRange::new(offset, offset + 1));
        }
        Self {
            tp: tp.clone(),
            offsets: named,
            records: offsets.len(),
            lost,
        }
    }

    pub fn finding(&self) -> Finding {
        let Self {
            tp,
            offsets,
            records,
            lost,
        } = self;
        let more = if offsets.len_offsets() < *records {
            " and others"
        } else {
            ""
        };
        let says = match records == lost {
            true => format!(
                "{tp}: the broker has {records} records at {offsets}{more} that are in no row and no dead letter, and were \
                 not left out"
            ),
            false => format!(
                "{tp}: the broker has {records} records at {offsets}{more} that are in no row and no dead letter, and only \
                 {} were left out or removed on purpose: {lost} of them are lost",
                records - lost
            ),
        };
        let finding = Finding::failed("lost", says).of(Some(&tp.topic), tp.partition);
        match (offsets.ranges().first(), offsets.ranges().last()) {
            (Some(first), Some(last)) => finding.at(OffsetRange::new(first.start, last.end)),
            _ => finding,
        }
    }
}
