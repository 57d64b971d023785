//! What every snapshot of ours carries (protocol sections 1 and 6), as small as the model allows.

use crate::offsets::{JOBS, Lanes, Mask, Rows};

/// The place of a snapshot of ours: sequence number, then id.
pub type Stamp = (u8, u8);

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TableState {
    pub jobs: [Option<JobState>; JOBS],
    /// Snapshots of ours (by id) that a ledger row names as abandoned.
    pub abandoned: u64,
    /// Every offset that the dead-letter table has to hold once all is drained.
    pub dead: Rows,
    pub outbox: Outbox,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobState {
    /// Which life of the topic: its topic id.
    pub life: u8,
    pub generation: u8,
    pub lanes: Lanes,
    pub lost: Mask,
    /// Progress that a rewind took back, of this life.
    pub once: Mask,
    /// Cumulative counters of rows, over all lives.
    pub rows: u32,
    pub offset_sum: u32,
    /// The life that an adoption closed.
    pub past: Option<PastLife>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PastLife {
    pub claimed: Mask,
    pub lost: Mask,
}

/// What has not reached the follower tables yet. Empty in configurations without them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Outbox {
    pub letters: Vec<(Stamp, Rows)>,
    pub removals: Vec<(Stamp, Rows)>,
    /// Ledger rows: the stamp to drain by, and the id of the snapshot that the row is about.
    pub ledger: Vec<(Stamp, u8)>,
    /// Our snapshots since the lowest acknowledgement.
    pub stamps: Vec<Stamp>,
    pub acknowledged: [Stamp; 2],
    /// The stamp at which a follower's whole content was put in again.
    pub rebuilt: [Option<Stamp>; 2],
}

impl JobState {
    pub fn anchored(life: u8, lanes: Lanes) -> Self {
        Self {
            life,
            generation: 0,
            lanes,
            lost: 0,
            once: 0,
            rows: 0,
            offset_sum: 0,
            past: None,
        }
    }

    pub fn lost_of(&self, life: u8) -> Mask {
        if life == self.life {
            self.lost
        } else {
            self.past.as_ref().map_or(0, |past| past.lost)
        }
    }
}

impl TableState {
    pub fn job(&self, job: usize) -> Option<&JobState> {
        self.jobs[job].as_ref()
    }

    pub fn known_jobs(&self) -> impl Iterator<Item = (usize, &JobState)> {
        self.jobs
            .iter()
            .enumerate()
            .filter_map(|(job, state)| Some((job, state.as_ref()?)))
    }
}

impl Outbox {
    /// Every snapshot of ours is listed, and has its row in the ledger.
    pub fn record(&mut self, stamp: Stamp) {
        self.stamps.push(stamp);
        self.ledger.push((stamp, stamp.1));
    }

    pub fn acknowledge(&mut self, acknowledged: [Stamp; 2]) {
        let [letters, ledger] = acknowledged;
        self.letters.retain(|entry| entry.0 > letters);
        self.removals.retain(|entry| entry.0 > letters);
        self.ledger.retain(|entry| entry.0 > ledger);
        self.stamps.retain(|stamp| *stamp >= letters.min(ledger));
        for (rebuilt, by) in self.rebuilt.iter_mut().zip(acknowledged) {
            *rebuilt = rebuilt.filter(|stamp| *stamp > by);
        }
        self.acknowledged = acknowledged;
    }
}
