//! What the first pass adds up: for each side, how many rows there are and the wrapping sum of their digests, in any order
//! that they come in. Equal sums end the comparison.

use super::digest::CELLS;
use super::files::FileRef;
use super::numbers::Numbers;

/// Rows, and the sum of their digests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    pub rows: u64,
    digests: u128,
}

impl Sum {
    pub fn add(&mut self, digest: u128) {
        self.rows += 1;
        self.digests = self.digests.wrapping_add(digest);
    }

    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.digests = self.digests.wrapping_add(other.digests);
    }
}

/// The sums of both sides.
#[derive(Debug)]
pub struct Sums {
    /// By cell. A key's rows are all in one, so that what differs under a key is in the cells that differ.
    cells: [Vec<Sum>; 2],
    pub places: Numbers,
    /// By place.
    by_place: Vec<[Sum; 2]>,
    /// The topic partitions that a file has rows of, each as the bit of its index.
    touched: [Vec<u64>; 2],
}

/// Where the two differ: what has to be read again.
#[derive(Debug)]
pub struct Differing {
    cells: Vec<bool>,
    /// By place: whether anything in its topic partition differs.
    places: Vec<bool>,
    /// Topic partitions, as the bits of their indices.
    topics: u64,
}

impl Differing {
    pub fn cell(&self, cell: u32) -> bool {
        self.cells[cell as usize]
    }

    pub fn place(&self, place: u32) -> bool {
        self.places[place as usize]
    }
}

fn bit(topic: usize) -> u64 {
    1 << (topic % 64)
}

impl Sums {
    /// `files`: how many each side has.
    pub fn new(files: [usize; 2]) -> Self {
        Self {
            cells: [0, 1].map(|_| vec![Sum::default(); CELLS]),
            places: Numbers::default(),
            by_place: vec![<[Sum; 2]>::default()],
            touched: files.map(|files| vec![0; files]),
        }
    }

    /// Adds rows of one place, as (cell, digest).
    pub fn add(&mut self, file: FileRef, place: u32, rows: impl Iterator<Item = (u32, u128)>) {
        let cells = &mut self.cells[file.side];
        let mut sum = Sum::default();
        for (cell, digest) in rows {
            cells[cell as usize].add(digest);
            sum.add(digest);
        }
        self.by_place.resize(self.places.len(), Default::default());
        self.by_place[place as usize][file.side].merge(sum);
        self.touched[file.side][file.number] |= self.places.topic_of(place).map_or(u64::MAX, bit);
    }

    pub fn rows(&self) -> [u64; 2] {
        [0, 1].map(|side| self.by_place.iter().map(|sums| sums[side].rows).sum())
    }

    /// The sums of all places that `of` puts together, by the index that it gives them.
    pub fn grouped(&self, count: usize, of: impl Fn(u32) -> Option<usize>) -> Vec<[Sum; 2]> {
        let mut grouped = vec![<[Sum; 2]>::default(); count];
        for (place, sums) in self.by_place.iter().enumerate() {
            if let Some(at) = of(place as u32) {
                for side in [0, 1] {
                    grouped[at][side].merge(sums[side]);
                }
            }
        }
        grouped
    }

    /// What differs; `None`: nothing does.
    pub fn differing(&self) -> Option<Differing> {
        let cells: Vec<bool> = self.cells[0]
            .iter()
            .zip(&self.cells[1])
            .map(|(a, b)| a != b)
            .collect();
        if !cells.contains(&true) {
            return None;
        }
        let topics = self.grouped(self.places.topics().len(), |place| self.places.topic_of(place));
        let topics: Vec<bool> = topics.iter().map(|[a, b]| a != b).collect();
        Some(self.again(cells, |topic| topics[topic]))
    }

    /// All there is.
    pub fn everything(&self) -> Differing {
        self.again(vec![true; CELLS], |_| true)
    }

    fn again(&self, cells: Vec<bool>, topic: impl Fn(usize) -> bool) -> Differing {
        // Rows of place 0 may be of any topic partition.
        let all = self.by_place[0] != <[Sum; 2]>::default();
        let topics = (0..self.places.topics().len()).filter(|at| all || topic(*at));
        let places = 0..self.places.len() as u32;
        Differing {
            places: places
                .map(|place| all || self.places.topic_of(place).is_some_and(&topic))
                .collect(),
            topics: topics.fold(0, |bits, at| bits | bit(at)),
            cells,
        }
    }

    /// Whether a file may have rows of what differs.
    pub fn touches(&self, file: FileRef, differing: &Differing) -> bool {
        self.touched[file.side][file.number] & differing.topics != 0
    }
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{Literal, Struct};
    use proptest::prelude::*;

    use super::super::places::Part;
    use super::*;

    fn part(topic_partition: i32) -> Part {
        Part {
            topic_partition: Struct::from_iter([Some(Literal::int(topic_partition))]),
            value: Struct::empty(),
            rows: Vec::new(),
        }
    }

    fn sums(sides: [&[(i32, u32, u128)]; 2]) -> Sums {
        let mut sums = Sums::new(sides.map(<[_]>::len));
        for (side, rows) in sides.into_iter().enumerate() {
            // Each row is a file of its own.
            for (number, (topic, cell, digest)) in rows.iter().enumerate() {
                let place = sums.places.number(&part(*topic));
                sums.add(FileRef { side, number }, place, [(*cell, *digest)].into_iter());
            }
        }
        sums
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_matter(
            mut rows in prop::collection::vec((0..3_i32, 0..9_u32, any::<u128>()), 0..50),
            other in any::<u128>(),
        ) {
            let before = rows.clone();
            rows.reverse();
            prop_assert!(sums([&before, &rows]).differing().is_none());
            let Some(last) = rows.last_mut() else { return Ok(()) };
            prop_assume!(last.2 != other);
            last.2 = other;
            let cell = last.1;
            let differing = sums([&before, &rows]).differing().unwrap();
            prop_assert!(differing.cell(cell));
        }
    }

    #[test]
    fn only_files_of_topic_partitions_that_differ_are_read_again() {
        let a = [(0, 1, 10), (1, 1, 20), (2, 5, 30)];
        let b = [(0, 1, 10), (1, 1, 21), (2, 5, 30)];
        let sums = sums([&a, &b]);
        let differing = sums.differing().unwrap();
        let again = |number| sums.touches(FileRef { side: 0, number }, &differing);
        assert_eq!([0, 1, 2].map(again), [false, true, false]);
        assert_eq!(
            [1, 2, 3].map(|place| differing.place(place)),
            [false, true, false]
        );
        assert_eq!([1, 5].map(|cell| differing.cell(cell)), [true, false]);
        let all = sums.everything();
        assert!(
            [0, 1, 2]
                .into_iter()
                .all(|number| sums.touches(FileRef { side: 1, number }, &all))
        );
    }

    #[test]
    fn a_row_too_many_is_seen_even_where_its_digest_is_zero() {
        assert!(sums([&[(0, 1, 0)], &[]]).differing().is_some());
    }
}
