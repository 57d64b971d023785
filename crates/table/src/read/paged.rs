//! Row groups that are too large to be held in memory: what is decoded next of each column is fetched block by block.
//!
//! parquet's stream fetches all columns of a row group before it decodes the first row. Row groups of the usual size are
//! read like that, with few requests.

use std::collections::VecDeque;
use std::io::{BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, unfold};
use futures::{FutureExt, StreamExt};
use iceberg::io::FileRead;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Bytes of a row group's columns up to which they are fetched together: twice what Iceberg's writers make by default.
const TOGETHER: u64 = 256 << 20;

/// Bytes that the blocks of all columns have together, and those of one block.
const BLOCKS: u64 = 64 << 20;
const LEAST_BLOCK: u64 = 64 << 10;
const MOST_BLOCK: u64 = 4 << 20;

/// How many bytes of a header are read at once; most are smaller.
const HEADER: usize = 256;

/// Whether one of these row groups is read in blocks.
pub fn is_large(metadata: &ArrowReaderMetadata, mask: &ProjectionMask, row_groups: &[usize]) -> bool {
    let groups = metadata.metadata().row_groups();
    let bytes = |at: &usize| -> u64 {
        let columns = groups[*at].columns().iter().enumerate();
        let read = columns.filter(|(leaf, _)| mask.leaf_included(*leaf));
        // Of a footer that is garbage it may be anything.
        read.map(|(_, column)| u64::try_from(column.compressed_size()).unwrap_or(0))
            .sum()
    };
    row_groups.iter().any(|at| bytes(at) > TOGETHER)
}

/// What is read of a file.
pub struct Reading {
    pub input: Arc<dyn FileRead>,
    /// Bytes of the file.
    pub size: u64,
    pub metadata: ArrowReaderMetadata,
    pub mask: ProjectionMask,
    pub row_groups: Vec<usize>,
    /// Rows of a batch.
    pub batch: usize,
}

impl Reading {
    /// Decodes on a thread for blocking work, a batch ahead. Has to be called within a tokio runtime.
    pub fn batches(self) -> BoxStream<'static, Result<RecordBatch, ParquetError>> {
        let runtime = Handle::current();
        let (send, receive) = mpsc::channel(1);
        let decoding = tokio::task::spawn_blocking(move || self.decode(runtime, &send));
        let batches = unfold((receive, Some(decoding)), |(mut receive, decoding)| {
            async move {
                if let Some(batch) = receive.recv().await {
                    return Some((batch, (receive, decoding)));
                }
                // A thread that has panicked has not sent all.
                let failed = decoding?.await.err()?;
                Some((Err(ParquetError::External(Box::new(failed))), (receive, None)))
            }
            .boxed()
        });
        batches.boxed()
    }

    fn decode(self, runtime: Handle, to: &mpsc::Sender<Result<RecordBatch, ParquetError>>) {
        let leaves = self.metadata.parquet_schema().num_columns();
        let columns = (0..leaves).filter(|leaf| self.mask.leaf_included(*leaf)).count();
        let blocks = Blocks::new(self.input, self.size, columns, runtime);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(blocks, self.metadata)
            .with_projection(self.mask)
            .with_row_groups(self.row_groups)
            .with_batch_size(self.batch)
            .build();
        let sent = match reader {
            Ok(mut batches) => {
                batches.try_for_each(|batch| to.blocking_send(batch.map_err(ParquetError::from)))
            }
            Err(error) => to.blocking_send(Err(error)),
        };
        // Nobody wants the rest.
        drop(sent);
    }
}

/// A file in blocks, of which the newest are kept: about one for each column that is read.
#[derive(Clone)]
struct Blocks(Arc<Shared>);

struct Shared {
    input: Arc<dyn FileRead>,
    size: u64,
    /// Bytes of a block.
    block: u64,
    /// How many are kept.
    most: usize,
    /// By number, the one that was used last at the end.
    kept: Mutex<VecDeque<(u64, Bytes)>>,
    runtime: Handle,
}

impl Blocks {
    fn new(input: Arc<dyn FileRead>, size: u64, columns: usize, runtime: Handle) -> Self {
        let most = columns + 1;
        let block = (BLOCKS / most as u64).clamp(LEAST_BLOCK, MOST_BLOCK);
        Self(Arc::new(Shared {
            input,
            size,
            block,
            most,
            kept: Mutex::default(),
            runtime,
        }))
    }

    fn fetch(&self, start: u64, end: u64) -> Result<Bytes, ParquetError> {
        let shared = &self.0;
        let read = shared.runtime.block_on(shared.input.read(start..end));
        let read = read.map_err(|error| ParquetError::External(Box::new(error)))?;
        match read.len() as u64 == end - start {
            true => Ok(read),
            false => Err(ParquetError::EOF(format!(
                "{} bytes at {start}, where {} should be",
                read.len(),
                end - start
            ))),
        }
    }

    /// What the block that `at` lies in has from there on; nothing at the end of the file.
    fn from(&self, at: u64) -> Result<Bytes, ParquetError> {
        let shared = &self.0;
        if at >= shared.size {
            return Ok(Bytes::new());
        }
        let number = at / shared.block;
        let start = number * shared.block;
        let mut kept = shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|(of, _)| *of == number);
        let bytes = match found.and_then(|found| kept.remove(found)) {
            Some((_, bytes)) => bytes,
            None => {
                // Before there is one more.
                while kept.len() >= shared.most {
                    kept.pop_front();
                }
                self.fetch(start, (start + shared.block).min(shared.size))?
            }
        };
        kept.push_back((number, bytes.clone()));
        Ok(bytes.slice((at - start) as usize..))
    }
}

impl Length for Blocks {
    fn len(&self) -> u64 {
        self.0.size
    }
}

impl ChunkReader for Blocks {
    type T = BufReader<At>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let from = At {
            blocks: self.clone(),
            at: start,
        };
        Ok(BufReader::with_capacity(HEADER, from))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if length as u64 > self.0.block {
            return self.fetch(start, start + length as u64);
        }
        let first = self.from(start)?;
        if first.len() >= length {
            return Ok(first.slice(..length));
        }
        let mut bytes = BytesMut::with_capacity(length);
        bytes.extend_from_slice(&first);
        while bytes.len() < length {
            let more = self.from(start + bytes.len() as u64)?;
            if more.is_empty() {
                return Err(ParquetError::EOF(format!(
                    "{length} bytes at {start} reach beyond the file"
                )));
            }
            let missing = length - bytes.len();
            bytes.extend_from_slice(&more[..missing.min(more.len())]);
        }
        Ok(bytes.freeze())
    }
}

/// Reads on from a place in the file.
struct At {
    blocks: Blocks,
    at: u64,
}

impl Read for At {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.blocks.from(self.at).map_err(std::io::Error::other)?;
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::atomic::{AtomicU64, Ordering};

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::compute::concat_batches;
    use async_trait::async_trait;
    use futures::TryStreamExt;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ArrowReaderOptions;
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// A file, and the most bytes that were asked for at once.
    struct Watched {
        file: Bytes,
        most: AtomicU64,
    }

    impl Watched {
        fn new(file: Bytes) -> Arc<Self> {
            Arc::new(Self {
                file,
                most: AtomicU64::new(0),
            })
        }
    }

    #[async_trait]
    impl FileRead for Watched {
        async fn read(&self, range: Range<u64>) -> iceberg::Result<Bytes> {
            self.most.fetch_max(range.end - range.start, Ordering::Relaxed);
            // What there is, as a store answers.
            let end = (range.end as usize).min(self.file.len());
            Ok(self.file.slice(range.start as usize..end))
        }
    }

    #[tokio::test]
    async fn any_range_of_a_file_is_the_same_by_blocks() {
        let file = Bytes::from_iter((0..600_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8));
        let size = file.len() as u64;
        let input = Watched::new(file.clone());
        // So many columns that blocks are as small as they get.
        let blocks = Blocks::new(input.clone(), size, 2_000, Handle::current());
        let block = blocks.0.block as usize;
        assert_eq!(block as u64, LEAST_BLOCK);
        let reading = move || {
            for start in [0, 1, block - 1, block, 3 * block - 7, file.len() - 10] {
                for length in [0, 1, 10, block - 1, block, block + 1, 3 * block] {
                    let end = start + length;
                    match blocks.get_bytes(start as u64, length) {
                        Ok(bytes) => assert_eq!(bytes, file.slice(start..end)),
                        Err(_) => assert!(end > file.len(), "{start}..{end}"),
                    }
                    if end <= file.len() {
                        let mut bytes = vec![0; length];
                        blocks
                            .get_read(start as u64)
                            .unwrap()
                            .read_exact(&mut bytes)
                            .unwrap();
                        assert_eq!(bytes, file.slice(start..end));
                    }
                }
            }
        };
        tokio::task::spawn_blocking(reading).await.unwrap();
    }

    #[tokio::test]
    async fn a_row_group_is_read_in_blocks_and_holds_the_same_rows() {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(
            (0..400_000).map(|id| id * 7919 % 400_009),
        ));
        let texts = (0..400_000).map(|id| (id % 5 != 0).then(|| format!("{:x}", id * 2_654_435_761_u64)));
        let texts: ArrayRef = Arc::new(StringArray::from_iter(texts));
        let rows = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(300_000))
            .build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        let file = Bytes::from(file);
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).unwrap();
        let input = Watched::new(file.clone());
        let reading = Reading {
            input: input.clone(),
            size: file.len() as u64,
            metadata,
            mask: ProjectionMask::all(),
            row_groups: vec![0, 1],
            batch: 1000,
        };
        let read: Vec<RecordBatch> = reading.batches().try_collect().await.unwrap();
        assert_eq!(concat_batches(&rows.schema(), &read).unwrap(), rows);
        assert!(input.most.load(Ordering::Relaxed) <= MOST_BLOCK);
    }

    #[tokio::test]
    async fn a_file_that_ends_early_is_an_error_and_no_end() {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100_000));
        let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        let file = Bytes::from(file);
        let reading = Reading {
            input: Watched::new(file.slice(..file.len() / 2)),
            size: file.len() as u64,
            metadata: ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).unwrap(),
            mask: ProjectionMask::all(),
            row_groups: vec![0],
            batch: 1000,
        };
        let read: Result<Vec<RecordBatch>, _> = reading.batches().try_collect().await;
        assert!(read.is_err());
    }
}
