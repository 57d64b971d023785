//! Columns that the configuration names: no alias takes their names from them, since what is said of them would be said
//! of nothing then.

use std::sync::Arc;

/// Paths of fields. A handle: clones share them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedColumns(Arc<Inner>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Inner {
    named: Vec<Vec<String>>,
    apart: Vec<Vec<String>>,
}

impl NamedColumns {
    /// Those of `apart` are not the table's own, so that none of its columns becomes one of them.
    pub fn new(named: Vec<Vec<String>>, apart: Vec<Vec<String>>) -> Self {
        Self(Arc::new(Inner { named, apart }))
    }

    pub fn paths(&self) -> &[Vec<String>] {
        &self.0.named
    }

    /// Those within the column `name`.
    pub(crate) fn within(&self, name: &str) -> Self {
        let inner = |paths: &[Vec<String>]| {
            let below = paths.iter().filter_map(|path| path.split_first());
            let below = below.filter(|(first, _)| *first == name);
            below.map(|(_, rest)| rest.to_vec()).collect()
        };
        Self::new(inner(&self.0.named), inner(&self.0.apart))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.named.is_empty()
    }

    /// Whether one is at this path or within it.
    pub(crate) fn leads(&self, parent: &[String], name: &str) -> bool {
        let mut named = self.0.named.iter();
        named.any(|path| {
            path.strip_prefix(parent)
                .is_some_and(|rest| rest.first().is_some_and(|first| first == name))
        })
    }

    /// Whether one is at this path, or around it, or within it.
    pub(crate) fn fixes(&self, path: &[String]) -> bool {
        let mut named = self.0.named.iter();
        named.any(|named| named.starts_with(path) || path.starts_with(named))
    }

    /// Whether one is within this path.
    pub(crate) fn leads_into(&self, path: &[String]) -> bool {
        let mut named = self.0.named.iter();
        named.any(|named| named.len() > path.len() && named.starts_with(path))
    }

    /// Whether a column of this name is none of the table's.
    pub(crate) fn is_apart(&self, parent: &[String], name: &str) -> bool {
        let is = |path: &Vec<String>| {
            path.split_last()
                .is_some_and(|(last, above)| last == name && above == parent)
        };
        self.0.apart.iter().any(is)
    }
}
