//! Does a table hold each record exactly once? What the table itself proves comes first; then the broker is asked for what
//! it alone can tell (`docs/verify.md`).
//!
//! ```text
//! load ─▶ history ─▶ ledger ─▶ files ─▶ dead letters ─▶ offsets, window by window ─▶ rows ─▶ verdict
//!                                                         └─ what has no row ─▶ broker ─┘
//! ```
//!
//! One snapshot is judged, so that commits meanwhile change nothing. Each judgement is a pure function of what was read:
//! [`ledger::Walk`], [`files`]' comparison with a footer, [`offsets::Lines`], [`letters::Addressed`], [`rows::compare`].

mod broker;
mod budget;
mod deleted;
mod error;
mod files;
mod findings;
mod ledger;
mod letters;
mod offsets;
mod retired;
mod rows;
mod since;
mod steps;
mod verdict;

use iceberg::TableIdent;
use iceberg::spec::{MAIN_BRANCH, SnapshotRef};
use tabletopic_catalog::LoadedTable;
use tabletopic_clock::Millis;
use tabletopic_offsets::TableState;
use tabletopic_table::Lake;
use tabletopic_table::commit::{Base, CommitError, TAG, TagState, WITNESS, check_standing};

pub use broker::{Brokers, MakeSource};
pub use error::VerifyError;
use since::Since;
use steps::{Steps, halted};
pub use verdict::{Check, Conclusion, Finding, Judged, Name, Outcome, RestsOn, TOLD, Verdict};

/// The columns that tell where a row is from.
const TOPIC: &str = "_kafka_topic";
const PARTITION: &str = "_kafka_partition";
const OFFSET: &str = "_kafka_offset";

/// How often a table is read whose snapshots expire meanwhile.
const MOST_READS: u32 = 5;

/// What a verdict is made with.
pub struct Means<'a> {
    pub lake: &'a Lake,
    /// `Err`: why no broker is asked.
    pub brokers: Result<Brokers, String>,
    /// Bytes that bitmaps may take, and likewise what delete files say.
    pub memory: usize,
    pub progress: &'a dyn Progress,
}

/// Who is told how far it is.
pub trait Progress: Send + Sync {
    /// So many of all of these were read.
    fn done(&self, what: &'static str, done: u64, all: u64);
}

/// Judges a table. With `since`, only what is younger than this snapshot of ours.
///
/// # Errors
/// See [`VerifyError`]. What is wrong with the table is no error.
pub async fn verify(
    means: &Means<'_>,
    table: &TableIdent,
    since: Option<i64>,
) -> Result<Verdict, VerifyError> {
    let mut started_again = 0;
    loop {
        let loaded = means.lake.catalog.load(table).await?;
        let judged = loaded.metadata.snapshot_for_ref(MAIN_BRANCH).cloned();
        let verdict = once(means, &loaded, judged.as_ref(), since).await;
        let gone = match &verdict {
            Ok(verdict) => verdict.misses_files(),
            Err(error) => !error.is_misuse() && !error.is_halt(),
        };
        if gone && started_again < MOST_READS && has_expired(means.lake, table, judged.as_ref()).await {
            started_again += 1;
            tracing::warn!(%table, "the snapshot expired while it was read: the newest one is read from the start");
            continue;
        }
        return verdict.map(|verdict| Verdict {
            started_again,
            ..verdict
        });
    }
}

/// Whether a snapshot has left the table. Who can't tell believes what was found.
async fn has_expired(lake: &Lake, table: &TableIdent, judged: Option<&SnapshotRef>) -> bool {
    let (Some(judged), Ok(now)) = (judged, lake.catalog.load(table).await) else {
        return false;
    };
    now.metadata.snapshot_by_id(judged.snapshot_id()).is_none()
}

async fn once(
    means: &Means<'_>,
    table: &LoadedTable,
    judged: Option<&SnapshotRef>,
    since: Option<i64>,
) -> Result<Verdict, VerifyError> {
    let name = table.ident.to_string();
    let history = history(means.lake, table).await?;
    let Some(snapshot) = judged else {
        let files = Check::not_checked(Name::Files, "`main` has no snapshot");
        let checks = match history {
            History::Halted(why) => halted(why, files),
            History::Others | History::Ours(_) => vec![files],
        };
        return Ok(Verdict::of(name, None, since, checks));
    };
    let since = since.map(|id| Since::of(table, id)).transpose()?;
    let steps = Steps {
        means,
        table,
        snapshot,
        since: since.as_ref(),
    };
    let checks = match history {
        History::Others => steps.of_others().await?,
        History::Halted(why) => steps.of_halted(why).await?,
        History::Ours(base) => steps.of_ours(&base).await?,
    };
    let judged = Judged {
        snapshot_id: snapshot.snapshot_id(),
        sequence_number: snapshot.sequence_number(),
        time: snapshot.timestamp_ms(),
    };
    let since = since.map(|since| since.snapshot_id);
    Ok(Verdict::of(name, Some(judged), since, checks))
}

/// Whose table it is, and whether it stands still.
enum History {
    Ours(Box<Base<TableState>>),
    Halted(String),
    /// Nothing of ours is in it, or it is the dead letters or the ledger of another.
    Others,
}

async fn history(lake: &Lake, table: &LoadedTable) -> Result<History, VerifyError> {
    let carries = |mark: &str| {
        let tagged = table.metadata.snapshot_for_ref(TAG);
        tagged.is_some_and(|snapshot| snapshot.summary().additional_properties.contains_key(mark))
    };
    let ours = carries(<TableState as TagState>::MARK) || table.metadata.properties().contains_key(WITNESS);
    let follower = carries(<tabletopic_table::follower::FollowerState as TagState>::MARK);
    if follower || !ours {
        return Ok(History::Others);
    }
    let base = match Base::<TableState>::read(table.clone()) {
        Ok(base) => base,
        Err(halt) => return Ok(History::Halted(halt.to_string())),
    };
    match check_standing(lake, &base).await {
        Ok(()) => Ok(History::Ours(Box::new(base))),
        Err(CommitError::Halt(halt)) => Ok(History::Halted(halt.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// A point in time for a person.
fn shown(at: Millis) -> String {
    chrono::DateTime::from_timestamp_millis(at)
        .map_or_else(|| at.to_string(), |at| at.format("%F %T UTC").to_string())
}
