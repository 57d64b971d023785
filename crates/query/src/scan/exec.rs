//! Reads the files of one table, several at once.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::limit::LimitStream;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use iceberg::io::FileIO;
use tabletopic_table::read::{DeleteFiles, OpenFile, column_id};

use super::floats::Floats;
use super::memory::Pool;
use super::plan::{Planned, Task, spread};
use super::row_groups::RowGroups;
use crate::error::QueryError;

/// What all readers of a scan share.
#[derive(Debug)]
pub struct Shared {
    pub file_io: FileIO,
    /// The table, as plans show it: `shop.orders@123`.
    pub label: String,
    /// All columns of the table.
    pub table: SchemaRef,
    /// The same with field ids.
    pub fields: Vec<FieldRef>,
    /// By which row groups are pruned.
    pub predicate: Option<PruningPredicate>,
    /// Whether files were pruned by filters, so that their rows are no longer the table's.
    pub filtered: bool,
    pub deletes: DeleteFiles,
}

/// The scan of one table. Its metrics count what was pruned and what was read.
#[derive(Debug)]
pub struct IcebergScan {
    shared: Arc<Shared>,
    /// Indices of the columns that are read.
    projection: Vec<usize>,
    readers: Vec<Vec<Task>>,
    pruned: usize,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl IcebergScan {
    /// At most `partitions` readers, each of which leaves after `limit` rows.
    ///
    /// # Errors
    /// A projection of columns that are not there.
    pub fn new(
        shared: Shared,
        planned: Planned,
        projection: Vec<usize>,
        partitions: usize,
        limit: Option<usize>,
    ) -> Result<Self> {
        let schema = Arc::new(shared.table.project(&projection)?);
        let metrics = ExecutionPlanMetricsSet::new();
        MetricBuilder::new(&metrics)
            .global_counter("files_pruned")
            .add(planned.pruned);
        MetricBuilder::new(&metrics)
            .global_counter("files_scanned")
            .add(planned.tasks.len());
        let readers = spread(planned.tasks, partitions);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(readers.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            shared: Arc::new(shared),
            projection,
            readers,
            pruned: planned.pruned,
            limit,
            properties: Arc::new(properties),
            metrics,
        })
    }

    fn files(&self) -> impl Iterator<Item = &Task> {
        self.readers.iter().flatten()
    }
}

impl DisplayAs for IcebergScan {
    fn fmt_as(&self, style: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = &self.shared.label;
        let (files, pruned) = (self.files().count(), self.pruned);
        if style == DisplayFormatType::TreeRender {
            return write!(f, "table={label}\nfiles={files}\npruned={pruned}");
        }
        let schema = self.properties.equivalence_properties().schema();
        let columns: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        write!(
            f,
            "IcebergScan: table={label}, files={files}, pruned={pruned}, readers={}, columns=[{}]",
            self.readers.len(),
            columns.join(", ")
        )?;
        if let Some(predicate) = &self.shared.predicate {
            write!(f, ", predicate={}", predicate.orig_expr())?;
        }
        if let Some(limit) = self.limit {
            write!(f, ", limit={limit}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for IcebergScan {
    fn name(&self) -> &'static str {
        "IcebergScan"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reader = Reader {
            shared: self.shared.clone(),
            wanted: self
                .projection
                .iter()
                .map(|at| self.shared.fields[*at].clone())
                .collect(),
            schema: self.schema(),
            floats: Arc::new(Floats::of(&self.schema())),
            context,
            row_groups_pruned: MetricBuilder::new(&self.metrics).counter("row_groups_pruned", partition),
            row_groups_scanned: MetricBuilder::new(&self.metrics).counter("row_groups_scanned", partition),
        };
        let reader = Arc::new(reader);
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let batches = futures::stream::iter(self.readers[partition].clone())
            .then(move |task| reader.clone().open(task))
            .try_flatten()
            .map(move |batch| batch.record_output(&baseline));
        let stream = Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches));
        Ok(match self.limit {
            Some(limit) => Box::pin(LimitStream::new(
                stream,
                0,
                Some(limit),
                BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), partition),
            )),
            None => stream,
        })
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    /// Without deletes and filters the manifests know the number of rows, so that nothing has to be read to count
    /// them.
    fn partition_statistics(&self, partition: Option<usize>) -> Result<Statistics> {
        let tasks: Vec<&Task> = match partition {
            Some(partition) => self.readers[partition].iter().collect(),
            None => self.files().collect(),
        };
        let rows = tasks.iter().map(|task| task.rows as usize).sum();
        let whole =
            !self.shared.filtered && self.limit.is_none() && tasks.iter().all(|task| task.deletes.is_empty());
        Ok(Statistics {
            num_rows: if whole {
                Precision::Exact(rows)
            } else {
                Precision::Inexact(rows)
            },
            ..Statistics::new_unknown(&self.schema())
        })
    }
}

/// Reads one file after the other.
struct Reader {
    shared: Arc<Shared>,
    wanted: Vec<FieldRef>,
    schema: SchemaRef,
    floats: Arc<Floats>,
    context: Arc<TaskContext>,
    row_groups_pruned: Count,
    row_groups_scanned: Count,
}

impl Reader {
    async fn open(
        self: Arc<Self>,
        task: Task,
    ) -> Result<BoxStream<'static, Result<arrow::array::RecordBatch>>, DataFusionError> {
        let shared = &self.shared;
        let memory = Pool(self.context.memory_pool().clone());
        let deletes = shared.deletes.of(&task.path, &task.deletes, &memory).await;
        let deletes = deletes.map_err(QueryError::from)?;
        let file = OpenFile::open(&shared.file_io, &task.path, task.size).await;
        let file = file.map_err(QueryError::from)?;
        let row_groups = RowGroups {
            file: &file.metadata,
            table: &shared.table,
            name_in_file: &|name| {
                let id = column_id(&shared.fields[shared.table.index_of(name).ok()?])?;
                let at = file.columns.index(id)?;
                Some(file.metadata.schema().field(at).name().clone())
            },
        };
        let all = file.metadata.metadata().num_row_groups();
        let keep = row_groups.keep(shared.predicate.as_ref());
        self.row_groups_pruned.add(all - keep.len());
        self.row_groups_scanned.add(keep.len());
        let floats = self.floats.clone();
        let rows = file.rows(&self.wanted, self.schema.clone(), keep, deletes);
        let rows = rows.map_err(QueryError::from)?.map_err(QueryError::from);
        Ok(rows.map(move |rows| Ok(floats.in_one_form(rows?)?)).boxed())
    }
}
