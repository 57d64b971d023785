//! The main table as an Iceberg catalog keeps it, and how our state is found in it (section 4).

use crate::config::{Config, Shortcut};
use crate::offsets::{JOBS, LIVES, Rows, count, offset_sum};
use crate::shared::Shared;
use crate::state::TableState;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct File {
    /// The unit that wrote it; 0 when somebody else's compaction did.
    pub unit: u8,
    /// The snapshot id of its live manifest entry.
    pub entry: u8,
    pub rows: Rows,
    /// Brought (back) by somebody's cherry-pick.
    pub picked: bool,
}

#[derive(Debug, Clone, Hash)]
pub struct Snapshot {
    pub id: u8,
    pub parent: Option<u8>,
    pub seq: u8,
    /// Only appends can be cherry-picked.
    pub append: bool,
    pub files: Vec<File>,
    /// Ours, if it carries state.
    pub state: Option<Shared<TableState>>,
}

#[derive(Debug, Clone, Hash, Default)]
pub struct Metadata {
    /// Stands for the metadata location.
    pub version: u8,
    pub last_seq: u8,
    pub main: Option<u8>,
    pub tag: Option<u8>,
    pub witness: bool,
    pub snapshots: Vec<Shared<Snapshot>>,
    /// Only filled by the shortcut that keeps progress there.
    pub property: Option<Shared<TableState>>,
}

/// What section 4 says about our state.
#[derive(Debug)]
pub enum Standing {
    /// Neither tag nor witness: the table is not ours yet.
    Fresh,
    Ours(Shared<TableState>),
    Halted,
}

impl Metadata {
    pub fn snapshot(&self, id: u8) -> Option<&Shared<Snapshot>> {
        self.snapshots.iter().find(|snapshot| snapshot.id == id)
    }

    pub fn head(&self) -> Option<&Shared<Snapshot>> {
        self.snapshot(self.main?)
    }

    pub fn files(&self) -> &[File] {
        self.head().map_or(&[], |head| &head.files)
    }

    pub fn rows(&self) -> Rows {
        self.files().iter().fold(Rows::default(), |all, file| {
            crate::offsets::union(&all, &file.rows)
        })
    }

    /// `main`'s history as far as the table still has it, newest first.
    pub fn history(&self) -> impl Iterator<Item = &Shared<Snapshot>> {
        std::iter::successors(self.head(), |snapshot| self.snapshot(snapshot.parent?))
    }

    pub fn tagged(&self) -> Option<&Shared<Snapshot>> {
        self.snapshot(self.tag?)
    }

    pub fn standing(&self, config: &Config) -> Standing {
        if config.takes(Shortcut::ProgressInProperties) {
            return self.property.clone().map_or(Standing::Fresh, Standing::Ours);
        }
        if config.takes(Shortcut::WalkSummariesBackwards) {
            let newest = self.history().find_map(|snapshot| snapshot.state.clone());
            return newest.map_or(Standing::Fresh, Standing::Ours);
        }
        let Some((tagged, state)) = self
            .tagged()
            .and_then(|tagged| Some((tagged, tagged.state.clone()?)))
        else {
            let fresh = !self.witness || config.takes(Shortcut::WitnessIgnored);
            return if fresh { Standing::Fresh } else { Standing::Halted };
        };
        if self.holds(config, tagged, &state) {
            Standing::Ours(state)
        } else {
            Standing::Halted
        }
    }

    /// Whether the tag's snapshot is still in `main`.
    fn holds(&self, config: &Config, tagged: &Snapshot, state: &TableState) -> bool {
        let mut next = self.main;
        while let Some(id) = next {
            let Some(snapshot) = self.snapshot(id) else {
                // Expired by somebody: the chain proves nothing, what `main` holds does.
                return self.holds_by_content(config, tagged, state);
            };
            if snapshot.id == tagged.id {
                return true;
            }
            let newer_of_ours = snapshot.state.is_some() && !config.takes(Shortcut::SectionFourTrustsTheTag);
            if newer_of_ours || snapshot.seq <= tagged.seq {
                return false;
            }
            next = snapshot.parent;
        }
        false
    }

    fn holds_by_content(&self, config: &Config, tagged: &Snapshot, state: &TableState) -> bool {
        if self.files().iter().any(|file| file.entry == tagged.id) {
            return true;
        }
        !config.takes(Shortcut::NoEqualCountersRule) && self.counters_equal(state)
    }

    /// Summed over the jobs, since a table without a topic column cannot tell their rows apart.
    pub fn counters_equal(&self, state: &TableState) -> bool {
        let rows = self.rows();
        let sum: u32 = rows.iter().flatten().map(|mask| offset_sum(*mask)).sum();
        let counted: u32 = state.known_jobs().map(|(_, job)| job.rows).sum();
        let summed: u32 = state.known_jobs().map(|(_, job)| job.offset_sum).sum();
        (count(&rows), sum) == (counted, summed)
    }

    /// The rows of one job over all lives of its topic: how many, and the sum of their offsets.
    pub fn counters(&self, job: usize) -> (u32, u32) {
        let rows = self.rows()[job];
        let of_job: Rows = std::array::from_fn(|other| if other == job { rows } else { [0; LIVES] });
        debug_assert!(job < JOBS);
        (count(&of_job), rows.iter().map(|mask| offset_sum(*mask)).sum())
    }
}
