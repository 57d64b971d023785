//! What is said of columns beside their types, by the schema that records were written with.

use std::collections::{BTreeMap, BTreeSet};

/// A tree like that of the columns, in which only the branches stand of which something is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Remarks {
    /// The column of text takes any value, as the JSON that it is.
    pub any: bool,
    /// Fields that have no column and may get none, so that they make a record bad.
    pub refused: BTreeSet<Box<str>>,
    within: BTreeMap<Box<str>, Remarks>,
}

impl Remarks {
    /// Those of the column at `path`, in which a list has its `element` and a map its `value`.
    pub fn at(&mut self, path: &[String]) -> &mut Self {
        path.iter().fold(self, |remarks, name| {
            remarks.within.entry(name.as_str().into()).or_default()
        })
    }

    pub(super) fn of(&self, name: &str) -> Option<&Self> {
        self.within.get(name)
    }
}
