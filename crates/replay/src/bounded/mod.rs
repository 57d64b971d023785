//! Logs that begin and end where a replay does: a broker and sources, wrapped, so that nobody behind them has to know.

mod broker;
mod source;

use std::collections::BTreeMap;

use tabletopic_offsets::{OffsetRange, TopicPartition};

pub use broker::BoundedBroker;
pub use source::BoundedSources;

/// What is read of each partition; all others are not there.
pub type Bounds = BTreeMap<TopicPartition, OffsetRange>;
