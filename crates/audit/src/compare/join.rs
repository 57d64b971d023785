//! The second pass: what differs is read again, sorted by key with what memory does not hold in temporary files, and
//! merged.

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, AsArray, BinaryBuilder, RecordBatch, UInt32Array, UInt32Builder};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef, UInt32Type};
use async_trait::async_trait;
use futures::{TryStreamExt, try_join};
use tabletopic_maintain::compact::Sorter;
use tokio::sync::mpsc;

use super::digest::Digests;
use super::files::{Both, FileRef, Sink};
use super::merge::{Found, Merge};
use super::places::Places;
use super::sums::{Differing, Sums};
use super::{CompareError, Progress};

/// Batches between reading and sorting.
const WAITING: usize = 2;

/// Rows of a batch that comes out of the sort. They are small.
const BATCH: usize = 8192;

/// What is read again, and how.
pub struct Join {
    pub digests: Arc<Digests>,
    pub places: Arc<Places>,
    pub sums: Arc<Sums>,
    pub differing: Arc<Differing>,
    /// Whether rows have a key.
    pub keyed: bool,
    pub samples: usize,
    pub sorter: Sorter,
}

/// What came of it.
pub struct Joined {
    pub found: Found,
    /// Bytes that were written to temporary files.
    pub spilled: u64,
}

impl Join {
    /// # Errors
    /// Those of reading and of the sort.
    pub async fn run(self, both: &Arc<Both>, progress: &Arc<dyn Progress>) -> Result<Joined, CompareError> {
        let schema = schema();
        let (send, rows) = mpsc::channel(WAITING);
        let sorted = self.sorter.sort(&schema, &[SortOptions::default()], BATCH, rows);
        let mut sorted = sorted.map_err(|error| CompareError::Sort(error.into()))?;
        let again = Arc::new(Again {
            digests: self.digests,
            places: self.places,
            sums: self.sums.clone(),
            differing: self.differing.clone(),
            schema,
            send: send.clone(),
            read: Mutex::default(),
        });
        let wanted = |file: FileRef| self.sums.touches(file, &self.differing);
        progress.begins("reading what differs again", both.bytes(&wanted));
        let read = async {
            both.read(&wanted, again.clone(), progress).await?;
            let read = *again
                .read
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            // The last two that hold it: the sort has all that it will get.
            drop(again);
            drop(send);
            Ok::<u64, CompareError>(read)
        };
        let mut merge = Merge::new(self.keyed, self.sums.places.len(), self.samples);
        let merging = async {
            while let Some(batch) = sorted
                .rows
                .try_next()
                .await
                .map_err(|error| CompareError::Sort(error.into()))?
            {
                push(&mut merge, &batch);
            }
            Ok::<_, CompareError>(())
        };
        // In this order: an error of reading is seen before the end that it makes of the rows to be sorted.
        let (read, ()) = try_join!(read, merging)?;
        let found = merge.finish();
        match found.rows == read {
            true => Ok(Joined {
                found,
                spilled: sorted.spilled(),
            }),
            false => Err(CompareError::Miscounted(format!(
                "of {read} rows {} came out of the sort",
                found.rows
            ))),
        }
    }
}

fn schema() -> SchemaRef {
    Arc::new(ArrowSchema::new(vec![
        Field::new("id", DataType::Binary, false),
        Field::new("file", DataType::UInt32, false),
        Field::new("place", DataType::UInt32, false),
    ]))
}

fn push(merge: &mut Merge, batch: &RecordBatch) {
    let ids = batch.column(0).as_binary::<i32>();
    let files = batch.column(1).as_primitive::<UInt32Type>();
    let places = batch.column(2).as_primitive::<UInt32Type>();
    for row in 0..batch.num_rows() {
        merge.push(
            ids.value(row),
            FileRef::unpack(files.value(row)),
            places.value(row),
        );
    }
}

/// Sends what differs to the sort.
struct Again {
    digests: Arc<Digests>,
    places: Arc<Places>,
    sums: Arc<Sums>,
    differing: Arc<Differing>,
    schema: SchemaRef,
    send: mpsc::Sender<RecordBatch>,
    /// Rows that were sent.
    read: Mutex<u64>,
}

impl Again {
    fn differing(&self, file: FileRef, rows: &RecordBatch) -> Result<Option<RecordBatch>, CompareError> {
        let digested = self.digests.of(rows)?;
        let (mut ids, mut places) = (BinaryBuilder::new(), UInt32Builder::new());
        let mut id = Vec::new();
        for part in self.places.of(rows)? {
            let place = self.sums.places.find(&part);
            if !self.differing.place(place) {
                continue;
            }
            for row in part.rows.into_iter().map(|row| row as usize) {
                if self.differing.cell(digested.cells[row]) {
                    digested.write_id(row, &mut id);
                    ids.append_value(&id);
                    places.append_value(place);
                }
            }
        }
        let places: UInt32Array = places.finish();
        if places.is_empty() {
            return Ok(None);
        }
        let files = UInt32Array::from_value(file.pack(), places.len());
        let columns: Vec<ArrayRef> = vec![Arc::new(ids.finish()), Arc::new(files), Arc::new(places)];
        Ok(Some(RecordBatch::try_new(self.schema.clone(), columns)?))
    }
}

#[async_trait]
impl Sink for Again {
    async fn take(&self, file: FileRef, rows: RecordBatch) -> Result<(), CompareError> {
        let Some(batch) = self.differing(file, &rows)? else {
            return Ok(());
        };
        *self
            .read
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) += batch.num_rows() as u64;
        // Where nobody takes it, what became of the sort says why.
        let _ = self.send.send(batch).await;
        Ok(())
    }
}
