//! Which offsets have a row: read window by window, ordinarily in one pass over the columns of Kafka.

mod lines;
mod locate;
mod read;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use tabletopic_offsets::{Offset, OffsetRange, TableState};
use tabletopic_table::rows::Held;

pub use lines::{Line, Lines};
pub use locate::{cardinality, locate};
pub use read::Rows;
use windows::windows;

use super::error::VerifyError;
use super::files::{self, File, Inventory};
use super::verdict::Findings;
use super::{Progress, Since};

/// What all passes together have seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// By topic partition number: rows do not always tell their topic.
    pub held: BTreeMap<i32, Held>,
    /// Rows that live delete files take.
    pub taken: u64,
    /// Rows without an offset: somebody else's.
    pub without_offset: u64,
    /// Files whose rows could not be read.
    pub unreadable: u64,
    /// Whether rows of several topics could not be told apart, so that those since a snapshot can't be counted.
    pub mixed: bool,
    pub findings: Findings,
    doubles: BTreeSet<(i32, Offset)>,
}

/// Reads the rows of a snapshot.
pub struct Passes<'a> {
    pub rows: &'a Rows<'a>,
    pub inventory: &'a Inventory,
    pub state: &'a TableState,
    pub since: Option<&'a Since>,
    pub progress: &'a dyn Progress,
}

impl Passes<'_> {
    /// The windows in which all is read, with as many bytes as a bitmap may take.
    pub fn windows(&self, budget: u64) -> Vec<OffsetRange> {
        let claims = Lines::new(self.state, self.since, OffsetRange::new(i64::MIN, i64::MAX)).claims();
        let rows = self.inventory.files.iter().map(|file| file.rows);
        windows(&claims, rows.fold(0, u64::saturating_add), budget)
    }

    /// Reads the files that may have rows in a window.
    ///
    /// # Errors
    /// Those of reading files.
    pub async fn read(&self, window: OffsetRange, seen: &mut Seen) -> Result<Lines, VerifyError> {
        let mut lines = Lines::new(self.state, self.since, window);
        let files: Vec<&File> = self
            .inventory
            .files
            .iter()
            .filter(|file| self.concerns(file, window))
            .collect();
        let all = files.len() as u64;
        for (done, file) in (1..).zip(files) {
            if !file.readable {
                seen.unreadable += 1;
                continue;
            }
            if let Err(error) = self.file(file, &mut lines, seen).await {
                let (path, why) = error.of_data_file().ok_or(error)?;
                seen.findings
                    .add(files::unreadable(self.rows.lake, &path, &why).await?);
                seen.unreadable += 1;
            }
            self.progress.done("data files", done, all);
        }
        for (number, held) in &lines.held {
            seen.held.entry(*number).or_default().merge(*held);
        }
        seen.mixed |= lines.mixed;
        seen.doubles.append(&mut lines.doubles);
        seen.findings.append(std::mem::take(&mut lines.findings));
        Ok(lines)
    }

    async fn file(&self, file: &File, lines: &mut Lines, seen: &mut Seen) -> Result<(), VerifyError> {
        let window = lines.window;
        let inside = |run: &lines::Run| run.offsets.intersection(window).map_or(0, |both| both.len());
        let mut kept: u64 = 0;
        let live = |run| {
            kept += inside(&run);
            lines.add(&run);
        };
        let without = self.rows.live(file, live).await?;
        if window.contains(file.offsets.map_or(i64::MIN, |offsets| offsets.start)) {
            seen.without_offset += without;
        }
        if self.rows.has_deletes(file) {
            let mut there: u64 = 0;
            self.rows.all(file, |run| there += inside(&run)).await?;
            seen.taken += there.saturating_sub(kept);
        }
        Ok(())
    }

    /// Says which files have the offsets that are there twice.
    ///
    /// # Errors
    /// Those of reading files.
    pub async fn name_files(&self, seen: &mut Seen) -> Result<(), VerifyError> {
        let wanted = std::mem::take(&mut seen.doubles);
        if wanted.is_empty() {
            return Ok(());
        }
        let mut files = BTreeMap::<(i32, Offset), Vec<String>>::new();
        let may_have = |file: &&File| {
            let inside = |offset: Offset| file.offsets.is_none_or(|offsets| offsets.contains(offset));
            file.readable && wanted.iter().any(|(_, offset)| inside(*offset))
        };
        for file in self.inventory.files.iter().filter(may_have) {
            let add = |run: lines::Run| {
                let found =
                    wanted.range((run.partition, run.offsets.start)..(run.partition, run.offsets.end));
                for place in found {
                    files.entry(*place).or_default().push(file.path.clone());
                }
            };
            self.rows.live(file, add).await?;
        }
        for finding in seen
            .findings
            .told_mut()
            .filter(|finding| finding.kind == "double")
        {
            let (Some(partition), Some((offset, _))) = (finding.partition, finding.offsets) else {
                continue;
            };
            let mut named = files.get(&(partition, offset)).cloned().unwrap_or_default();
            named.dedup();
            finding.says = format!("{}, in {}", finding.says, named.join(" and "));
            finding.files = named;
        }
        Ok(())
    }

    /// Whether a file may have rows in a window that are to be judged.
    fn concerns(&self, file: &File, window: OffsetRange) -> bool {
        let inside = file
            .offsets
            .is_none_or(|offsets| offsets.intersection(window).is_some());
        inside
            && self
                .since
                .is_none_or(|since| file.new || since.may_hold_newer(file))
    }
}
