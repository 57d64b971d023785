//! What the columns of a table were called before: records that were written under an older name are still theirs.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::spec::Schema;

/// By field id. A handle: clones share the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormerNames(Arc<HashMap<i32, Vec<String>>>);

impl FormerNames {
    /// The names that the columns of `now` had in any of the table's schemas and no longer have.
    pub fn of<'s>(now: &Schema, schemas: impl Iterator<Item = &'s Schema>) -> Self {
        let mut names = HashMap::<i32, Vec<String>>::new();
        for schema in schemas {
            for (id, was) in schema.field_id_to_fields() {
                let Some(is) = now.field_by_id(*id).filter(|is| is.name != was.name) else {
                    continue;
                };
                let former = names.entry(is.id).or_default();
                if !former.contains(&was.name) {
                    former.push(was.name.clone());
                }
            }
        }
        Self(Arc::new(names))
    }

    /// Those of the column `id`.
    pub fn names(&self, id: i32) -> &[String] {
        self.0.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has(&self, id: i32, name: &str) -> bool {
        self.names(id).iter().any(|former| former == name)
    }
}

impl FromIterator<(i32, Vec<String>)> for FormerNames {
    fn from_iter<I: IntoIterator<Item = (i32, Vec<String>)>>(names: I) -> Self {
        Self(Arc::new(names.into_iter().collect()))
    }
}
