//! What was taken from the reader and not handed out yet.

use std::collections::{BTreeMap, VecDeque};

use tabletopic_offsets::Offset;
use tabletopic_records::Record;

use crate::reader::Run;
use crate::rows::{RowHeaders, Rows};

/// Rows, of which runs are handed out.
#[derive(Debug)]
pub struct Pending {
    rows: Box<Rows>,
    runs: VecDeque<Run>,
}

impl Pending {
    pub fn new(rows: Box<Rows>, runs: Vec<Run>) -> Self {
        Self {
            rows,
            runs: runs.into(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Takes `most` rows off. Those of partitions that nobody wants are dropped, and tell so by being asked for.
    pub fn choose(&mut self, most: usize, wanted: &mut dyn FnMut(i32) -> bool) -> Vec<Run> {
        let (mut chosen, mut left) = (Vec::new(), most);
        while left > 0
            && let Some(mut run) = self.runs.pop_front()
        {
            if !wanted(run.partition) {
                continue;
            }
            if run.rows.len() > left {
                let rest = run.rows.start + left..run.rows.end;
                run.rows.end = rest.start;
                self.runs.push_front(Run {
                    partition: run.partition,
                    rows: rest,
                });
            }
            left -= run.rows.len();
            chosen.push(run);
        }
        chosen
    }

    /// Shows the records of runs to `each`. Answers where their partitions stand after them.
    pub fn show(&self, runs: &[Run], each: &mut dyn FnMut(&[Record<'_>])) -> BTreeMap<i32, Offset> {
        let rows = || {
            runs.iter()
                .flat_map(|run| run.rows.clone().map(|row| (run.partition, row)))
        };
        let headers: Vec<RowHeaders<'_>> = rows().map(|(_, row)| self.rows.headers(row)).collect();
        let records: Vec<Record<'_>> = rows()
            .zip(&headers)
            .map(|((partition, row), headers)| self.rows.record(row, partition, headers))
            .collect();
        if !records.is_empty() {
            each(&records);
        }
        let (mut after, mut done) = (BTreeMap::new(), 0);
        for run in runs {
            done += run.rows.len();
            after.insert(run.partition, records[done - 1].offset + 1);
        }
        after
    }
}
