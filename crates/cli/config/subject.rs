//! Under which subjects the schemas of a topic are registered.

use serde::Deserialize;

/// As the serializers of a topic are set, `value.subject.name.strategy` for Confluent's. Reading needs none of it: a
/// record names its schema by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectStrategy {
    /// `orders-value`
    #[default]
    Topic,
    /// `shop.Order`, whichever topics have such records.
    Record,
    /// `orders-shop.Order`
    TopicRecord,
}

impl SubjectStrategy {
    /// Whether the schemas of this topic's values may be under `subject`.
    pub fn may_have(self, topic: &str, subject: &str) -> bool {
        match self {
            Self::Topic => subject.strip_suffix("-value") == Some(topic),
            Self::Record => !subject.is_empty(),
            Self::TopicRecord => subject
                .strip_prefix(topic)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|record| !record.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SubjectStrategy::{Record, Topic, TopicRecord};

    #[test]
    fn a_subject_is_that_of_a_topic_by_its_strategy() {
        for (strategy, subject, expected) in [
            (Topic, "orders-value", true),
            (Topic, "orders-key", false),
            (Topic, "orders-shop.Order", false),
            (Topic, "more-orders-value", false),
            (TopicRecord, "orders-shop.Order", true),
            (TopicRecord, "orders-", false),
            (TopicRecord, "orders", false),
            (TopicRecord, "ordersx-shop.Order", false),
            (Record, "shop.Order", true),
        ] {
            assert_eq!(
                strategy.may_have("orders", subject),
                expected,
                "{strategy:?} {subject}"
            );
        }
    }
}
