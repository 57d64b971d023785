//! Which column takes which field of a writer's record: the one of its name. Where the table follows renames, also the
//! one that had its name, or that one of its aliases names.

use iceberg::spec::NestedFieldRef;

use super::schema::{Avro, Branch, Field};
use crate::former_names::FormerNames;

/// A field of a record, or a branch of a union.
#[derive(Clone, Copy)]
pub(super) struct Written<'s> {
    pub name: &'s str,
    pub aliases: &'s [Box<str>],
    pub ty: &'s Avro,
}

impl<'s> From<&'s Field> for Written<'s> {
    fn from(field: &'s Field) -> Self {
        Self {
            name: &field.name,
            aliases: &field.aliases,
            ty: &field.ty,
        }
    }
}

impl<'s> From<&'s Branch> for Written<'s> {
    fn from(branch: &'s Branch) -> Self {
        Self {
            name: &branch.name,
            aliases: &[],
            ty: &branch.ty,
        }
    }
}

/// The number of the member that takes a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Of(usize),
    /// By an alias: it is to get the field's name.
    Renamed(usize),
}

/// The places of `fields`, in their order; `None` for one that no member takes.
///
/// A name goes before anything else, and what a column was called goes before aliases. So no column ever gets a name back
/// that it had, and schemas that come in turns never rename it more than once each.
pub(super) fn places(
    fields: &[Written<'_>],
    members: &[&NestedFieldRef],
    former: Option<&FormerNames>,
) -> Vec<Option<Place>> {
    let named = |name: &str| members.iter().position(|member| member.name == name);
    let mut places: Vec<Option<Place>> = fields
        .iter()
        .map(|field| named(field.name).map(Place::Of))
        .collect();
    let Some(former) = former else {
        return places;
    };
    let mut taken = vec![false; members.len()];
    for place in &places {
        if let Some(Place::Of(member)) = place {
            taken[*member] = true;
        }
    }
    for (field, place) in fields
        .iter()
        .zip(&mut places)
        .filter(|(_, place)| place.is_none())
    {
        let find = |fits: &dyn Fn(&NestedFieldRef) -> bool| {
            (0..members.len()).find(|member| !taken[*member] && fits(members[*member]))
        };
        let aliased = |fits: &dyn Fn(&str) -> bool| field.aliases.iter().any(|alias| fits(alias));
        *place = find(&|member| former.has(member.id, field.name))
            .map(Place::Of)
            .or_else(|| find(&|member| aliased(&|alias| alias == member.name)).map(Place::Renamed))
            .or_else(|| find(&|member| aliased(&|alias| former.has(member.id, alias))).map(Place::Of));
        if let Some(Place::Of(member) | Place::Renamed(member)) = place {
            taken[*member] = true;
        }
    }
    places
}
