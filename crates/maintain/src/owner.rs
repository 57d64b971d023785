//! Whose table it is: what a commit to it has to carry on.

use iceberg::TableIdent;
use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::TableState;
use tabletopic_table::Lake;
use tabletopic_table::commit::{
    Base, CommitError, Committed, Lost, Replace, ReplaceManifests, Replacement, TAG, TagState, Waiting,
    check_standing, commit,
};
use tabletopic_table::follower::FollowerState;
use tabletopic_table::snapshot::cluster::Clustered;

/// What a table is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A topic feeds it: its tag carries the progress.
    Main,
    /// The dead letters or the ledger of one.
    Follower,
    /// Nobody here writes to it.
    Others,
}

impl Owner {
    pub fn of(table: &LoadedTable) -> Self {
        let carries = |mark: &str| {
            let tagged = table.metadata.snapshot_for_ref(TAG);
            tagged.is_some_and(|snapshot| snapshot.summary().additional_properties.contains_key(mark))
        };
        if carries(FollowerState::MARK) {
            Self::Follower
        } else if carries(TableState::MARK) {
            Self::Main
        } else {
            Self::Others
        }
    }

    /// Whether a commit could be made now: nothing is to be rewritten for a table that is halted.
    ///
    /// # Errors
    /// The halt; and those of finding it out.
    pub async fn check(self, lake: &Lake, table: &LoadedTable) -> Result<(), CommitError> {
        match self {
            Self::Follower => check_standing(lake, &Base::<FollowerState>::of_anyone(table.clone())?).await,
            Self::Main | Self::Others => {
                check_standing(lake, &Base::<TableState>::of_anyone(table.clone())?).await
            }
        }
    }

    /// Commits rewritten files, and answers the id of the snapshot, or why there is none.
    ///
    /// # Errors
    /// A [`CommitError`] that is not transient.
    pub async fn replace(
        self,
        lake: &Lake,
        table: &TableIdent,
        replacement: &Replacement,
        waiting: &dyn Waiting,
    ) -> Result<Replaced, CommitError> {
        let mut plan = Replace::new(lake, replacement);
        // A table of others is read as a main one that was never anchored.
        let (snapshot, attempts) = match self {
            Self::Follower => told(commit::<FollowerState>(lake, table, &mut plan, waiting).await?),
            Self::Main | Self::Others => told(commit::<TableState>(lake, table, &mut plan, waiting).await?),
        };
        Ok(Replaced::of(snapshot, attempts, plan.into_lost()))
    }

    /// Commits manifests in the place of others.
    ///
    /// # Errors
    /// A [`CommitError`] that is not transient.
    pub async fn replace_manifests(
        self,
        lake: &Lake,
        table: &TableIdent,
        clustered: &Clustered,
        waiting: &dyn Waiting,
    ) -> Result<Replaced, CommitError> {
        let mut plan = ReplaceManifests::new(lake, clustered);
        let (snapshot, attempts) = match self {
            Self::Follower => told(commit::<FollowerState>(lake, table, &mut plan, waiting).await?),
            Self::Main | Self::Others => told(commit::<TableState>(lake, table, &mut plan, waiting).await?),
        };
        Ok(Replaced::of(snapshot, attempts, plan.into_lost()))
    }
}

/// How a replacement ended.
#[derive(Debug)]
pub enum Replaced {
    Committed {
        snapshot_id: i64,
    },
    /// `sent`: the catalog has seen it, so that its files may not be deleted.
    Dropped {
        lost: Option<Lost>,
        sent: bool,
    },
}

impl Replaced {
    fn of(snapshot: Option<i64>, attempts: u32, lost: Option<Lost>) -> Self {
        match snapshot {
            Some(snapshot_id) => Self::Committed { snapshot_id },
            None => Self::Dropped {
                lost,
                sent: attempts > 0,
            },
        }
    }
}

fn told<S>(committed: Committed<S>) -> (Option<i64>, u32) {
    let snapshot = committed.snapshot.map(|snapshot| snapshot.snapshot_id());
    (snapshot, committed.attempts)
}
