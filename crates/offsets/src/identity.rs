//! Names: of a topic partition, of a job, of the very topic that a job reads, and of the meaning that
//! its offsets have.

use std::fmt;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// One topic feeding one table. Explicit and stable; by default the topic's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

impl JobId {
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Counts the operator commands that changed what a job's offsets mean. A unit read under another
/// generation is dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

impl Generation {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which topic it really is. Brokers that are too old tell no ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TopicIdentity {
    pub cluster_id: Option<String>,
    pub topic: Arc<str>,
    pub topic_id: Option<String>,
}

impl TopicIdentity {
    /// Whether nothing that both sides know tells them apart.
    pub fn agrees(&self, other: &TopicIdentity) -> bool {
        self.topic == other.topic
            && !differ(&self.cluster_id, &other.cluster_id)
            && !differ(&self.topic_id, &other.topic_id)
    }

    /// Whether both would feed the same records: by topic id where both know one, else by all the rest.
    pub(crate) fn feeds_the_same(&self, other: &TopicIdentity) -> bool {
        match (&self.topic_id, &other.topic_id) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => self.agrees(other),
        }
    }

    /// Takes over what this side does not know yet; true when there was something.
    pub(crate) fn learn(&mut self, other: &TopicIdentity) -> bool {
        let before = (self.cluster_id.is_some(), self.topic_id.is_some());
        self.cluster_id = self.cluster_id.take().or_else(|| other.cluster_id.clone());
        self.topic_id = self.topic_id.take().or_else(|| other.topic_id.clone());
        before != (self.cluster_id.is_some(), self.topic_id.is_some())
    }
}

impl fmt::Display for TopicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |id: &Option<String>| id.clone().unwrap_or_else(|| "unknown".into());
        write!(
            f,
            "{} (topic id {}, cluster {})",
            self.topic,
            known(&self.topic_id),
            known(&self.cluster_id)
        )
    }
}

/// Ids are compared only where both sides know one.
pub(crate) fn differ(mine: &Option<String>, theirs: &Option<String>) -> bool {
    matches!((mine, theirs), (Some(mine), Some(theirs)) if mine != theirs)
}
