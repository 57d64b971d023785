//! Offsets of a topic partition, as they are typed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tabletopic_offsets::OffsetRange;

/// `PARTITION:START..END`, without the end; `TOPIC/` before it where several topics are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub topic: Option<Arc<str>>,
    pub partition: i32,
    pub range: OffsetRange,
}

impl Span {
    /// By partition.
    ///
    /// # Errors
    /// A partition is named twice.
    pub fn by_partition<'a>(
        all: impl IntoIterator<Item = &'a Self>,
    ) -> Result<BTreeMap<i32, OffsetRange>, String> {
        let mut ranges = BTreeMap::new();
        for span in all {
            if ranges.insert(span.partition, span.range).is_some() {
                return Err(format!(
                    "partition {} is named twice; name one range of offsets that has all of them",
                    span.partition
                ));
            }
        }
        Ok(ranges)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(topic) = &self.topic {
            write!(f, "{topic}/")?;
        }
        let OffsetRange { start, end } = self.range;
        write!(f, "{}:{start}..{end}", self.partition)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        span(text).ok_or_else(|| {
            "write PARTITION:START..END, such as 3:120000..180000 for the offsets 120000 to 179999 of partition 3; or \
             TOPIC/PARTITION:START..END"
                .to_owned()
        })
    }
}

fn span(text: &str) -> Option<Span> {
    let (place, offsets) = text.rsplit_once(':')?;
    let (topic, partition) = match place.rsplit_once('/') {
        Some((topic, partition)) => (Some(topic.into()), partition),
        None => (None, place),
    };
    let (start, end) = offsets.split_once("..")?;
    let range = OffsetRange::new(start.parse().ok()?, end.parse().ok()?);
    let partition = partition.parse().ok()?;
    (partition >= 0 && range.start >= 0 && !range.is_empty()).then_some(Span {
        topic,
        partition,
        range,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_a_partition_and_a_range_that_has_some() {
        let span = |topic: Option<&str>| Span {
            topic: topic.map(Into::into),
            partition: 3,
            range: OffsetRange::new(120, 180),
        };
        assert_eq!("3:120..180".parse(), Ok(span(None)));
        assert_eq!("shop/orders/3:120..180".parse(), Ok(span(Some("shop/orders"))));
        assert_eq!(span(Some("shop/orders")).to_string(), "shop/orders/3:120..180");
        for bad in [
            "3",
            "3:120",
            "3:120..",
            "3:180..120",
            "3:5..5",
            "-1:0..5",
            "3:-1..5",
            "x:1..2",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        let twice = [span(None), span(Some("orders"))];
        assert!(Span::by_partition(&twice).is_err());
    }
}
