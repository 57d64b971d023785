//! What a job decides about the shape of its rows. Plain data: whether it fits the records and the table is seen when
//! a decoder is made.

use std::collections::{BTreeMap, BTreeSet};

use iceberg::spec::{Schema, Type};

use crate::expression::Expression;
use crate::hash::HashKey;
use crate::names::Fate;

/// See the module. Columns are named as records have them, flattened ones as flattening calls them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    pub unwrap: Option<Unwrap>,
    /// Structs that become a column for each member, such as `address_city`.
    pub flatten: BTreeSet<String>,
    pub drop: BTreeSet<String>,
    /// Names of records to names of the table.
    pub rename: BTreeMap<String, String>,
    /// Columns of which the table holds a keyed hash.
    pub hash: BTreeSet<String>,
    pub hash_key: Option<HashKey>,
    /// Further columns of the table.
    pub compute: BTreeMap<String, Expression>,
    /// Types of columns that only expressions and hashes read.
    pub types: BTreeMap<String, Type>,
    /// Which records become rows: those for which it is true.
    pub keep: Option<Expression>,
    pub otherwise: Otherwise,
}

/// An envelope whose inside makes the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwrap {
    /// Debezium's change events: a row for each, with the columns of the row that was changed.
    Debezium,
}

/// What happens to records that are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Otherwise {
    /// They are counted.
    #[default]
    Drop,
    /// They are dead letters.
    DeadLetter,
}

impl Shape {
    /// Whether it keeps something of a record out of the table that its bytes would tell.
    pub fn withholds(&self) -> bool {
        // Such as `email = "split_part(email, '@', 2)"`: the table has no email.
        let masks = |(name, sql): (&String, &Expression)| sql.columns().any(|read| read == name);
        !self.drop.is_empty() || !self.hash.is_empty() || self.compute.iter().any(masks)
    }

    /// Whether the table's column of this name is not one that records have.
    pub fn makes(&self, column: &str) -> bool {
        let hashed = |name: &String| self.fate(name) == Fate::Hashed(column.to_owned());
        self.compute.contains_key(column) || self.hash.iter().any(hashed) || self.is_envelopes(column)
    }

    /// The columns that `where` reads and `table` holds nothing of: they are null to it.
    pub fn unheard_of(&self, table: &Schema) -> Vec<&str> {
        let read = self.keep.iter().flat_map(Expression::columns);
        let held = |name: &&str| match self.fate(name) {
            Fate::Kept(column) => {
                let fields = table.as_struct().fields();
                fields.iter().any(|field| field.name == column)
            }
            Fate::Hashed(_) | Fate::Left => true,
        };
        read.filter(|name| !held(name)).collect()
    }

    /// The columns that are read and that the table does not hold as they are.
    pub fn read_only(&self) -> BTreeSet<&str> {
        let named = self.expressions().flat_map(Expression::columns);
        let read = named.chain(self.hash.iter().map(String::as_str));
        read.filter(|name| !self.is_kept(name) && !self.is_envelopes(name))
            .collect()
    }

    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.compute.values().chain(&self.keep)
    }
}
