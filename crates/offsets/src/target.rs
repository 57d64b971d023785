//! Where a run that reads "until the end" ends. The first process writes the end offsets that it saw
//! into the table, so that all processes of the group leave at the same place.

use std::collections::BTreeMap;

use crate::{JobId, Offset, TableState};

impl TableState {
    /// Sets the end offsets of a job, unless earlier ones are still to be reached: then those hold.
    /// Offsets of partitions that the table does not know are left out. True when something changed.
    pub fn aim(&mut self, job: &JobId, ends: &BTreeMap<i32, Offset>) -> bool {
        if !self.has_reached(job) {
            return false;
        }
        let Some(state) = self.jobs.get_mut(job) else {
            return false;
        };
        let known = ends
            .iter()
            .filter(|(partition, _)| state.partitions.contains_key(partition));
        let until = known.map(|(partition, end)| (*partition, *end)).collect();
        let changed = state.until != until;
        state.until = until;
        changed
    }

    /// Whether the table accounts for everything below the end offsets of a job, or nobody set any.
    pub fn has_reached(&self, job: &JobId) -> bool {
        self.jobs.get(job).is_none_or(|state| {
            state.until.iter().all(|(partition, end)| {
                state
                    .partitions
                    .get(partition)
                    .is_none_or(|held| held.progress.missing_below(*end).is_empty())
            })
        })
    }
}
