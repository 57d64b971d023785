//! Which dead letters are meant.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use iceberg::expr::{Predicate, Reference};
use iceberg::spec::Datum;
use tabletopic_clock::Millis;
use tabletopic_offsets::{Offset, OffsetRange};
use thiserror::Error;

/// Letters that meet all of it. Empty, it is all letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// One of these; any if empty.
    pub reasons: Vec<String>,
    pub topic: Option<String>,
    pub partition: Option<i32>,
    /// Among these; any if empty.
    pub records: Vec<Records>,
    /// By the record's Kafka timestamp: not before this.
    pub since: Option<Millis>,
    /// Before this.
    pub until: Option<Millis>,
}

impl Selection {
    /// As a filter of scans. A letter without a timestamp is outside of any time.
    pub fn predicate(&self) -> Predicate {
        let equal = |column: &str, datum| Reference::new(column).equal_to(datum);
        let mut parts = Vec::new();
        if !self.reasons.is_empty() {
            let reasons = self.reasons.iter().map(Datum::string);
            parts.push(Reference::new("reason").is_in(reasons));
        }
        parts.extend(
            self.topic
                .iter()
                .map(|topic| equal("topic", Datum::string(topic))),
        );
        parts.extend(
            self.partition
                .map(|partition| equal("partition", Datum::int(partition))),
        );
        parts.extend(self.records.iter().map(Records::predicate).reduce(Predicate::or));
        let at = |time: Millis| Datum::timestamptz_micros(time.saturating_mul(1000));
        let timestamp = || Reference::new("timestamp");
        parts.extend(
            self.since
                .map(|since| timestamp().greater_than_or_equal_to(at(since))),
        );
        parts.extend(self.until.map(|until| timestamp().less_than(at(until))));
        parts
            .into_iter()
            .reduce(Predicate::and)
            .unwrap_or(Predicate::AlwaysTrue)
    }
}

/// Records of one topic partition, as people write them: `orders/3@1042`, or `orders/3@1000-1100` without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    pub topic: Arc<str>,
    pub partition: i32,
    pub range: OffsetRange,
}

/// What was written names no records.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "write TOPIC/PARTITION@OFFSET such as orders/3@1042, or offsets from one up to another such as orders/3@1000-1100"
)]
pub struct RecordsError;

impl Records {
    pub(super) fn predicate(&self) -> Predicate {
        let offset = || Reference::new("offset");
        let of = Reference::new("topic")
            .equal_to(Datum::string(&*self.topic))
            .and(Reference::new("partition").equal_to(Datum::int(self.partition)));
        of.and(offset().greater_than_or_equal_to(Datum::long(self.range.start)))
            .and(offset().less_than(Datum::long(self.range.end)))
    }
}

impl FromStr for Records {
    type Err = RecordsError;

    fn from_str(text: &str) -> Result<Self, RecordsError> {
        let (topic, place) = text.rsplit_once('/').ok_or(RecordsError)?;
        let (partition, offsets) = place.split_once('@').ok_or(RecordsError)?;
        let offset = |text: &str| {
            let offset = text.parse::<Offset>().ok();
            offset
                .filter(|offset| (0..Offset::MAX).contains(offset))
                .ok_or(RecordsError)
        };
        let (start, end) = match offsets.split_once('-') {
            Some((start, end)) => (offset(start)?, offset(end)?),
            None => (offset(offsets)?, offset(offsets)? + 1),
        };
        match partition.parse::<i32>() {
            Ok(partition @ 0..) if start < end && !topic.is_empty() => Ok(Self {
                topic: topic.into(),
                partition,
                range: OffsetRange::new(start, end),
            }),
            _ => Err(RecordsError),
        }
    }
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OffsetRange { start, end } = self.range;
        write!(f, "{}/{}@{start}", self.topic, self.partition)?;
        match end - start {
            1 => Ok(()),
            _ => write!(f, "-{end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_written_and_read_the_same_way() {
        for text in ["orders/3@1042", "a.b/c/0@0", "orders/12@1000-1100"] {
            let records: Records = text.parse().unwrap();
            assert_eq!(records.to_string(), text);
        }
        let slashed: Records = "a/b/7@5".parse().unwrap();
        assert_eq!((&*slashed.topic, slashed.partition), ("a/b", 7));
        let one: Records = "orders/3@5-6".parse().unwrap();
        assert_eq!(one.to_string(), "orders/3@5");
        for text in [
            "orders",
            "orders/3",
            "orders@5",
            "/3@5",
            "orders/x@5",
            "orders/-1@5",
            "orders/3@-5",
            "orders/3@9-9",
            "orders/3@9-8",
            "orders/3@1-2-3",
            "orders/3@9223372036854775807",
        ] {
            assert_eq!(text.parse::<Records>(), Err(RecordsError), "{text}");
        }
    }

    #[test]
    fn an_empty_selection_is_all_letters() {
        assert_eq!(Selection::default().predicate(), Predicate::AlwaysTrue);
        let selection = Selection {
            reasons: vec!["not_json".to_owned(), "too_deep".to_owned()],
            partition: Some(3),
            since: Some(5),
            ..Selection::default()
        };
        let filter = selection.predicate().to_string();
        for part in ["not_json", "too_deep", "partition = 3", "timestamp >="] {
            assert!(filter.contains(part), "no {part} in {filter}");
        }
    }
}
