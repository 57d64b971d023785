//! Old snapshots leave a table, with the files that only they led to.

use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_catalog::LoadedTable;
use tabletopic_clock::Millis;
use tabletopic_offsets::TableState;
use tabletopic_table::Lake;
use tabletopic_table::commit::expire::by_hand::{self, Limits};
use tabletopic_table::commit::{Base, Waiting, load_patiently};
use tabletopic_table::follower::FollowerState;

use crate::MaintainError;
use crate::owner::Owner;

/// Snapshots that leave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Leaving {
    pub snapshots: usize,
    /// Milliseconds since 1970 of the oldest and the newest of them.
    pub oldest: Option<Millis>,
    pub newest: Option<Millis>,
    /// How many stay.
    pub stay: usize,
}

/// What would leave.
///
/// # Errors
/// Those of reading the table; one that nothing may be expired of.
pub async fn leaving(
    lake: &Lake,
    table: &TableIdent,
    limits: Limits,
    waiting: &dyn Waiting,
) -> Result<Leaving, MaintainError> {
    let loaded = load_patiently(lake, table, waiting).await?;
    leaving_now(loaded, limits, lake.clock.now())
}

/// What would leave a table that is loaded: pure.
///
/// # Errors
/// As [`leaving`].
pub fn leaving_now(loaded: LoadedTable, limits: Limits, now: Millis) -> Result<Leaving, MaintainError> {
    let all = loaded.metadata.snapshots().count();
    let leaving = match Owner::of(&loaded) {
        Owner::Follower => by_hand::leaving(&Base::<FollowerState>::of_anyone(loaded)?, limits, now)?,
        Owner::Main | Owner::Others => {
            by_hand::leaving(&Base::<TableState>::of_anyone(loaded)?, limits, now)?
        }
    };
    Ok(Leaving {
        snapshots: leaving.len(),
        oldest: leaving.first().map(|snapshot| snapshot.timestamp_ms()),
        newest: leaving.last().map(|snapshot| snapshot.timestamp_ms()),
        stay: all - leaving.len(),
    })
}

/// Has them leave, and answers how many did.
///
/// # Errors
/// A halt, or what a commit fails with for good.
pub async fn expire(
    lake: &Lake,
    table: &TableIdent,
    limits: Limits,
    waiting: &dyn Waiting,
) -> Result<usize, MaintainError> {
    let loaded = load_patiently(lake, table, waiting).await?;
    Ok(match Owner::of(&loaded) {
        Owner::Follower => by_hand::expire::<FollowerState>(lake, table, limits, waiting).await?,
        Owner::Main | Owner::Others => by_hand::expire::<TableState>(lake, table, limits, waiting).await?,
    })
}
