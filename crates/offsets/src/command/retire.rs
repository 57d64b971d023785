//! Rows leave a table because they are old.

use std::sync::Arc;

use crate::{AddedRange, Counts, OffsetRange, TableState};

/// Rows of one topic partition that leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// Where rows tell it.
    pub topic: Option<Arc<str>>,
    pub partition: i32,
    /// From the lowest of their offsets to behind the highest. Not all in between need be among them.
    pub span: OffsetRange,
    pub rows: u64,
    /// Modulo 2^64.
    pub offset_sum: u64,
}

impl TableState {
    /// Notes rows that the same commit removes. No offset is given up: progress and counts stay, and nothing is read again.
    /// The ledger gets a range of each whose topic is known, or can only be one; of two jobs that read topics of one name,
    /// which rows do not tell apart, the first has it, since the ledger is read by topic.
    pub fn retire(&mut self, gone: &[Retired]) {
        for gone in gone.iter().filter(|gone| gone.rows > 0) {
            let counts = Counts::of_rows(gone.rows, gone.offset_sum);
            self.retired.entry(gone.partition).or_default().add(counts);
            let feeds = |topic: &Arc<str>| gone.topic.as_ref().is_none_or(|of| of == topic);
            let mut jobs = self
                .jobs
                .iter()
                .filter(|(_, job)| job.partitions.contains_key(&gone.partition))
                .filter(|(_, job)| feeds(&job.identity.topic));
            if let Some((job, first)) = jobs.next()
                && jobs.all(|(_, other)| other.identity.topic == first.identity.topic)
            {
                let added = AddedRange {
                    job: job.clone(),
                    partition: gone.partition,
                    range: gone.span,
                    counts,
                };
                self.note_added(added);
            }
        }
    }
}
