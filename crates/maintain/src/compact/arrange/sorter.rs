//! Sorting more rows than memory holds: DataFusion's external sort, which spills to the folder for temporary files.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::prelude::SessionConfig;
use futures::stream;
use tokio::sync::mpsc;

/// With less, a merge of what was spilled has not enough for a batch of each part.
const LEAST_MEMORY: usize = 32 << 20;

/// How sorts are done, each with memory of its own: the merge of one takes all that it can get for good.
#[derive(Debug, Clone, Copy)]
pub struct Sorter {
    /// Bytes of rows that one sort holds.
    memory: usize,
}

impl Sorter {
    /// `memory`: bytes of rows that so many `jobs` hold together, if that is enough for each.
    pub fn new(memory: usize, jobs: NonZeroUsize) -> Self {
        Self {
            memory: (memory / jobs).max(LEAST_MEMORY),
        }
    }

    /// What comes through `rows`, which have `schema`, in the order of their first columns. `batch`: rows of one that
    /// comes out.
    ///
    /// # Errors
    /// Those of planning.
    pub fn sort(
        self,
        schema: &SchemaRef,
        options: &[SortOptions],
        batch: usize,
        rows: mpsc::Receiver<RecordBatch>,
    ) -> Result<Sorted, DataFusionError> {
        let by = options.iter().enumerate().map(|(at, options)| {
            let column = Column::new(schema.field(at).name(), at);
            PhysicalSortExpr::new(Arc::new(column), *options)
        });
        let source = Source {
            schema: schema.clone(),
            rows: Mutex::new(Some(rows)),
        };
        let source =
            StreamingTableExec::try_new(schema.clone(), vec![Arc::new(source)], None, [], false, None)?;
        let Some(by) = LexOrdering::new(by) else {
            return Err(DataFusionError::Plan("there is nothing to sort by".to_owned()));
        };
        let sort = SortExec::new(by, Arc::new(source));
        // The disk says when it is full.
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(self.memory)))
            .with_max_temp_directory_size(u64::MAX);
        let context = TaskContext::default()
            .with_session_config(SessionConfig::new().with_batch_size(batch))
            .with_runtime(runtime.build_arc()?);
        Ok(Sorted {
            rows: sort.execute(0, Arc::new(context))?,
            sort,
        })
    }
}

/// Rows on their way out of a sort.
pub struct Sorted {
    /// They begin once there is no more to come in.
    pub rows: SendableRecordBatchStream,
    sort: SortExec,
}

impl Sorted {
    /// Bytes that were written to temporary files so far.
    pub fn spilled(&self) -> u64 {
        let metrics = self.sort.metrics();
        let spilled = metrics.and_then(|metrics| metrics.spilled_bytes());
        spilled.map_or(0, |bytes| bytes as u64)
    }
}

/// Rows that come once.
struct Source {
    schema: SchemaRef,
    rows: Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rows of a piece")
    }
}

impl PartitionStream for Source {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batches = stream::unfold(rows, |rows| async move {
            let mut rows = rows?;
            let batch = rows.recv().await?;
            Some((Ok(batch), Some(rows)))
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}
