//! Whether two tables hold the same rows (`docs/compare.md`), whoever wrote them, in whatever files and order.
//!
//! ```text
//! schema ─▶ files ─▶ conform ─▶ digest ─▶ sums ── equal ──────────────────────────────────────────▶ answer
//!  which     several   common     128 bits  first pass   └─ differ ─▶ join: sort, merge ─▶ samples ──┘
//!  columns   at once   types      a row                               second pass          third pass
//! ```

mod answer;
mod comparable;
mod conform;
mod digest;
mod error;
mod files;
mod first;
mod join;
mod merge;
mod numbers;
mod one_side;
mod only;
mod places;
mod samples;
mod schema;
mod side;
mod sums;
mod types;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tabletopic_maintain::Allowance;
use tabletopic_maintain::compact::Sorter;
use tabletopic_table::rows::Offsets;

pub use answer::{ByPartition, ByTopicPartition, Comparison, Rows, Shown, Table, Values, Verdict};
pub use error::CompareError;
pub use merge::{Counts, Kind};
pub use places::TopicPartition;
pub use schema::{Columns, Difference};
pub use side::Side;

use digest::Digests;
use files::Both;
use join::Join;
use places::Places;
use samples::Showing;
use schema::Matching;

/// How a comparison is done.
#[derive(Debug, Clone)]
pub struct Options {
    pub columns: Columns,
    /// Only the rows of these offsets, by topic partition number; `None`: all rows.
    pub offsets: Option<Arc<Offsets>>,
    /// Samples of each kind.
    pub samples: usize,
    /// Sort all rows, so that keys which are there more than once are counted everywhere; else only what differs.
    pub every_key: bool,
    /// Files that are read at once.
    pub jobs: NonZeroUsize,
    /// For what delete files say.
    pub memory: Allowance,
    /// Bytes of rows that are held while they are sorted.
    pub sort_memory: usize,
}

/// Hears of what is read.
pub trait Progress: Send + Sync {
    /// A pass over so many bytes begins.
    fn begins(&self, what: &'static str, bytes: u64);

    /// So many bytes of it are done.
    fn read(&self, bytes: u64);
}

/// Compares two tables, each at its one snapshot.
///
/// # Errors
/// What is asked for is not there; files that cannot be read. Then nothing is known of the rows.
pub async fn compare(
    sides: [Side; 2],
    options: &Options,
    progress: Arc<dyn Progress>,
) -> Result<Comparison, CompareError> {
    let matching = Matching::of(&sides[0].schema, &sides[1].schema, &options.columns)?;
    if options.offsets.is_some() && !matching.is_kafka {
        return Err(CompareError::Asked(
            "only rows whose key is Kafka's can be compared by offsets: both tables need _kafka_partition and _kafka_offset"
                .to_owned(),
        ));
    }
    let places = Arc::new(Places::new(&matching, [&sides[0], &sides[1]])?);
    let entropy = sides[0].lake.entropy.clone();
    let both = Both::open(sides, &matching, options).await?;
    let both = Arc::new(both);
    let digests = Arc::new(Digests::new(&both.compared, matching.key, entropy.as_ref())?);
    let sums = Arc::new(first::pass(&both, &digests, &places, &progress).await?);
    let differing = match options.every_key {
        true => Some(sums.everything()),
        false => sums.differing(),
    };
    let key = matching.key;
    let joined = match differing {
        None => None,
        Some(differing) => {
            let join = Join {
                digests: digests.clone(),
                places: places.clone(),
                sums: sums.clone(),
                differing: Arc::new(differing),
                keyed: key > 0,
                samples: options.samples,
                sorter: Sorter::new(options.sort_memory, NonZeroUsize::MIN),
            };
            Some(join.run(&both, &progress).await?)
        }
    };
    let found = joined.as_ref().map(|joined| &joined.found);
    if let Some(found) = found
        && sums.differing().is_some() != found.total().differ()
    {
        return Err(CompareError::Miscounted(
            "the sums of the two passes do not go together".to_owned(),
        ));
    }
    let mut answer = answer::answer([both.side(0), both.side(1)], matching, &places, &sums, found);
    answer.every_key = options.every_key;
    if let Some(joined) = &joined {
        answer.spilled_bytes = joined.spilled;
        let showing = Showing {
            both: &both,
            digests: &digests,
            places: &places,
            sums: &sums,
            key,
        };
        answer.samples = showing.show(&joined.found.samples, &progress).await?;
    }
    Ok(answer)
}
