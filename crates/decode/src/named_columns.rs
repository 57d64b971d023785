//! Columns that the configuration names: no alias takes their names from them, since what is said of them would be said
//! of nothing then.

use std::sync::Arc;

/// Paths of fields. A handle: clones share them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedColumns(Arc<Vec<Vec<String>>>);

impl NamedColumns {
    pub fn new(paths: Vec<Vec<String>>) -> Self {
        Self(Arc::new(paths))
    }

    pub fn paths(&self) -> &[Vec<String>] {
        &self.0
    }

    /// Those within the column `name`.
    pub(crate) fn within(&self, name: &str) -> Self {
        let below = self.0.iter().filter_map(|path| path.split_first());
        let below = below.filter(|(first, _)| *first == name);
        Self::new(below.map(|(_, rest)| rest.to_vec()).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one is at this path or within it.
    pub(crate) fn leads(&self, parent: &[String], name: &str) -> bool {
        let mut named = self.0.iter();
        named.any(|path| {
            path.strip_prefix(parent)
                .is_some_and(|rest| rest.first().is_some_and(|first| first == name))
        })
    }

    /// Whether one is at this path, or around it, or within it.
    pub(crate) fn fixes(&self, path: &[String]) -> bool {
        let mut named = self.0.iter();
        named.any(|named| named.starts_with(path) || path.starts_with(named))
    }

    /// Whether one is within this path.
    pub(crate) fn leads_into(&self, path: &[String]) -> bool {
        let mut named = self.0.iter();
        named.any(|named| named.len() > path.len() && named.starts_with(path))
    }
}
