//! What a topic's configuration says about keeping records.

use rdkafka::admin::ConfigResource;

use crate::{PartitionError, Retention};

/// Reads the three properties that decide it.
///
/// # Errors
/// There is no such topic; the broker left one of them out, or it is not what Kafka writes there.
pub(super) fn retention(topic: &ConfigResource) -> Result<Retention, PartitionError> {
    // Of a topic that is not there Kafka lists nothing, and says nothing.
    if topic.entries.is_empty() {
        return Err(PartitionError::UnknownTopicOrPartition);
    }
    let property = |name: &str| {
        let entry = topic.get(name);
        entry
            .and_then(|entry| entry.value.as_deref())
            .ok_or_else(|| unreadable(name, "nothing"))
    };
    let limit = |name: &str| {
        let value = property(name)?;
        let number: i64 = value.parse().map_err(|_| unreadable(name, value))?;
        Ok((number >= 0).then_some(number))
    };
    let policy = property("cleanup.policy")?;
    Ok(Retention {
        ms: limit("retention.ms")?,
        bytes: limit("retention.bytes")?,
        deletes: policy.split(',').any(|word| word.trim() == "delete"),
    })
}

fn unreadable(name: &str, value: &str) -> PartitionError {
    PartitionError::Other {
        code: "DescribeConfigs".to_owned(),
        message: format!("the broker says `{value}` of the topic's `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource, OwnedResourceSpecifier};

    use super::*;

    fn topic(properties: &[(&str, &str)]) -> ConfigResource {
        let entry = |(name, value): &(&str, &str)| ConfigEntry {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            source: ConfigSource::Default,
            is_read_only: false,
            is_default: true,
            is_sensitive: false,
        };
        ConfigResource {
            specifier: OwnedResourceSpecifier::Topic("t".to_owned()),
            entries: properties.iter().map(entry).collect(),
        }
    }

    #[test]
    fn minus_one_is_no_limit() {
        let read = retention(&topic(&[
            ("retention.ms", "604800000"),
            ("retention.bytes", "-1"),
            ("cleanup.policy", "compact,delete"),
        ]));
        let expected = Retention {
            ms: Some(604_800_000),
            bytes: None,
            deletes: true,
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn a_topic_that_is_only_compacted_keeps_its_keys() {
        let read = retention(&topic(&[
            ("retention.ms", "1000"),
            ("retention.bytes", "5"),
            ("cleanup.policy", "compact"),
        ]));
        assert_eq!(read.map(|read| read.deletes), Ok(false));
    }

    #[test]
    fn a_property_that_is_missing_is_not_guessed() {
        let read = retention(&topic(&[("retention.bytes", "-1"), ("cleanup.policy", "delete")]));
        assert!(matches!(read, Err(PartitionError::Other { .. })), "{read:?}");
    }
}
