//! Rows of both tables in the order of their keys: which keys only one of them has, which have other rows, which are there
//! more than once. Pure, and of constant memory but for the samples.

use std::ops::AddAssign;

use serde::Serialize;

use super::digest::parts;
use super::files::FileRef;

/// What differs between two tables, or between the rows of one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows whose key only A has.
    pub only_in_a: u64,
    /// Rows whose key only B has.
    pub only_in_b: u64,
    /// Keys that both have, with other values.
    pub different: u64,
    /// Rows of a key that both have which A has beyond those of B.
    pub more_in_a: u64,
    /// Rows of a key that both have which B has beyond those of A.
    pub more_in_b: u64,
    /// Keys of more than one row in A.
    pub repeated_in_a: u64,
    /// Keys of more than one row in B.
    pub repeated_in_b: u64,
}

impl Counts {
    /// Whether the rows differ. Keys that are repeated equally often with the same rows are no difference.
    pub fn differ(&self) -> bool {
        !self.same_keys() || self.different + self.more_in_a + self.more_in_b > 0
    }

    /// Whether each key of one table is in the other.
    pub fn same_keys(&self) -> bool {
        self.only_in_a + self.only_in_b == 0
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.only_in_a += other.only_in_a;
        self.only_in_b += other.only_in_b;
        self.different += other.different;
        self.more_in_a += other.more_in_a;
        self.more_in_b += other.more_in_b;
        self.repeated_in_a += other.repeated_in_a;
        self.repeated_in_b += other.repeated_in_b;
    }
}

/// What a sample is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    OnlyInA,
    OnlyInB,
    Different,
    MoreInA,
    MoreInB,
    /// The same rows on both sides, more than once.
    Repeated,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::OnlyInA,
        Self::OnlyInB,
        Self::Different,
        Self::MoreInA,
        Self::MoreInB,
        Self::Repeated,
    ];
}

/// A row that the other table does not have: where it is, and what tells it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub file: FileRef,
    pub place: u32,
    pub digest: u128,
}

/// A key, for a person to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub kind: Kind,
    /// With the digest of its first row behind it.
    pub id: Vec<u8>,
    /// Rows of the key on each side.
    pub rows: [u64; 2],
    /// One of them on each side that the other side does not have, or has less often.
    pub unmatched: [Option<Row>; 2],
}

/// What the merge has found.
#[derive(Debug)]
pub struct Found {
    /// By place.
    pub counts: Vec<Counts>,
    /// The first of each kind, in the order of keys.
    pub samples: Vec<Sample>,
    /// Rows that were merged.
    pub rows: u64,
}

impl Found {
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in &self.counts {
            total += *counts;
        }
        total
    }
}

/// Takes rows in the order of their ids.
#[derive(Debug)]
pub struct Merge {
    /// Whether rows have a key beside their digest.
    keyed: bool,
    most_samples: usize,
    sampled: [usize; Kind::ALL.len()],
    found: Found,
    /// Of the rows that are merged now.
    id: Vec<u8>,
    key: Key,
    run: Run,
}

/// Rows of one key.
#[derive(Debug, Default)]
struct Key {
    id: Vec<u8>,
    rows: [u64; 2],
    /// Those that the other side has as well.
    matched: u64,
    unmatched: [Option<Row>; 2],
    /// Of the first row.
    place: u32,
}

/// Equal rows.
#[derive(Debug, Default)]
struct Run {
    rows: [u64; 2],
    first: [Option<Row>; 2],
}

impl Merge {
    /// `places`: how many there are. `most_samples`: of each kind.
    pub fn new(keyed: bool, places: usize, most_samples: usize) -> Self {
        Self {
            keyed,
            most_samples,
            sampled: [0; Kind::ALL.len()],
            found: Found {
                counts: vec![Counts::default(); places],
                samples: Vec::new(),
                rows: 0,
            },
            id: Vec::new(),
            key: Key::default(),
            run: Run::default(),
        }
    }

    /// The next row. Its id is that of the one before, or a greater one.
    pub fn push(&mut self, id: &[u8], file: FileRef, place: u32) {
        if self.found.rows == 0 {
            self.begin(id, place);
        } else if self.id != id {
            self.end_run();
            if parts(&self.id).0 != parts(id).0 || !self.keyed {
                self.end_key();
                self.begin(id, place);
            }
        }
        self.found.rows += 1;
        if self.id != id {
            self.id.clear();
            self.id.extend_from_slice(id);
        }
        self.run.rows[file.side] += 1;
        self.run.first[file.side].get_or_insert_with(|| Row {
            file,
            place,
            digest: parts(id).1,
        });
    }

    fn begin(&mut self, id: &[u8], place: u32) {
        self.key.id.clear();
        self.key.id.extend_from_slice(id);
        self.key.place = place;
    }

    fn end_run(&mut self) {
        let Run { rows, first } = std::mem::take(&mut self.run);
        let matched = rows[0].min(rows[1]);
        self.key.matched += matched;
        for (side, first) in first.into_iter().enumerate() {
            self.key.rows[side] += rows[side];
            if rows[side] > matched && self.key.unmatched[side].is_none() {
                self.key.unmatched[side] = first;
            }
        }
    }

    fn end_key(&mut self) {
        let key = std::mem::take(&mut self.key);
        let [a, b] = key.rows;
        let [a_more, b_more] = [a - key.matched, b - key.matched];
        let place = key.unmatched.iter().flatten().map(|row| row.place).next();
        let counts = &mut self.found.counts[place.unwrap_or(key.place) as usize];
        counts.repeated_in_a += u64::from(a > 1);
        counts.repeated_in_b += u64::from(b > 1);
        let kind = match (a_more, b_more) {
            (0, 0) if a > 1 => Kind::Repeated,
            (0, 0) => return,
            (more, 0) if b == 0 => {
                counts.only_in_a += more;
                Kind::OnlyInA
            }
            (0, more) if a == 0 => {
                counts.only_in_b += more;
                Kind::OnlyInB
            }
            (more, 0) => {
                counts.more_in_a += more;
                Kind::MoreInA
            }
            (0, more) => {
                counts.more_in_b += more;
                Kind::MoreInB
            }
            _ => {
                counts.different += 1;
                Kind::Different
            }
        };
        let sampled = &mut self.sampled[kind as usize];
        if *sampled < self.most_samples {
            *sampled += 1;
            self.found.samples.push(Sample {
                kind,
                id: key.id,
                rows: key.rows,
                unmatched: key.unmatched,
            });
        }
    }

    /// There are no more rows.
    pub fn finish(mut self) -> Found {
        if self.found.rows > 0 {
            self.end_run();
            self.end_key();
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn id(key: u8, digest: u128) -> Vec<u8> {
        let mut id = vec![key];
        id.extend(digest.to_be_bytes());
        id
    }

    /// (key, digest, side), sorted by id as the sort does.
    fn merged(rows: &[(u8, u128, usize)], most_samples: usize) -> Found {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|(key, digest, _)| (*key, *digest));
        let mut merge = Merge::new(true, 256, most_samples);
        for (key, digest, side) in rows {
            merge.push(&id(key, digest), FileRef { side, number: 0 }, u32::from(key));
        }
        merge.finish()
    }

    /// The same by looking at each key alone.
    fn expected(rows: &[(u8, u128, usize)]) -> BTreeMap<u8, Counts> {
        let mut by_key: BTreeMap<u8, [Vec<u128>; 2]> = BTreeMap::new();
        for (key, digest, side) in rows {
            by_key.entry(*key).or_default()[*side].push(*digest);
        }
        let counts = by_key.into_iter().map(|(key, [a, b])| {
            let beyond = |of: &[u128], other: &[u128]| {
                let mut other = other.to_vec();
                let missing = of
                    .iter()
                    .filter(|digest| match other.iter().position(|d| d == *digest) {
                        Some(at) => {
                            other.swap_remove(at);
                            false
                        }
                        None => true,
                    });
                missing.count() as u64
            };
            let (a_more, b_more) = (beyond(&a, &b), beyond(&b, &a));
            let mut counts = Counts {
                repeated_in_a: u64::from(a.len() > 1),
                repeated_in_b: u64::from(b.len() > 1),
                ..Counts::default()
            };
            if b.is_empty() {
                counts.only_in_a = a_more;
            } else if a.is_empty() {
                counts.only_in_b = b_more;
            } else if a_more > 0 && b_more > 0 {
                counts.different = 1;
            } else {
                (counts.more_in_a, counts.more_in_b) = (a_more, b_more);
            }
            (key, counts)
        });
        counts.collect()
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_each_key_says_alone(
            rows in prop::collection::vec((0..6_u8, 0..3_u128, 0..2_usize), 0..40),
        ) {
            let found = merged(&rows, 100);
            prop_assert_eq!(found.rows, rows.len() as u64);
            for (key, counts) in expected(&rows) {
                prop_assert_eq!(found.counts[key as usize], counts, "key {}", key);
            }
            for sample in &found.samples {
                let differs = sample.kind != Kind::Repeated;
                prop_assert_eq!(sample.unmatched.iter().any(Option::is_some), differs);
                for row in sample.unmatched.iter().flatten() {
                    prop_assert!(rows.contains(&(sample.id[0], row.digest, row.file.side)));
                }
            }
        }
    }

    #[test]
    fn samples_are_the_first_of_their_kind() {
        let rows = [
            (1, 5, 0),
            (2, 5, 0),
            (3, 5, 0),
            (4, 5, 0),
            (4, 6, 1),
            (5, 5, 0),
            (5, 5, 1),
            (5, 5, 1),
        ];
        let found = merged(&rows, 2);
        let samples: Vec<(Kind, u8)> = found
            .samples
            .iter()
            .map(|sample| (sample.kind, sample.id[0]))
            .collect();
        let wanted = [
            (Kind::OnlyInA, 1),
            (Kind::OnlyInA, 2),
            (Kind::Different, 4),
            (Kind::MoreInB, 5),
        ];
        assert_eq!(samples, wanted);
        assert_eq!((found.total().only_in_a, found.total().differ()), (3, true));
    }

    #[test]
    fn without_a_key_each_row_is_its_own() {
        let mut merge = Merge::new(false, 1, 9);
        for (digest, side) in [(1_u128, 0), (1, 0), (1, 1), (2, 1)] {
            merge.push(&digest.to_be_bytes(), FileRef { side, number: 0 }, 0);
        }
        let total = merge.finish().total();
        assert_eq!((total.more_in_a, total.only_in_b, total.different), (1, 1, 0));
    }
}
