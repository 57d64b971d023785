//! Fields that get no column: nobody wants them, or their names are other columns'.

use std::sync::Arc;

/// A handle: clones share the fields. Names are compared without case, since one that is left out on purpose must not
/// come back in other letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignored(Arc<Inner>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Inner {
    fields: Vec<Vec<String>>,
    taken: Vec<Vec<String>>,
    closed: Vec<Vec<String>>,
    open: Vec<Vec<String>>,
}

impl Ignored {
    /// `fields` are whole paths, whose values are not looked at. Those at `taken` have a name that another column has;
    /// they are counted as unknown. Of the structs at `closed` (the empty path is the record) every field is ignored
    /// that has no column yet, but for those at `open`.
    pub fn new(
        fields: &[Vec<String>],
        taken: &[Vec<String>],
        closed: &[Vec<String>],
        open: &[Vec<String>],
    ) -> Self {
        let lower = |paths: &[Vec<String>]| {
            let path = |path: &Vec<String>| path.iter().map(|part| part.to_lowercase()).collect();
            paths.iter().map(path).collect()
        };
        Self(Arc::new(Inner {
            fields: lower(fields),
            taken: lower(taken),
            closed: lower(closed),
            open: lower(open),
        }))
    }

    /// Those within the column `name`.
    pub(crate) fn within(&self, name: &str) -> Self {
        let inner = |paths: &[Vec<String>]| {
            let below = paths.iter().filter_map(|path| path.split_first());
            let below = below.filter(|(first, rest)| !rest.is_empty() && is(first, name));
            below.map(|(_, rest)| rest.to_vec()).collect()
        };
        Self(Arc::new(Inner {
            fields: inner(&self.0.fields),
            taken: inner(&self.0.taken),
            closed: inner(&self.0.closed),
            open: inner(&self.0.open),
        }))
    }

    /// Whether every value is looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.fields.is_empty() && self.0.closed.is_empty()
    }

    /// Whether the struct at `parent` gets no column `name`.
    pub(crate) fn has(&self, parent: &[String], name: &str) -> bool {
        self.passes(parent, name) || self.is_taken(parent, name)
    }

    /// Whether the values of `name` in the struct at `parent` are passed over.
    pub(crate) fn passes(&self, parent: &[String], name: &str) -> bool {
        let closed = self.0.closed.iter().any(|path| same(path, parent));
        holds(&self.0.fields, parent, name) || closed && !holds(&self.0.open, parent, name)
    }

    /// Whether `name` is another column's in the struct at `parent`.
    pub(crate) fn is_taken(&self, parent: &[String], name: &str) -> bool {
        holds(&self.0.taken, parent, name)
    }
}

fn holds(paths: &[Vec<String>], parent: &[String], name: &str) -> bool {
    let is_field = |path: &Vec<String>| {
        path.split_last()
            .is_some_and(|(last, above)| is(last, name) && same(above, parent))
    };
    paths.iter().any(is_field)
}

fn same(lower: &[String], path: &[String]) -> bool {
    lower.len() == path.len() && lower.iter().zip(path).all(|(lower, part)| is(lower, part))
}

/// Asked for each record: mostly nothing has to be written in other letters for it.
fn is(lower: &str, name: &str) -> bool {
    lower.eq_ignore_ascii_case(name) || !name.is_ascii() && lower == name.to_lowercase()
}
