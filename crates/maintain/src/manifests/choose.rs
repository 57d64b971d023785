//! Which manifests are worth writing anew: told from what a manifest list says of each, so that none is read for it.

use std::cmp::Ordering;

use iceberg::spec::{Datum, FieldSummary, ManifestFile, PrimitiveLiteral, PrimitiveType, StructType};

/// Partition values that are looked at, of each group of manifests.
const MOST_POINTS: usize = 256;

/// Values between the least and the greatest that are tried at most.
const MOST_BETWEEN: i64 = 4096;

/// What a manifest list says of a manifest.
#[derive(Debug, Clone)]
pub struct Listed {
    pub bytes: u64,
    /// Live ones.
    pub files: u64,
    /// For each field of the partition spec.
    pub spans: Vec<Span>,
}

impl Listed {
    /// `types` are those of the partition value, as they are now.
    pub fn of(manifest: &ManifestFile, types: &StructType) -> Self {
        let summaries = manifest.partitions.as_deref().unwrap_or_default();
        let spans = types.fields().iter().enumerate().map(|(at, field)| {
            let primitive = field.field_type.as_primitive_type();
            let span = summaries.get(at).zip(primitive);
            span.and_then(|(summary, primitive)| Span::of(summary, primitive))
                .unwrap_or(Span::Any)
        });
        let files = [manifest.added_files_count, manifest.existing_files_count];
        Self {
            bytes: u64::try_from(manifest.manifest_length).unwrap_or(0),
            files: files.into_iter().flatten().map(u64::from).sum(),
            spans: spans.collect(),
        }
    }

    /// Whether a query of the value opens it.
    fn holds(&self, point: &Point) -> bool {
        self.spans
            .iter()
            .zip(point)
            .all(|(span, value)| span.holds(value.as_ref()))
    }

    /// Its least and its greatest value.
    fn corners(&self) -> Option<[Point; 2]> {
        let ends: Option<Vec<_>> = self.spans.iter().map(Span::ends).collect();
        let (low, high) = ends?.into_iter().unzip();
        Some([low, high])
    }

    /// Whether all its files have one value.
    fn is_of_one_value(&self) -> bool {
        self.corners().is_some_and(|[low, high]| low == high)
    }
}

/// Which values of one field a manifest has.
#[derive(Debug, Clone, PartialEq)]
pub enum Span {
    /// Nothing is said.
    Any,
    Values {
        /// `None`: null alone.
        bounds: Option<(Datum, Datum)>,
        null: bool,
    },
}

/// A partition value: `None` is null.
type Point = Vec<Option<Datum>>;

impl Span {
    fn of(summary: &FieldSummary, primitive: &PrimitiveType) -> Option<Self> {
        if summary.contains_nan == Some(true) {
            return None;
        }
        let bound = |bytes: &[u8]| Datum::try_from_bytes(bytes, primitive.clone()).ok();
        let bounds = match (&summary.lower_bound, &summary.upper_bound) {
            (Some(low), Some(high)) => Some((bound(low)?, bound(high)?)),
            (None, None) if summary.contains_null => None,
            _ => return None,
        };
        Some(Self::Values {
            bounds,
            null: summary.contains_null,
        })
    }

    fn holds(&self, value: Option<&Datum>) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (Self::Values { null, .. }, None) => *null,
            (Self::Values { bounds: None, .. }, Some(_)) => false,
            (
                Self::Values {
                    bounds: Some((low, high)),
                    ..
                },
                Some(value),
            ) => low <= value && value <= high,
        }
    }

    fn ends(&self) -> Option<(Option<Datum>, Option<Datum>)> {
        match self {
            Self::Any => None,
            Self::Values { bounds: None, .. } => Some((None, None)),
            Self::Values {
                bounds: Some((low, high)),
                null,
            } => Some(((!null).then(|| low.clone()), Some(high.clone()))),
        }
    }
}

/// When manifests are worth writing anew.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Manifests of one partition value that a query may open.
    pub most: usize,
    /// Of the manifests that are opened now, the share that may be left afterwards.
    pub left: f64,
}

impl Policy {
    /// Beside the ingest: once a query opens many, and half of them at least are saved.
    pub const BACKGROUND: Self = Self { most: 8, left: 0.5 };
    /// By hand: any saving that the sizes of manifests, which are estimates, do not hide.
    pub const BY_HAND: Self = Self { most: 1, left: 0.9 };
}

/// Manifests of one spec and content to be written anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Their numbers in what was chosen from.
    pub manifests: Vec<usize>,
    /// How many a query of one of their partition values opens, on average.
    pub opens: f64,
    /// And how many it will.
    pub will_open: f64,
}

/// Chooses among manifests of one spec and content; `None` where it is not worth it. Those are chosen that lie where a
/// query opens more than it should. A large one of a single value stays: it can't become any better.
pub fn choose(listed: &[Listed], target: u64, policy: &Policy) -> Option<Chosen> {
    let crowded: Vec<Point> = some_of(points(listed))
        .into_iter()
        .filter(|point| opens(listed, point) > policy.most)
        .collect();
    let settled = |at: &Listed| at.bytes >= target / 4 * 3 && at.is_of_one_value();
    let (chosen, stay): (Vec<_>, Vec<_>) = listed
        .iter()
        .enumerate()
        .partition(|(_, at)| !settled(at) && crowded.iter().any(|point| at.holds(point)));
    let stay: Vec<Listed> = stay.into_iter().map(|(_, at)| at.clone()).collect();
    let (manifests, chosen): (Vec<usize>, Vec<Listed>) = chosen
        .into_iter()
        .map(|(number, at)| (number, at.clone()))
        .unzip();
    let values = points(&chosen);
    let count = values.len();
    let sample = some_of(values);
    let average = |of: &[Listed]| {
        let sum: usize = sample.iter().map(|point| opens(of, point)).sum();
        sum as f64 / sample.len() as f64
    };
    if chosen.len() < 2 {
        return None;
    }
    // In the order of values each border between two new manifests cuts one value in two, at most.
    let borders = becomes(&chosen, target).saturating_sub(1);
    let will_open = average(&stay) + 1.0 + borders as f64 / count as f64;
    let opens = average(listed);
    (will_open <= opens * policy.left).then_some(Chosen {
        manifests,
        opens,
        will_open,
    })
}

/// How many of the manifests a query of a value opens.
fn opens(listed: &[Listed], point: &Point) -> usize {
    listed.iter().filter(|at| at.holds(point)).count()
}

/// The values of the manifests, in order and each once, as far as they can be told: those at the ends of each, and what
/// lies between them where that can be counted, as days can. Where nothing is said of any manifest, all are opened by any
/// query: the one without values.
fn points(listed: &[Listed]) -> Vec<Point> {
    let mut points: Vec<Point> = listed.iter().filter_map(Listed::corners).flatten().collect();
    let between = between(&points);
    let held = between.filter(|point| listed.iter().any(|at| at.holds(point)));
    points.extend(held.collect::<Vec<_>>());
    points.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    points.dedup();
    if points.is_empty() {
        points.push(Point::new());
    }
    points
}

/// The values from the least to the greatest, of specs of one field that counts.
fn between(points: &[Point]) -> impl Iterator<Item = Point> {
    let numbers = points.iter().filter_map(|point| match point.as_slice() {
        [Some(value)] => match value.literal() {
            PrimitiveLiteral::Int(number) => Some((i64::from(*number), value.data_type())),
            PrimitiveLiteral::Long(number) => Some((*number, value.data_type())),
            _ => None,
        },
        _ => None,
    });
    let ends = numbers.clone().min_by_key(|(number, _)| *number);
    let ends = ends.zip(numbers.max_by_key(|(number, _)| *number));
    let few = ends.filter(|((low, _), (high, _))| high.saturating_sub(*low) < MOST_BETWEEN);
    few.into_iter().flat_map(|((low, primitive), (high, _))| {
        (low..=high).filter_map(move |number| {
            let datum = match primitive {
                PrimitiveType::Int | PrimitiveType::Date => {
                    Datum::try_from_bytes(&i32::try_from(number).ok()?.to_le_bytes(), primitive.clone())
                }
                _ => Datum::try_from_bytes(&number.to_le_bytes(), primitive.clone()),
            };
            Some(vec![Some(datum.ok()?)])
        })
    })
}

/// At most so many, evenly from all.
fn some_of(mut points: Vec<Point>) -> Vec<Point> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    let mut number = 0..;
    points.retain(|_| {
        number
            .next()
            .is_some_and(|number: usize| number.is_multiple_of(step))
    });
    points
}

/// How many new ones they make, with as many bytes a file as the one with the most files has: small ones are little but
/// the schema.
fn becomes(listed: &[Listed], target: u64) -> u64 {
    let Some(largest) = listed.iter().max_by_key(|at| at.files) else {
        return 0;
    };
    let files: u64 = listed.iter().map(|at| at.files).sum();
    let bytes = u128::from(files) * u128::from(largest.bytes) / u128::from(largest.files.max(1));
    u64::try_from(bytes.div_ceil(u128::from(target.max(1)))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes of a file in a manifest, and of a manifest.
    const FILE: u64 = 100;
    const TARGET: u64 = 1000;

    /// A manifest of files with these values; 0 is null.
    fn manifest(values: &[i32]) -> Listed {
        let days: Vec<i32> = values.iter().copied().filter(|value| *value > 0).collect();
        let bounds = days.iter().min().zip(days.iter().max());
        Listed {
            bytes: values.len() as u64 * FILE,
            files: values.len() as u64,
            spans: vec![Span::Values {
                bounds: bounds.map(|(low, high)| (Datum::int(*low), Datum::int(*high))),
                null: days.len() < values.len(),
            }],
        }
    }

    fn chosen(manifests: &[Vec<i32>], policy: &Policy) -> Option<Chosen> {
        let listed: Vec<Listed> = manifests.iter().map(|values| manifest(values)).collect();
        choose(&listed, TARGET, policy)
    }

    /// What writing the chosen ones anew makes of them.
    fn clustered(manifests: &[Vec<i32>], chosen: &Chosen) -> Vec<Vec<i32>> {
        let mut values: Vec<i32> = chosen
            .manifests
            .iter()
            .flat_map(|at| manifests[*at].clone())
            .collect();
        values.sort_unstable();
        let stay = (0..manifests.len()).filter(|at| !chosen.manifests.contains(at));
        let stay = stay.map(|at| manifests[at].clone());
        let new = values.chunks((TARGET / FILE) as usize).map(<[i32]>::to_vec);
        stay.chain(new).collect()
    }

    #[test]
    fn many_small_manifests_of_a_day_become_one_and_other_days_stay() {
        let mut manifests = vec![vec![7]; 9];
        manifests.extend([vec![1, 1, 2], vec![3], vec![4, 5, 6]]);
        let found = chosen(&manifests, &Policy::BACKGROUND).unwrap();
        assert_eq!(found.manifests, (0..9).collect::<Vec<_>>());
        assert_eq!((found.opens, found.will_open), (9.0, 1.0));
        assert_eq!(chosen(&manifests[1..], &Policy::BACKGROUND), None, "few enough");
        let by_hand = chosen(&manifests[1..], &Policy::BY_HAND).unwrap();
        assert_eq!(by_hand.manifests, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn manifests_of_all_days_are_taken_apart() {
        let manifests = vec![(1..=10).collect::<Vec<i32>>(); 20];
        let found = chosen(&manifests, &Policy::BACKGROUND).unwrap();
        assert_eq!((found.manifests.len(), found.opens), (20, 20.0));
        // Twenty manifests have nineteen borders among ten days.
        assert_eq!(found.will_open, 1.0 + 19.0 / 10.0);
        assert_eq!(clustered(&manifests, &found)[0], [1; 10]);
    }

    #[test]
    fn a_full_manifest_of_one_value_stays() {
        let full = vec![7; 8];
        let mut manifests = vec![full.clone(); 20];
        assert_eq!(chosen(&manifests, &Policy::BACKGROUND), None);
        manifests.extend(vec![vec![7]; 5]);
        assert_eq!(
            chosen(&manifests, &Policy::BACKGROUND),
            None,
            "20 of 25 are opened all the same"
        );
        manifests.extend(vec![vec![7]; 30]);
        let found = chosen(&manifests, &Policy::BACKGROUND).unwrap();
        assert_eq!(found.manifests, (20..55).collect::<Vec<_>>());
    }

    #[test]
    fn null_is_a_value_like_others() {
        let manifests = [vec![vec![0]; 5], vec![vec![0, 1]; 5], vec![vec![3]; 2]].concat();
        let found = chosen(&manifests, &Policy::BACKGROUND).unwrap();
        assert_eq!(found.manifests, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn where_nothing_is_said_every_query_opens_every_manifest() {
        let unpartitioned = Listed {
            bytes: FILE,
            files: 1,
            spans: Vec::new(),
        };
        let found = choose(&vec![unpartitioned; 9], TARGET, &Policy::BACKGROUND).unwrap();
        assert_eq!((found.opens, found.will_open), (9.0, 1.0));
        let unsaid = Listed {
            bytes: FILE,
            files: 1,
            spans: vec![Span::Any],
        };
        let found = choose(&vec![unsaid; 9], TARGET, &Policy::BACKGROUND).unwrap();
        assert_eq!((found.opens, found.will_open), (9.0, 1.0));
    }

    #[test]
    fn bounds_from_before_a_column_was_widened_are_read_as_they_are_meant() {
        let summary = |bytes: &[u8]| FieldSummary {
            contains_null: false,
            contains_nan: None,
            lower_bound: Some(bytes.to_vec().into()),
            upper_bound: Some(bytes.to_vec().into()),
        };
        let long = PrimitiveType::Long;
        let then = Span::of(&summary(&7_i32.to_le_bytes()), &long);
        assert_eq!(then, Span::of(&summary(&7_i64.to_le_bytes()), &long));
        assert!(then.unwrap().holds(Some(&Datum::long(7))));
    }

    proptest! {
        #[test]
        fn what_is_written_anew_opens_no_more_than_was_said_and_is_not_written_again(
            manifests in prop::collection::vec(prop::collection::vec(0..6_i32, 1..12), 1..60),
            background in any::<bool>(),
        ) {
            let policy = match background {
                true => Policy::BACKGROUND,
                false => Policy::BY_HAND,
            };
            let Some(found) = chosen(&manifests, &policy) else { return Ok(()) };
            prop_assert!(found.will_open <= found.opens * policy.left);
            let before: Vec<Listed> = manifests.iter().map(|values| manifest(values)).collect();
            let values = points(&found.manifests.iter().map(|at| before[*at].clone()).collect::<Vec<_>>());
            let after = clustered(&manifests, &found);
            prop_assert_eq!(chosen(&after, &policy), None, "{:?}", after);
            let after: Vec<Listed> = after.iter().map(|values| manifest(values)).collect();
            let sum: usize = values.iter().map(|point| opens(&after, point)).sum();
            prop_assert!(sum as f64 / values.len() as f64 <= found.will_open + 1e-9);
        }
    }
}
