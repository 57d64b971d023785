//! What a snapshot changed in the table's columns or partitions, and the record that asked for it.

use std::fmt;
use std::sync::Arc;

use crate::{JobId, Offset};

/// The changes that one snapshot made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evolved {
    /// For people, such as `add column shipping.zip string`. The table's schemas say it to programs.
    pub changes: Vec<String>,
    /// `None` where the configuration asked for it.
    pub cause: Option<RecordAt>,
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordAt {
    pub job: JobId,
    pub topic: Arc<str>,
    /// Offsets of a topic that was created again begin anew.
    pub topic_id: Option<String>,
    pub partition: i32,
    pub offset: Offset,
}

/// `orders/3 offset 1200`
impl fmt::Display for RecordAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} offset {}", self.topic, self.partition, self.offset)
    }
}
