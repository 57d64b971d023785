//! Rows of logs that were cut: which files of a snapshot hold them, and what takes the place of these files.

mod find;
mod rewrite;

use std::collections::BTreeMap;

use iceberg::expr::{Predicate, Reference};
use iceberg::spec::Datum;
use tabletopic_offsets::Offset;

pub use find::{Found, find};
pub use rewrite::{Rewrite, write};

/// Where logs part from what was read of them, by topic partition number: rows at or above are to go.
pub type Cuts = BTreeMap<i32, Offset>;

/// The same as a filter for scans, on columns of these names. `None` where there are no cuts.
pub(crate) fn at_or_above(cuts: &Cuts, partition: &str, offset: &str) -> Option<Predicate> {
    cuts.iter()
        .map(|(number, cut)| {
            let of_partition = Reference::new(partition).equal_to(Datum::int(*number));
            of_partition.and(Reference::new(offset).greater_than_or_equal_to(Datum::long(*cut)))
        })
        .reduce(Predicate::or)
}
