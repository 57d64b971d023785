//! What a table has of some offsets of a job, besides rows.

use std::collections::BTreeMap;

use tabletopic_offsets::{Follower, JobId, OffsetRange, RangeSet, TableState};

use tabletopic_catalog::CatalogError;

use crate::commit::{Base, CommitError, Halt};
use crate::follower::{FollowerState, ident, letters};
use crate::lake::Lake;
use crate::rows::Offsets;

/// How many dead letters the table has of the offsets, by topic partition number, with what the dead-letter table has drained
/// acknowledged in `next`.
///
/// # Errors
/// Those of loading and reading the dead letters.
pub(super) async fn counted_letters(
    lake: &Lake,
    base: &Base<TableState>,
    next: &mut TableState,
    job: &JobId,
    offsets: &Offsets,
) -> Result<BTreeMap<i32, u64>, CommitError> {
    let follower = drained_letters(lake, base, next).await?;
    let log = letters::Log {
        job,
        topic_id: next.job(job).and_then(|job| job.identity.topic_id.as_deref()),
        offsets,
    };
    letters::count(lake, &follower, &next.outbox, log).await
}

/// The dead-letter table; what it has drained is acknowledged in `next`.
///
/// # Errors
/// Those of loading it; it stands where the table never was.
pub(super) async fn drained_letters(
    lake: &Lake,
    base: &Base<TableState>,
    next: &mut TableState,
) -> Result<Base<FollowerState>, CommitError> {
    let table = ident(&base.table.ident, Follower::DeadLetters);
    let follower = Base::<FollowerState>::read(lake.catalog.load(&table).await?)?;
    // One that is ahead drained a newer state than `base`, which the catalog will refuse.
    let newest = base
        .tagged
        .as_ref()
        .map(|tagged| tagged.snapshot.sequence_number());
    let drained = |state: &&FollowerState| Some(state.drained.snapshot.sequence_number) <= newest;
    if let Some(state) = follower.state().filter(drained) {
        next.outbox
            .acknowledge(Follower::DeadLetters, state.drained.clone())
            .map_err(|error| Halt::Resolve {
                table: base.table.ident.clone(),
                detail: format!("its dead letters can't be counted: {error}"),
            })?;
    }
    Ok(follower)
}

/// Acknowledges in `next` what the dead-letter table has drained, if it is there and stands where it should.
///
/// # Errors
/// Those of loading it.
pub(super) async fn acknowledge_letters(
    lake: &Lake,
    base: &Base<TableState>,
    next: &mut TableState,
) -> Result<(), CommitError> {
    match drained_letters(lake, base, next).await {
        Ok(_) | Err(CommitError::Catalog(CatalogError::NotFound { .. }) | CommitError::Halt(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether rows of these offsets of the same partition number may be another topic's: of another job, or of a topic before this
/// one was adopted. Rows do not tell.
pub(super) fn others_have(state: &TableState, job: &JobId, partition: i32, offsets: OffsetRange) -> bool {
    let offsets: RangeSet = [offsets].into_iter().collect();
    let has = |set: &RangeSet| !set.intersection(&offsets).is_empty();
    state.jobs.iter().any(|(id, other)| {
        other.partitions.get(&partition).is_some_and(|known| {
            let earlier = known.past.iter().any(|past| has(&past.claimed));
            earlier || (id != job && has(&known.progress.offsets()))
        })
    })
}
