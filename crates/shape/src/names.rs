//! Three names of one thing: its path in the source, what a record's column is called, and what the table calls it.
//!
//! The source of an unwrapped job has its columns in the event's `after` and `before`; flattening makes `address_city`
//! of the path `address.city`.

use crate::debezium;
use crate::settings::{Shape, Unwrap};

/// What becomes of a record's column.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// The table holds it, under this name.
    Kept(String),
    /// The table holds its hash, under this name.
    Hashed(String),
    /// The table does not hold it.
    Left,
}

impl Shape {
    pub fn fate(&self, name: &str) -> Fate {
        let is = |other: &String| other.to_lowercase() == name.to_lowercase();
        let table = || self.rename.get(name).map_or(name, String::as_str).to_owned();
        if self.hash.contains(name) {
            return Fate::Hashed(table());
        }
        let made = self.compute.keys().any(is)
            || self.rename.values().any(is) && !self.rename.contains_key(name)
            || self.is_envelopes(name);
        if made || self.drop.iter().any(is) || self.hash.iter().any(is) {
            return Fate::Left;
        }
        Fate::Kept(table())
    }

    pub(crate) fn is_kept(&self, name: &str) -> bool {
        matches!(self.fate(name), Fate::Kept(_))
    }

    /// The record's name of a column that the table holds as it is.
    pub(crate) fn record_name<'n>(&'n self, table: &'n str) -> Option<&'n str> {
        let name = self.name_before_renaming(table);
        let held = !self.flatten.contains(name) && self.fate(name) == Fate::Kept(table.to_owned());
        held.then_some(name)
    }

    /// The record's name of a column that the table calls so.
    pub(crate) fn name_before_renaming<'n>(&'n self, table: &'n str) -> &'n str {
        let renamed = self.rename.iter().find(|(_, to)| *to == table);
        renamed.map_or(table, |(from, _)| from.as_str())
    }

    /// Where a record's column is within the record.
    pub fn path(&self, name: &str) -> Vec<String> {
        let within = |flat: &&String| {
            name.strip_prefix(flat.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.starts_with('_'))
        };
        match self.flatten.iter().filter(within).max_by_key(|flat| flat.len()) {
            None => vec![name.to_owned()],
            Some(flat) => {
                let mut path = self.path(flat);
                path.push(name[flat.len() + 1..].to_owned());
                path
            }
        }
    }

    /// The column that a path within the record leads to, and the rest of the path within this column.
    pub fn column<'p>(&self, path: &'p [String]) -> Option<(String, &'p [String])> {
        let (first, mut rest) = path.split_first()?;
        let mut name = first.clone();
        while self.flatten.contains(&name)
            && let Some((member, deeper)) = rest.split_first()
        {
            name = format!("{name}_{member}");
            rest = deeper;
        }
        Some((name, rest))
    }

    /// The paths in the source at which a record's own fields begin.
    pub(crate) fn roots(&self) -> Vec<Vec<String>> {
        match self.unwrap {
            None => vec![Vec::new()],
            Some(Unwrap::Debezium) => debezium::IMAGES.map(|image| vec![image.to_owned()]).to_vec(),
        }
    }

    /// Where these columns of records are in the source.
    pub(crate) fn paths<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<Vec<String>> {
        let names: Vec<Vec<String>> = names.map(|name| self.path(name)).collect();
        let roots = self.roots();
        let rooted = roots.iter().flat_map(|root| {
            let path = move |path: &Vec<String>| [&root[..], path].concat();
            names.iter().map(path)
        });
        rooted.collect()
    }

    /// Whether unwrapping makes the column.
    pub(crate) fn is_envelopes(&self, name: &str) -> bool {
        self.unwrap.is_some() && debezium::makes(name)
    }

    /// A path of the source as one within the record; `None` for the envelope's own.
    pub(crate) fn within_record<'p>(&self, path: &'p [String]) -> Option<&'p [String]> {
        match (self.unwrap, path.split_first()) {
            (None, _) => Some(path),
            (Some(Unwrap::Debezium), Some((root, rest))) => {
                debezium::IMAGES.contains(&root.as_str()).then_some(rest)
            }
            (Some(Unwrap::Debezium), None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> std::collections::BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn path(dotted: &str) -> Vec<String> {
        dotted.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn a_flattened_path_and_its_name_lead_to_each_other() {
        let shape = Shape {
            flatten: names(&["address", "address_geo"]),
            ..Shape::default()
        };
        for (name, dotted) in [
            ("id", "id"),
            ("address_city", "address.city"),
            ("address_geo_lat", "address.geo.lat"),
        ] {
            assert_eq!(shape.path(name), path(dotted));
            let (column, rest) = (path(dotted), Vec::<String>::new());
            assert_eq!(shape.column(&column), Some((name.to_owned(), &rest[..])));
        }
        let deeper = path("address.tags.element.x");
        assert_eq!(
            shape.column(&deeper),
            Some(("address_tags".to_owned(), &deeper[2..]))
        );
    }

    #[test]
    fn names_that_the_shape_gives_away_are_not_the_records_any_more() {
        let rename = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let shape = Shape {
            drop: names(&["secret"]),
            hash: names(&["email"]),
            rename: [rename("id", "order_id"), rename("email", "email_hash")].into(),
            ..Shape::default()
        };
        assert_eq!(shape.fate("id"), Fate::Kept("order_id".into()));
        assert_eq!(shape.fate("order_id"), Fate::Left);
        assert_eq!(shape.fate("Secret"), Fate::Left);
        assert_eq!(shape.fate("email"), Fate::Hashed("email_hash".into()));
        assert_eq!(shape.record_name("order_id"), Some("id"));
        assert_eq!(shape.record_name("id"), None);
        assert_eq!(shape.record_name("email_hash"), None);
        assert_eq!(shape.record_name("amount"), Some("amount"));
    }
}
