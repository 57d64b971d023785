//! Which names new columns may have.

use std::collections::HashSet;

use iceberg::spec::Schema;

use crate::ignored::Ignored;
use crate::kafka_columns::RESERVED_PREFIX;

/// The names that are taken, as full lower-case paths: engines compare names without case, and
/// Iceberg finds nested fields by dotted names, so `a.b` and `b` in `a` would be one.
#[derive(Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
    path: Vec<String>,
}

impl Names {
    /// Those of a table's columns, at all levels.
    pub fn of_table(schema: &Schema) -> Self {
        let ids = schema.field_id_to_fields().keys();
        let names = ids.filter_map(|id| schema.name_by_field_id(*id));
        Self {
            taken: names.map(str::to_lowercase).collect(),
            path: Vec::new(),
        }
    }

    /// Takes a name of the table itself.
    pub fn take_column(&mut self, lower: String) {
        self.taken.insert(lower);
    }

    pub fn push(&mut self, name: &str) {
        self.path.push(name.to_lowercase());
    }

    pub fn pop(&mut self) {
        self.path.pop();
    }

    /// Takes the current path; `false` if it is taken already.
    pub fn take(&mut self) -> bool {
        self.taken.insert(self.path.join("."))
    }

    /// Goes back to the table itself.
    pub fn leave(&mut self) {
        self.path.clear();
    }

    pub fn give_back(&mut self) {
        self.taken.remove(&self.path.join("."));
    }

    /// Whether a new column may have the current path.
    pub fn allows(&self, ignored: &Ignored, max_columns: usize) -> bool {
        let split = self.path.split_last();
        let ignored = split.is_some_and(|(name, parent)| ignored.has(parent, name));
        let reserved = self.path.len() == 1 && self.path[0].starts_with(RESERVED_PREFIX);
        let empty = self.path.last().is_none_or(String::is_empty);
        !ignored
            && !reserved
            && !empty
            && self.taken.len() < max_columns
            && !self.taken.contains(&self.path.join("."))
    }
}
