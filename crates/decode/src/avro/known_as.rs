//! A writer's fields by the names that the configuration has for them: one that has such a name among its aliases is
//! that field still, whatever it is called by now.

use std::collections::HashSet;
use std::sync::Arc;

use super::schema::{Avro, Branch, Field};
use super::types::several;
use crate::named_columns::NamedColumns;

/// See the module. Names in lists and maps are nobody's.
pub(super) fn known_as(fields: &Arc<[Field]>, named: &NamedColumns) -> Arc<[Field]> {
    if named.is_empty() {
        return fields.clone();
    }
    Knowing { named }.fields(fields, &mut Vec::new())
}

struct Knowing<'n> {
    named: &'n NamedColumns,
}

impl Knowing<'_> {
    fn fields(&self, fields: &[Field], path: &mut Vec<String>) -> Arc<[Field]> {
        let mut names: HashSet<Box<str>> = fields.iter().map(|field| field.name.clone()).collect();
        let mut known = Vec::with_capacity(fields.len());
        for field in fields {
            // Two fields may have an alias in common: only the first is what it says.
            let mut aliases = field.aliases.iter();
            let alias = aliases.find(|alias| self.named.leads(path, alias) && !names.contains(*alias));
            let name = match self.named.leads(path, &field.name) {
                true => &field.name,
                false => alias.unwrap_or(&field.name),
            };
            names.insert(name.clone());
            path.push(name.to_string());
            known.push(Field {
                name: name.clone(),
                aliases: field.aliases.clone(),
                ty: self.within(&field.ty, path),
            });
            path.pop();
        }
        known.into()
    }

    fn within(&self, ty: &Avro, path: &mut Vec<String>) -> Avro {
        match ty {
            Avro::Record(fields) if self.named.leads_into(path) => Avro::Record(self.fields(fields, path)),
            Avro::Union(branches) if !several(branches) => {
                let branch = |branch: &Branch| Branch {
                    name: branch.name.clone(),
                    ty: self.within(&branch.ty, path),
                };
                Avro::Union(branches.iter().map(branch).collect())
            }
            ty => ty.clone(),
        }
    }
}
