//! Reads a log ahead of whoever takes it: a task that hands on pass after pass.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use futures::TryStreamExt;
use tabletopic_offsets::{Offset, OffsetRange};
use tabletopic_table::read::ReadError;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::extents::Group;
use crate::files::RowGroupReader;
use crate::pass::{Pass, plan};
use crate::rows::{Places, Rows, Topic, Whose};
use crate::sorted::Sorting;
use crate::{History, HistoryError};

/// Pieces that wait to be taken, each of some 4 MiB.
const AHEAD: usize = 2;

/// What is read, in order.
#[derive(Debug)]
pub enum Piece {
    /// Those of the rows that are to be handed out.
    Rows(Box<Rows>, Vec<Run>),
    /// Nothing more comes below these offsets.
    Reached(Vec<(i32, Offset)>),
}

/// Rows of one partition that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub partition: i32,
    pub rows: Range<usize>,
}

/// A task that reads. It ends with this.
#[derive(Debug)]
pub struct Reader {
    /// Closed once all is read, or with an error.
    pub pieces: mpsc::Receiver<Result<Piece, HistoryError>>,
    task: AbortHandle,
}

impl Reader {
    /// Reads partitions, each from an offset on, to their ends. It begins after a while, and holds `most_held` bytes of rows
    /// to sort them.
    pub fn start(
        history: History,
        at: BTreeMap<i32, Offset>,
        after: Duration,
        most_held: usize,
        runtime: &Handle,
    ) -> Self {
        let (send, pieces) = mpsc::channel(AHEAD);
        let task = runtime.spawn(async move {
            tokio::time::sleep(after).await;
            let mut reading = Reading {
                groups: RowGroupReader::new(history.files().clone()),
                history,
                most_held,
                to: send,
            };
            let failed = match reading.all(at).await {
                Ok(()) | Err(Ended::Unwanted) => return,
                Err(Ended::Failed(error)) => error,
            };
            // Nobody may want it any more.
            drop(reading.to.send(Err(failed)).await);
        });
        Self {
            pieces,
            task: task.abort_handle(),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why reading ends early.
enum Ended {
    /// Nobody takes pieces any more.
    Unwanted,
    Failed(HistoryError),
}

impl<E: Into<HistoryError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

struct Reading {
    history: History,
    groups: RowGroupReader,
    most_held: usize,
    to: mpsc::Sender<Result<Piece, HistoryError>>,
}

impl Reading {
    async fn all(&mut self, mut at: BTreeMap<i32, Offset>) -> Result<(), Ended> {
        while let Some(pass) = plan(self.history.extents(), &at, self.most_held as u64) {
            let windows = match pass.ascending {
                true => self.as_it_lies(pass).await?,
                false => self.sorted(pass).await?,
            };
            let reached: Vec<(i32, Offset)> = windows
                .into_iter()
                .map(|(partition, window)| (partition, window.end))
                .collect();
            at.extend(reached.iter().copied());
            self.hand_on(Piece::Reached(reached)).await?;
        }
        let partitions = self.history.partitions();
        let ends = at.into_keys().filter_map(|partition| {
            let log = partitions.get(&partition)?;
            Some((partition, log.offsets.end))
        });
        let ends = ends.collect();
        self.hand_on(Piece::Reached(ends)).await
    }

    /// Rows in the order in which their row group has them.
    async fn as_it_lies(&mut self, pass: Pass) -> Result<BTreeMap<i32, OffsetRange>, Ended> {
        let mut order = Order::new(&pass.windows, self.history.whose().clone());
        let history = self.history.clone();
        for number in pass.groups {
            let group = history.extents().group(number);
            let mut batches = self.groups.rows(group, &history.files().columns.records).await?;
            while let Some(batch) = batches.try_next().await? {
                self.hand_on_rows(&batch, group, &mut order).await?;
            }
        }
        Ok(pass.windows)
    }

    /// Rows in the order of their offsets. Answers the windows that were read, which may be smaller.
    async fn sorted(&mut self, pass: Pass) -> Result<BTreeMap<i32, OffsetRange>, Ended> {
        let history = self.history.clone();
        let (whose, columns) = (history.whose(), &history.files().columns);
        let mut sorting = Sorting::new(pass.windows, self.most_held, columns.tell_topics);
        let ours = |places: &Places, row: usize| places.topic(row, whose) == Topic::Ours;
        let mut last = None;
        for number in pass.groups {
            let group = history.extents().group(number);
            let mut batches = self.groups.rows(group, &columns.records).await?;
            while let Some(batch) = batches.try_next().await? {
                sorting
                    .add(&batch, &ours)
                    .map_err(|error| self.unreadable(group, &error))?;
            }
            last = Some(group);
        }
        let Some(last) = last else {
            return Ok(BTreeMap::new());
        };
        let sorted = sorting.finish();
        let (chunks, windows) = sorted.map_err(|error| self.unreadable(last, &error))?;
        let mut order = Order::new(&windows, whose.clone());
        for chunk in chunks {
            let chunk = chunk.map_err(|error| self.unreadable(last, &error))?;
            self.hand_on_rows(&chunk, last, &mut order).await?;
        }
        Ok(windows)
    }

    async fn hand_on_rows(&self, batch: &RecordBatch, group: &Group, order: &mut Order) -> Result<(), Ended> {
        let files = self.history.files();
        let rows = Rows::of(batch, files.columns.tell_topics);
        let rows = rows.map_err(|error| self.unreadable(group, &error))?;
        let runs = order
            .runs(rows.places())
            .map_err(|(partition, offset)| HistoryError::Double {
                table: self.history.table().clone(),
                tp: self.history.topic_partition(partition),
                offset,
                file: files.data[group.file].path.clone(),
            })?;
        match runs.is_empty() {
            true => Ok(()),
            false => self.hand_on(Piece::Rows(Box::new(rows), runs)).await,
        }
    }

    async fn hand_on(&self, piece: Piece) -> Result<(), Ended> {
        self.to.send(Ok(piece)).await.map_err(|_| Ended::Unwanted)
    }

    fn unreadable(&self, group: &Group, error: &ArrowError) -> HistoryError {
        HistoryError::Read(ReadError::File {
            file: self.history.files().data[group.file].path.clone(),
            reason: error.to_string(),
        })
    }
}

/// Sees to it that the offsets of each partition ascend.
struct Order {
    /// What is to be handed out, and the lowest offset that may come next.
    windows: BTreeMap<i32, (OffsetRange, Offset)>,
    whose: Whose,
}

impl Order {
    fn new(windows: &BTreeMap<i32, OffsetRange>, whose: Whose) -> Self {
        let windows = windows
            .iter()
            .map(|(partition, window)| (*partition, (*window, window.start)));
        Self {
            windows: windows.collect(),
            whose,
        }
    }

    /// Those of the rows that are in the windows.
    ///
    /// # Errors
    /// Partition and offset of a row that comes again.
    fn runs(&mut self, places: &Places) -> Result<Vec<Run>, (i32, Offset)> {
        let mut runs: Vec<Run> = Vec::new();
        for row in 0..places.len() {
            let Some((partition, offset)) = places.at(row) else {
                continue;
            };
            let Some((window, next)) = self.windows.get_mut(&partition) else {
                continue;
            };
            if !window.contains(offset) || places.topic(row, &self.whose) != Topic::Ours {
                continue;
            }
            if offset < *next {
                return Err((partition, offset));
            }
            *next = offset + 1;
            match runs.last_mut() {
                Some(run) if run.partition == partition && run.rows.end == row => run.rows.end += 1,
                _ => runs.push(Run {
                    partition,
                    rows: row..row + 1,
                }),
            }
        }
        Ok(runs)
    }
}
