//! The files of both tables: read several at once, without the rows that delete files take, as the columns that are
//! compared.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use tabletopic_maintain::Allowance;
use tabletopic_table::read::{DeleteFiles, row_schema};
use tokio::task::JoinSet;

use super::one_side::OneSide;
use super::schema::Matching;
use super::side::Side;
use super::{CompareError, Options, Progress};

/// Files that are read one after the other with what their delete files say.
const MOST_IN_RUN: usize = 64;

/// A data file of one of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileRef {
    /// 0 or 1.
    pub side: usize,
    pub number: usize,
}

/// Bit of a packed [`FileRef`] that tells the side.
const SIDE: u32 = 1 << 31;

impl FileRef {
    /// In 32 bits; a table has fewer files than that has numbers, since each is in memory.
    pub fn pack(self) -> u32 {
        self.number as u32 | if self.side == 1 { SIDE } else { 0 }
    }

    pub fn unpack(packed: u32) -> Self {
        Self {
            side: usize::from(packed & SIDE != 0),
            number: (packed & !SIDE) as usize,
        }
    }
}

/// Takes rows as they are read.
#[async_trait]
pub trait Sink: Send + Sync {
    /// `rows`: the compared columns of some rows of a file.
    async fn take(&self, file: FileRef, rows: RecordBatch) -> Result<(), CompareError>;
}

/// The files of both tables.
#[derive(Debug)]
pub struct Both {
    sides: [OneSide; 2],
    /// For what delete files say.
    memory: Allowance,
    jobs: NonZeroUsize,
    /// The columns that are compared.
    pub compared: SchemaRef,
}

/// Neighbours of one place.
type Run = (usize, Range<usize>);

impl Both {
    /// # Errors
    /// Those of reading manifests.
    pub async fn open(
        sides: [Side; 2],
        matching: &Matching,
        options: &Options,
    ) -> Result<Self, CompareError> {
        let compared = row_schema(&matching.schema)?;
        let [a, b] = sides;
        Ok(Self {
            sides: [
                OneSide::open(a, &matching.ids[0], &compared, options.offsets.clone()).await?,
                OneSide::open(b, &matching.ids[1], &compared, options.offsets.clone()).await?,
            ],
            memory: options.memory.clone(),
            jobs: options.jobs,
            compared,
        })
    }

    pub fn side(&self, side: usize) -> &Side {
        &self.sides[side].side
    }

    /// How many files each side has.
    pub fn counts(&self) -> [usize; 2] {
        [0, 1].map(|side| self.sides[side].files.len())
    }

    /// Bytes of the files that are `wanted`.
    pub fn bytes(&self, wanted: &dyn Fn(FileRef) -> bool) -> u64 {
        let files = self.sides.iter().enumerate().flat_map(|(side, files)| {
            let files = files.files.iter().enumerate();
            files.map(move |(number, (_, file))| (FileRef { side, number }, file.bytes))
        });
        files
            .filter(|(file, _)| wanted(*file))
            .map(|(_, bytes)| bytes)
            .sum()
    }

    /// Reads the files that are `wanted`.
    ///
    /// # Errors
    /// Files that cannot be read, or not without guessing; those of the sink.
    pub async fn read(
        self: &Arc<Self>,
        wanted: &dyn Fn(FileRef) -> bool,
        sink: Arc<dyn Sink>,
        progress: &Arc<dyn Progress>,
    ) -> Result<(), CompareError> {
        let wanted: [Vec<bool>; 2] = [0, 1].map(|side| {
            let files = 0..self.sides[side].files.len();
            files.map(|number| wanted(FileRef { side, number })).collect()
        });
        let runs: Vec<Run> = [0, 1].into_iter().flat_map(|side| self.runs(side)).collect();
        let (runs, wanted, next) = (Arc::new(runs), Arc::new(wanted), Arc::new(AtomicUsize::new(0)));
        let mut readers = JoinSet::new();
        for _ in 0..self.jobs.get() {
            let (both, runs, wanted, next) = (self.clone(), runs.clone(), wanted.clone(), next.clone());
            let (sink, progress) = (sink.clone(), progress.clone());
            readers.spawn(async move {
                while let Some((side, files)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let files = files.clone().filter(|number| wanted[*side][*number]);
                    both.run(*side, files, sink.as_ref(), progress.as_ref()).await?;
                }
                Ok::<_, CompareError>(())
            });
        }
        while let Some(read) = readers.join_next().await {
            match read {
                Ok(read) => read?,
                Err(panicked) if panicked.is_panic() => std::panic::resume_unwind(panicked.into_panic()),
                Err(_) => return Err(CompareError::Miscounted("a reader has ended early".to_owned())),
            }
        }
        Ok(())
    }

    /// The files of one side in runs, small enough for all readers to have some.
    fn runs(&self, side: usize) -> Vec<Run> {
        let files = &self.sides[side].files;
        let most = (files.len() / (4 * self.jobs.get())).clamp(1, MOST_IN_RUN);
        let mut runs: Vec<Run> = Vec::new();
        for number in 0..files.len() {
            match runs.last_mut() {
                Some((_, run)) if run.len() < most && files[run.start].0 == files[number].0 => run.end += 1,
                _ => runs.push((side, number..number + 1)),
            }
        }
        runs
    }

    async fn run(
        &self,
        side: usize,
        numbers: impl Iterator<Item = usize>,
        sink: &dyn Sink,
        progress: &dyn Progress,
    ) -> Result<(), CompareError> {
        let files = &self.sides[side];
        let lake = &files.side.lake;
        let deletes = DeleteFiles::new(lake.file_io.clone(), files.side.table.metadata.clone());
        for number in numbers {
            let bytes = files
                .read(FileRef { side, number }, &deletes, &self.memory, sink)
                .await?;
            progress.read(bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_file_is_the_same_again() {
        for side in [0, 1] {
            for number in [0, 7, (SIDE - 1) as usize] {
                let file = FileRef { side, number };
                assert_eq!(FileRef::unpack(file.pack()), file);
            }
        }
    }
}
