//! Which files are worth merging: pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use iceberg::spec::{DataFileFormat, Literal, PrimitiveLiteral};
use tabletopic_clock::Millis;
use tabletopic_table::snapshot::deletes::{DeleteIndex, Place};

use crate::survey::{FileEntry, Partition, Survey};

/// A file below so many quarters of the target is small.
const SMALL_QUARTERS: u64 = 3;

/// Files of one tier that make a hot partition worth the work.
const ALIKE: usize = 16;

/// Bytes up to which files are of the lowest tier; each tier is `TIER` times as large as the one below.
const LOWEST_TIER: u64 = 64 << 10;
const TIER: u64 = 8;

/// Files that are merged at once at most: the more there are, the sooner one of them is gone when it is committed.
const MOST_FILES: usize = 1_000;

/// Bytes that are put in order together at most: what is sorted lies on a disk meanwhile, several times as large.
const MOST_ARRANGED: u64 = 2 << 30;

/// What is worth doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Bytes that a file should have.
    pub target: u64,
    pub now: Millis,
    /// For how long after its newest rows a partition is hot.
    pub hot_for: Millis,
    /// Bytes that may be read for each file that a query need not open any more. `None`: any number.
    pub bytes_per_file: Option<u64>,
    /// Files are rewritten that are not in this order.
    pub arranged: Option<Arranged>,
    /// Files of other partition specs than this one are rewritten under it.
    pub moves_to: Option<i32>,
}

/// An order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arranged {
    /// The table's own, by its id: manifests say which files have it.
    Table(i32),
    /// Any other, of which no file says that it has it.
    Other,
}

impl Policy {
    fn moves(&self, (spec_id, _): &Place) -> bool {
        self.moves_to.is_some_and(|to| to != *spec_id)
    }

    fn is_out_of_order(&self, file: &FileEntry) -> bool {
        match self.arranged {
            None => false,
            Some(Arranged::Other) => true,
            Some(Arranged::Table(id)) => file.sort_order != Some(id),
        }
    }

    /// A file below so many bytes is small.
    pub fn small(&self) -> u64 {
        self.target / 4 * SMALL_QUARTERS
    }

    /// Nothing is hot for no time at all: a snapshot may be of a moment to come, by its writer's clock.
    pub fn is_hot(&self, partition: &Partition) -> bool {
        let touched = partition.touched();
        self.hot_for > 0 && touched.is_some_and(|touched| self.now - touched < self.hot_for)
    }
}

/// Files of one partition value that are to become one, or a few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub place: Place,
    pub files: Vec<FileEntry>,
    pub bytes: u64,
    /// Data and delete files that a query of the partition need not open any more.
    pub saves: u64,
}

impl Piece {
    /// How many files of a size it becomes.
    pub fn makes(&self, target: u64) -> u64 {
        self.bytes.div_ceil(target.max(1)).max(1)
    }
}

/// What is worth doing, what saves most for each byte first. `without` are files that cannot be rewritten.
pub fn choose(survey: &Survey, policy: &Policy, without: &dyn Fn(&str) -> bool) -> Vec<Piece> {
    // Some tables have a file twice, perhaps in two places.
    let mut times = HashMap::<&str, u32>::new();
    for file in survey.partitions.values().flat_map(|partition| &partition.files) {
        *times.entry(&file.path).or_default() += 1;
    }
    let without = |path: &str| times.get(path) != Some(&1) || without(path);
    let partitions = survey.partitions.iter().filter(|(place, _)| !has_zero(place));
    let mut pieces: Vec<Piece> = partitions
        .flat_map(|(place, partition)| of_partition(place, partition, &survey.deletes, policy, &without))
        .collect();
    // Saved files for each byte, compared without dividing; then by name, so that the order is always the same.
    pieces.sort_by(|a, b| {
        let (left, right) = (
            u128::from(a.saves) * u128::from(b.bytes),
            u128::from(b.saves) * u128::from(a.bytes),
        );
        right
            .cmp(&left)
            .then_with(|| a.files[0].path.cmp(&b.files[0].path))
    });
    pieces
}

/// A float that is a partition by itself: -0.0 and 0.0 are two partitions, which compare as one.
fn has_zero((_, partition): &Place) -> bool {
    let is_zero = |value: &Literal| match value {
        Literal::Primitive(PrimitiveLiteral::Float(value)) => value.0 == 0.0,
        Literal::Primitive(PrimitiveLiteral::Double(value)) => value.0 == 0.0,
        _ => false,
    };
    partition.iter().flatten().any(is_zero)
}

fn of_partition(
    place: &Place,
    partition: &Partition,
    deletes: &DeleteIndex,
    policy: &Policy,
    without: &dyn Fn(&str) -> bool,
) -> Vec<Piece> {
    let has_deletes = |file: &FileEntry| deletes.of(file.data(place)).next().is_some();
    let small = policy.small();
    let moves = policy.moves(place);
    let together = match moves || policy.arranged.is_some() {
        true => policy.target.max(MOST_ARRANGED),
        false => policy.target,
    };
    let candidates = partition
        .files
        .iter()
        .filter(|file| file.format == DataFileFormat::Parquet && !without(&file.path))
        .filter(|file| moves || policy.is_out_of_order(file) || file.bytes < small || has_deletes(file));
    let groups: Vec<Vec<&FileEntry>> = match policy.is_hot(partition) {
        true => alike(candidates)
            .into_iter()
            .filter(|group| group.len() >= ALIKE)
            .collect(),
        false => vec![candidates.collect()],
    };
    let packed = groups.into_iter().flat_map(|group| pack(group, together));
    packed
        .map(|files| piece(place, files, deletes, policy.target))
        .filter(|piece| {
            moves || piece.saves > 0 || piece.files.iter().any(|file| policy.is_out_of_order(file))
        })
        .filter(|piece| {
            let affordable = policy
                .bytes_per_file
                .map(|bytes| bytes.saturating_mul(piece.saves));
            affordable.is_none_or(|bytes| piece.bytes <= bytes)
        })
        .collect()
}

/// By tier of size.
fn alike<'a>(files: impl Iterator<Item = &'a FileEntry>) -> Vec<Vec<&'a FileEntry>> {
    let mut tiers = BTreeMap::<u32, Vec<&FileEntry>>::new();
    for file in files {
        let tier = (file.bytes / LOWEST_TIER)
            .checked_ilog(TIER)
            .map_or(0, |tier| tier + 1);
        tiers.entry(tier).or_default().push(file);
    }
    tiers.into_values().collect()
}

/// Neighbours in age together, so that files of the result hold neighbouring offsets.
fn pack(files: Vec<&FileEntry>, most: u64) -> Vec<Vec<FileEntry>> {
    let mut packed: Vec<Vec<FileEntry>> = Vec::new();
    let mut bytes = 0;
    for file in files {
        match packed.last_mut() {
            Some(last) if bytes + file.bytes <= most && last.len() < MOST_FILES => {
                bytes += file.bytes;
                last.push(file.clone());
            }
            _ => {
                bytes = file.bytes;
                packed.push(vec![file.clone()]);
            }
        }
    }
    packed
}

fn piece(place: &Place, files: Vec<FileEntry>, deletes: &DeleteIndex, target: u64) -> Piece {
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let applied: HashSet<&str> = files
        .iter()
        .flat_map(|file| deletes.of(file.data(place)))
        .map(|delete| delete.file.file_path())
        .collect();
    let opened = (files.len() + applied.len()) as u64;
    let mut piece = Piece {
        place: place.clone(),
        files,
        bytes,
        saves: 0,
    };
    piece.saves = opened.saturating_sub(piece.makes(target));
    piece
}

#[cfg(test)]
mod tests {
    use iceberg::spec::Struct;
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;
    const NOW: Millis = 1_000_000_000;

    const POLICY: Policy = Policy {
        target: 512 * MIB,
        now: NOW,
        hot_for: 600_000,
        bytes_per_file: Some(32 * MIB),
        arranged: None,
        moves_to: None,
    };

    fn place() -> Place {
        (0, Struct::empty())
    }

    fn file(number: usize, bytes: u64, age: Millis) -> FileEntry {
        FileEntry {
            path: format!("{number:05}.parquet"),
            bytes,
            rows: 1,
            format: DataFileFormat::Parquet,
            sequence_number: number as i64,
            file_sequence_number: Some(number as i64),
            sort_order: None,
            first_row_id: None,
            added: Some(NOW - age),
        }
    }

    fn chosen(sizes: &[u64], age: Millis, policy: &Policy) -> Vec<(usize, u64)> {
        let files = sizes
            .iter()
            .enumerate()
            .map(|(number, bytes)| file(number, *bytes, age));
        let partition = Partition {
            files: files.collect(),
        };
        of_partition(&place(), &partition, &DeleteIndex::default(), policy, &|_| false)
            .into_iter()
            .map(|piece| (piece.files.len(), piece.saves))
            .collect()
    }

    #[test]
    fn a_quiet_partition_is_packed_to_the_target() {
        let hour = 3_600_000;
        assert_eq!(
            chosen(&[5 * MIB; 400], hour, &POLICY),
            [(102, 101), (102, 101), (102, 101), (94, 93)]
        );
        assert_eq!(chosen(&[400 * MIB; 3], hour, &POLICY), [], "none is small");
        assert_eq!(chosen(&[5 * MIB], hour, &POLICY), [], "one file stays one");
    }

    #[test]
    fn in_the_background_a_file_saved_may_not_cost_much() {
        let two = [100 * MIB, 100 * MIB];
        assert_eq!(chosen(&two, 3_600_000, &POLICY), []);
        let by_hand = Policy {
            bytes_per_file: None,
            ..POLICY
        };
        assert_eq!(chosen(&two, 3_600_000, &by_hand), [(2, 1)]);
    }

    #[test]
    fn what_is_out_of_order_is_rewritten_once() {
        let hour = 3_600_000;
        let by_hand = Policy {
            bytes_per_file: None,
            arranged: Some(Arranged::Table(1)),
            ..POLICY
        };
        let sizes = [600 * MIB; 20];
        // Larger than the target, and in pieces that are.
        assert_eq!(chosen(&sizes[..5], hour, &by_hand), [(3, 0), (2, 0)]);
        let mut in_order = file(0, 600 * MIB, hour);
        in_order.sort_order = Some(1);
        let pieces = |files, policy: &Policy| {
            of_partition(
                &place(),
                &Partition { files },
                &DeleteIndex::default(),
                policy,
                &|_| false,
            )
            .len()
        };
        assert_eq!(pieces(vec![in_order.clone()], &by_hand), 0);
        let other = Policy {
            arranged: Some(Arranged::Other),
            ..by_hand
        };
        assert_eq!(
            pieces(vec![in_order.clone()], &other),
            1,
            "nothing says that it is"
        );
        let moved = |to| Policy {
            arranged: None,
            moves_to: Some(to),
            ..by_hand
        };
        assert_eq!(pieces(vec![in_order.clone()], &moved(0)), 0, "it has this spec");
        assert_eq!(pieces(vec![in_order], &moved(1)), 1);
    }

    #[test]
    fn a_hot_partition_is_left_alone_until_many_files_are_alike() {
        assert_eq!(chosen(&[MIB; 15], 0, &POLICY), []);
        assert_eq!(chosen(&[MIB; 16], 0, &POLICY), [(16, 15)]);
        let mixed = [[40 << 10; 15], [30 * MIB; 15]].concat();
        assert_eq!(chosen(&mixed, 0, &POLICY), [], "of two tiers");
    }

    /// A commit each second into one partition, merged whenever it is worth it.
    #[test]
    fn by_hand_nothing_is_hot_whatever_its_writer_took_for_now() {
        let by_hand = Policy { hot_for: 0, ..POLICY };
        assert_eq!(chosen(&[MIB; 2], -5_000, &by_hand), [(2, 1)]);
    }

    #[test]
    fn a_partition_that_is_always_hot_has_few_files_and_rows_are_written_few_times() {
        let mut sizes: Vec<u64> = Vec::new();
        let (mut written, mut most) = (0, 0);
        for _ in 0..20_000 {
            sizes.push(100 << 10);
            let files = sizes
                .iter()
                .enumerate()
                .map(|(number, bytes)| file(number, *bytes, 0));
            let partition = Partition {
                files: files.collect(),
            };
            for piece in of_partition(&place(), &partition, &DeleteIndex::default(), &POLICY, &|_| false) {
                written += piece.bytes;
                let gone: HashSet<usize> = piece
                    .files
                    .iter()
                    .map(|file| file.sequence_number as usize)
                    .collect();
                let mut at = 0..;
                sizes.retain(|_| !gone.contains(&at.next().unwrap_or_default()));
                sizes.push(piece.bytes);
            }
            most = most.max(sizes.len());
        }
        let total = 20_000 * (100 << 10);
        assert!(most < 80, "{most} files");
        assert!(
            written < 4 * total,
            "written {} times",
            written as f64 / total as f64
        );
    }

    proptest! {
        #[test]
        fn no_file_is_in_two_pieces_and_each_piece_saves_something(
            sizes in prop::collection::vec(1..600 * MIB, 0..80),
            age in 0..2_000_000_i64,
        ) {
            let files = sizes.iter().enumerate().map(|(number, bytes)| file(number, *bytes, age));
            let partition = Partition { files: files.collect() };
            let pieces = of_partition(&place(), &partition, &DeleteIndex::default(), &POLICY, &|_| false);
            let mut seen = HashSet::new();
            for piece in &pieces {
                prop_assert!(piece.saves > 0 && piece.files.len() > 1);
                prop_assert!(piece.bytes <= POLICY.target);
                for file in &piece.files {
                    prop_assert!(seen.insert(file.path.clone()), "{} twice", file.path);
                }
            }
        }
    }
}
