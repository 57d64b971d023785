//! The one loop that every commit of ours goes through (commit protocol, sections 3.4 to 3.6).
//!
//! ```text
//!  load ─> found an attempt of ours? ──yes──> applied
//!   ^           │ no
//!   │      standing (section 4) ── halt
//!   │           │
//!   │      plan on this very base (guards) ── nothing to do / halt
//!   │           │
//!   │      build a body with a new snapshot id
//!   │           │
//!   │         send <────────────────────────────────────┐
//!   │           │ not Applied: reload                    │
//!   │           ├─ an attempt of ours is in: applied     │ Unknown or Unavailable
//!   └───────────┤ the base has moved                     │ and nothing moved
//!               ├────────────────────────────────────────┘
//!               └─ Conflict or Rejected and nothing moved: halt with the catalog's words
//! ```
//!
//! Whoever drops the future in the middle loses nothing: the next load finds what was applied.

use std::borrow::Cow;

use async_trait::async_trait;
use iceberg::TableIdent;
use iceberg::spec::SnapshotRef;
use tabletopic_catalog::{CommitOutcome, LoadedTable, TableChange};

use super::base::Base;
use super::change::{self, Body, Change};
use super::error::CommitError;
use super::expire;
use super::halt::Halt;
use super::standing::{self, Counted};
use super::tag_state::{SnapshotAt, TagState};
use super::wait::{Wait, Waiting};
use crate::lake::Lake;

/// Decides on a base what to commit. Called again for each base: it must keep nothing from an earlier one but
/// what the outside world told it.
#[async_trait]
pub trait Plan<S: Send + 'static>: Send {
    /// `None`: there is nothing (left) to do on this base.
    ///
    /// `at` is the snapshot to be, should there be one; its schema id is the base's.
    async fn plan(&mut self, base: &Base<S>, at: SnapshotAt) -> Result<Option<Change<S>>, CommitError>;

    /// Writes what a decided change is to name, and completes it. Planning writes nothing, so that whoever only looks leaves
    /// nothing behind: this is called when the commit is made.
    async fn write(&mut self, change: Change<S>, _at: SnapshotAt) -> Result<Change<S>, CommitError> {
        Ok(change)
    }

    /// Whether `main` must lead to our tag (section 4) before anything is planned. Only the commands that
    /// answer a rollback say no.
    fn needs_standing(&self) -> bool {
        true
    }

    /// The snapshot that the same commit takes `main` back to: the plan is made, and its snapshot built, as if `main`
    /// were there already.
    fn rolls_back_to(&self) -> Option<i64> {
        None
    }
}

/// What a plan is made on: the table, or the table as the plan rolls it back.
///
/// # Errors
/// `main` does not lead to where it would be rolled back.
pub fn seen_by<'a, S: TagState>(
    plan: &dyn Plan<S>,
    base: &'a Base<S>,
) -> Result<Cow<'a, Base<S>>, CommitError> {
    Ok(match plan.rolls_back_to() {
        Some(to) => Cow::Owned(base.rolled_back(to)?),
        None => Cow::Borrowed(base),
    })
}

/// How a commit ended.
#[derive(Debug, Clone)]
pub struct Committed<S> {
    /// The table as it was loaded after the commit (or, if there was nothing to do, as the plan saw it).
    pub base: Base<S>,
    /// The snapshot that the commit added; `None` if there was nothing to do.
    pub snapshot: Option<SnapshotRef>,
    pub attempts: u32,
}

/// Carries out a plan: loads, plans, sends, and settles lost answers, for as long as it takes. Outages are
/// waited out with growing pauses, which `waiting` makes visible; only a halt ends it unsuccessfully.
///
/// # Errors
/// A [`CommitError`] that is not transient.
pub async fn commit<S: TagState + Counted>(
    lake: &Lake,
    table: &TableIdent,
    plan: &mut dyn Plan<S>,
    waiting: &dyn Waiting,
) -> Result<Committed<S>, CommitError> {
    let mut attempts = Attempts::default();
    let mut wait = Wait::new(table.clone(), lake, waiting);
    let mut base = load(lake, table, &mut wait).await?;
    loop {
        if let Some(snapshot) = base.find(&attempts.ids).cloned() {
            return Ok(attempts.applied(lake, base, snapshot).await);
        }
        let at = next_snapshot(lake, &base);
        let body = match prepare(lake, &base, plan, at).await {
            Ok(Some(body)) => body,
            Ok(None) => {
                return Ok(Committed {
                    base,
                    snapshot: None,
                    attempts: attempts.count(),
                });
            }
            Err(error) if error.is_transient() => {
                wait.outage(&error).await;
                base = load(lake, table, &mut wait).await?;
                continue;
            }
            // Its files may be gone because others have long gone on, and expired what they were part of.
            Err(error @ CommitError::Store(_)) => {
                let now = load(lake, table, &mut wait).await?;
                if !base.has_moved(&now) {
                    return Err(error);
                }
                base = now;
                continue;
            }
            Err(error) => return Err(error),
        };
        let change = attempts.note(at, body);
        base = match send(lake, base, change, &attempts.ids, &mut wait).await? {
            Sent::Applied(base, snapshot) => return Ok(attempts.applied(lake, base, snapshot).await),
            Sent::Moved(base) => base,
        };
    }
}

/// The identity of a new attempt. The id is the idempotency key, so every attempt has its own.
pub fn next_snapshot<S>(lake: &Lake, base: &Base<S>) -> SnapshotAt {
    let metadata = &base.table.metadata;
    SnapshotAt {
        sequence_number: metadata.last_sequence_number() + 1,
        snapshot_id: lake.entropy.snapshot_id(),
        timestamp_ms: lake.clock.now().max(metadata.last_updated_ms() + 1),
        schema_id: metadata.current_schema_id(),
    }
}

/// What one commit has sent so far, any of which may yet turn out to be applied.
#[derive(Debug, Default)]
struct Attempts {
    ids: Vec<i64>,
    /// What each of them expires.
    expired: Vec<Vec<SnapshotRef>>,
}

impl Attempts {
    fn note(&mut self, at: SnapshotAt, body: Body) -> TableChange {
        self.ids.push(at.snapshot_id);
        self.expired.push(body.expired);
        body.change
    }

    fn count(&self) -> u32 {
        self.ids.len() as u32
    }

    /// The end of a commit: files that it made unreachable are deleted, now that it is known to be applied.
    async fn applied<S: TagState>(self, lake: &Lake, base: Base<S>, snapshot: SnapshotRef) -> Committed<S> {
        let expired = self.ids.iter().zip(&self.expired);
        for (id, expired) in expired {
            if *id == snapshot.snapshot_id() {
                expire::delete_unreachable(lake, expired, base.metadata()).await;
            }
        }
        Committed {
            base,
            attempts: self.count(),
            snapshot: Some(snapshot),
        }
    }
}

async fn prepare<S: TagState + Counted>(
    lake: &Lake,
    base: &Base<S>,
    plan: &mut dyn Plan<S>,
    at: SnapshotAt,
) -> Result<Option<Body>, CommitError> {
    if plan.needs_standing() {
        standing::check(lake, base).await?;
    }
    let seen = seen_by(plan, base)?;
    match plan.plan(&seen, at).await? {
        Some(decided) => {
            let decided = plan.write(decided, at).await?;
            Ok(Some(change::body(lake, base, &seen, &decided, at).await?))
        }
        None => Ok(None),
    }
}

enum Sent<S> {
    Applied(Base<S>, SnapshotRef),
    /// Something that the body depended on is different now: plan again.
    Moved(Base<S>),
}

/// Sends one body until its fate is known.
async fn send<S: TagState>(
    lake: &Lake,
    base: Base<S>,
    body: TableChange,
    attempts: &[i64],
    wait: &mut Wait<'_>,
) -> Result<Sent<S>, CommitError> {
    loop {
        let outcome = lake.catalog.commit(&base.table, body.clone()).await;
        let now = match outcome {
            CommitOutcome::Applied(ref table) => Base::of_anyone(table.clone())?,
            _ => load(lake, &base.table.ident, wait).await?,
        };
        if let Some(snapshot) = now.find(attempts).cloned() {
            return Ok(Sent::Applied(now, snapshot));
        }
        if now.metadata().uuid() != base.metadata().uuid() {
            return Err(Halt::UuidChanged {
                table: base.table.ident.clone(),
                expected: base.metadata().uuid(),
                found: now.metadata().uuid(),
            }
            .into());
        }
        if base.has_moved(&now) {
            return Ok(Sent::Moved(now));
        }
        match outcome {
            CommitOutcome::Unknown(words) => wait.unknown(&words).await,
            CommitOutcome::Unavailable(words) => wait.outage(&words).await,
            CommitOutcome::Conflict(words) | CommitOutcome::Rejected(words) => {
                return Err(Halt::Refused {
                    table: base.table.ident.clone(),
                    words,
                }
                .into());
            }
            CommitOutcome::Applied(_) => {
                let words = "it answered that the commit was applied, and the snapshot is not in the table"
                    .to_owned();
                return Err(Halt::Refused {
                    table: base.table.ident.clone(),
                    words,
                }
                .into());
            }
        }
    }
}

/// Loads a table and our state in it, waiting outages out.
async fn load<S: TagState>(
    lake: &Lake,
    table: &TableIdent,
    wait: &mut Wait<'_>,
) -> Result<Base<S>, CommitError> {
    Ok(Base::of_anyone(loaded(lake, table, wait).await?)?)
}

/// Loads a table, waiting outages out.
///
/// # Errors
/// A [`CommitError`] that is not transient.
pub async fn load_patiently(
    lake: &Lake,
    table: &TableIdent,
    waiting: &dyn Waiting,
) -> Result<LoadedTable, CommitError> {
    loaded(lake, table, &mut Wait::new(table.clone(), lake, waiting)).await
}

async fn loaded(lake: &Lake, table: &TableIdent, wait: &mut Wait<'_>) -> Result<LoadedTable, CommitError> {
    loop {
        match lake.catalog.load(table).await.map_err(CommitError::from) {
            Ok(loaded) => return Ok(loaded),
            Err(error) if error.is_transient() => wait.outage(&error).await,
            Err(error) => return Err(error),
        }
    }
}
