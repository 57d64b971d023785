//! Sorting more rows than memory holds: DataFusion's external sort, which spills to the folder for temporary files.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
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

/// Memory that sorting takes beyond what it was given would be spilled one batch at a time.
const LEAST_MEMORY: usize = 32 << 20;

/// What several sorts share.
#[derive(Debug)]
pub struct Sorter(Arc<RuntimeEnv>);

impl Sorter {
    /// `memory`: bytes of rows that are held, by all sorts together.
    ///
    /// # Errors
    /// Those of making a folder for what is spilled.
    pub fn new(memory: usize) -> Result<Self, DataFusionError> {
        let pool = FairSpillPool::new(memory.max(LEAST_MEMORY));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool));
        Ok(Self(runtime.build_arc()?))
    }

    /// What comes through `rows`, which have `schema`, in the order of their first columns. It begins once there is no
    /// more to come.
    ///
    /// # Errors
    /// Those of planning.
    pub fn sort(
        &self,
        schema: &SchemaRef,
        options: &[SortOptions],
        rows: mpsc::Receiver<RecordBatch>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
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
        let context = TaskContext::default()
            .with_session_config(SessionConfig::new())
            .with_runtime(self.0.clone());
        sort.execute(0, Arc::new(context))
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
