//! An operator's own rollback: `main` and progress go back in one commit, so that no reader and no process sees one without
//! the other.

use async_trait::async_trait;
use iceberg::spec::{Schema, SnapshotRef};
use tabletopic_offsets::{JobState, Kind, TableState};

use super::letters_then::LettersThen;
use super::rewind::{rewound, with_letters};
use super::{held_beyond, nearest, only_topic, snapshot_ref};
use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Halt, Plan, SnapshotAt, TagState};
use crate::lake::Lake;

/// Takes `main` back to one of the snapshots that it leads to. What the snapshots after that one brought is read again
/// from Kafka, and what others did in them is taken back.
#[derive(Debug)]
pub struct Rollback<'a> {
    lake: &'a Lake,
    to: i64,
    /// The table's last sequence number when the operator saw what would be taken back: nothing that others have committed
    /// since is taken back unseen.
    looked_at: i64,
    /// The operator's words, for the ledger.
    reason: String,
    /// Of the newest plan.
    letters: Option<LettersThen<'a>>,
}

impl<'a> Rollback<'a> {
    /// To the snapshot `to`, as it was looked at when the table's last sequence number was `looked_at`.
    pub fn new(lake: &'a Lake, to: i64, looked_at: i64, reason: String) -> Self {
        Self {
            lake,
            to,
            looked_at,
            reason,
            letters: None,
        }
    }
}

#[async_trait]
impl Plan<TableState> for Rollback<'_> {
    fn rolls_back_to(&self) -> Option<i64> {
        Some(self.to)
    }

    async fn plan(
        &mut self,
        base: &Base<TableState>,
        at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(tagged) = &base.tagged else {
            return Err(never_anchored(base));
        };
        if let Some(unseen) = unseen(base, self.looked_at) {
            return Err(self.refused(
                base,
                format!("another writer has committed snapshot {unseen} meanwhile. Look again"),
            ));
        }
        let Some((snapshot, older)) = nearest(base)? else {
            let why =
                "what the table held then cannot be told any more: no snapshot of ours is left before it";
            return Err(self.refused(base, why.to_owned()));
        };
        if let Some(topic) = adopted(&older, &tagged.state) {
            let why = format!(
                "topic {topic} was created again and adopted after it, and the topic that fed the table then is gone. Go back to \
                 a snapshot after that"
            );
            return Err(self.refused(base, why));
        }
        let since = snapshot_ref(&snapshot);
        if was_cut(base, since.sequence_number) {
            let why = "a log was cut after it, and rows that the log no longer has were removed (`resolve --truncate`); they \
                       would be back. Go back to a snapshot after that";
            return Err(self.refused(base, why.to_owned()));
        }
        let held = held_beyond(self.lake, base, &tagged.state, &older).await;
        let held = held.map_err(|error| match (error, only_topic(&tagged.state)) {
            (CommitError::Halt(_), Err(why)) => self.refused(
                base,
                format!("its rows are not those that were counted then: {why}"),
            ),
            (error, _) => error,
        })?;
        let reason = self.reason.clone();
        let (change, letters) = rewound(self.lake, base, at, (Some(since), older), &held, reason).await?;
        self.letters = letters;
        Ok(Some(Change {
            schema: columns_then(base),
            ..change
        }))
    }

    async fn write(
        &mut self,
        change: Change<TableState>,
        at: SnapshotAt,
    ) -> Result<Change<TableState>, CommitError> {
        with_letters(self.letters.as_ref(), change, at).await
    }
}

/// The columns of the snapshot that `main` goes back to, where some of them are no longer the table's: they were left out
/// since, and their values would be seen by nobody.
fn columns_then(base: &Base<TableState>) -> Option<Schema> {
    let (metadata, head) = (base.metadata(), base.head()?);
    let then = metadata.schema_by_id(head.schema_id()?)?;
    let now = metadata.current_schema();
    let is_gone = |id: &i32| now.field_by_id(*id).is_none();
    then.field_id_to_fields()
        .keys()
        .any(is_gone)
        .then(|| then.as_ref().clone())
}

impl Rollback<'_> {
    fn refused(&self, base: &Base<TableState>, why: String) -> CommitError {
        let detail = format!("it cannot go back to snapshot {}: {why}", self.to);
        Halt::Resolve {
            table: base.table.ident.clone(),
            detail,
        }
        .into()
    }
}

/// A snapshot of somebody else that came after this sequence number.
pub(super) fn unseen(base: &Base<TableState>, looked_at: i64) -> Option<i64> {
    let foreign = |snapshot: &&SnapshotRef| {
        let summary = &snapshot.summary().additional_properties;
        snapshot.sequence_number() > looked_at && !summary.contains_key(TableState::MARK)
    };
    let found = base.metadata().snapshots().find(foreign)?;
    Some(found.snapshot_id())
}

/// Whether rows were removed that a log no longer has, above this sequence number. All snapshots after the one that `main`
/// goes back to are there, or `main` would not lead to it.
fn was_cut(base: &Base<TableState>, since: i64) -> bool {
    base.metadata()
        .snapshots()
        .filter(|snapshot| snapshot.sequence_number() > since)
        .filter_map(|snapshot| {
            <TableState as TagState>::decode(&snapshot.summary().additional_properties).ok()
        })
        .any(|state| state.kind == Kind::Replace)
}

/// A topic that is not the one which fed the table at `older`.
fn adopted(older: &TableState, now: &TableState) -> Option<String> {
    let adoptions = |job: &JobState| job.partitions.values().map(|state| state.past.len()).max();
    let other = |(id, was): (_, &JobState)| {
        let is = now.job(id)?;
        let same = was.identity.agrees(&is.identity) && adoptions(was) == adoptions(is);
        (!same).then(|| is.identity.topic.to_string())
    };
    older.jobs.iter().find_map(other)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tabletopic_offsets::{JobId, TopicIdentity};

    use super::*;

    fn orders(topic_id: &str) -> TopicIdentity {
        TopicIdentity {
            cluster_id: None,
            topic: "orders".into(),
            topic_id: Some(topic_id.to_owned()),
        }
    }

    #[test]
    fn an_adoption_is_seen() {
        let job = JobId::new("orders");
        let starts: BTreeMap<i32, i64> = [(0, 0)].into();
        let mut older = TableState::empty();
        older.anchor(&job, &orders("1"), &starts).unwrap();
        let mut now = older.next(Kind::Append);
        assert_eq!(adopted(&older, &now), None);
        now.adopt(&job, &orders("2"), &starts).unwrap();
        assert_eq!(adopted(&older, &now).as_deref(), Some("orders"));
    }
}
