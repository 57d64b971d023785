//! Topics that are known by a pattern rather than by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use crate::job::Job;

/// Knows which topics become jobs.
pub trait Patterns: Debug + Send + Sync {
    /// The jobs of those among `topics`, all that the brokers have, that a pattern matches. One that is `running` is
    /// never refused for the sake of another.
    fn matched(&self, topics: &[Arc<str>], running: &BTreeSet<Arc<str>>) -> Matched;
}

/// What the patterns make of the topics that there are.
#[derive(Debug, Default)]
pub struct Matched {
    pub jobs: Vec<Arc<Job>>,
    /// Topics that are matched and can't be read, and why.
    pub refused: BTreeMap<Arc<str>, String>,
}
