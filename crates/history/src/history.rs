//! One job's part of a raw-history table at one snapshot, and whether it can be read as a log.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::TableIdent;
use iceberg::spec::MAIN_BRANCH;
use tabletopic_offsets::{
    Counts, JobId, Offset, OffsetRange, PartitionState, RangeSet, TableState, TopicIdentity, TopicPartition,
};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Base, CommitError, check_standing};
use tokio::runtime::Handle;

use crate::columns::Columns;
use crate::extents::Extents;
use crate::files::Files;
use crate::job::{chosen, logs, told_apart};
use crate::rows::Whose;
use crate::scout::{Sought, scout};
use crate::{HistoryBroker, HistoryError, HistorySource};

/// The log of one topic partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLog {
    /// What can be read: from the first offset that may still have a row to the end of the table's progress. It starts where
    /// the topic was first read, unless retention has removed rows; then with the first row that is left.
    pub offsets: OffsetRange,
    /// Where the topic was first read.
    pub anchor: Offset,
    /// Rows in `offsets`. Those that delete files take are among them.
    pub rows: u64,
    /// What became of the offsets that have no row.
    pub gone: Gone,
}

/// Why offsets between a log's first and last have no row. What none of these account for was never a record, or was
/// aborted, compacted away, or deleted from the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gone {
    /// Declared lost.
    pub lost: RangeSet,
    /// Records that were left out by configuration.
    pub filtered: u64,
    pub dead_letters: u64,
    /// Rows that retention has removed. Where several jobs have a partition of this number, all of theirs.
    pub retired: u64,
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct History(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    snapshot_id: i64,
    job: JobId,
    identity: TopicIdentity,
    partitions: BTreeMap<i32, PartitionLog>,
    files: Arc<Files>,
    extents: Extents,
    whose: Whose,
}

impl History {
    /// Reads the state of a table, its manifests, and where the rows of all its files are from. `job`: whose rows, where
    /// several feed the table.
    ///
    /// # Errors
    /// A table that is no raw history, or whose rows do not make one log; a rollback that nobody has answered; those of
    /// reading.
    pub async fn open(lake: &Lake, table: &TableIdent, job: Option<&JobId>) -> Result<Self, HistoryError> {
        let loaded = lake.catalog.load(table).await?;
        let head = loaded.metadata.snapshot_for_ref(MAIN_BRANCH).cloned();
        let columns = head.as_ref().map(|head| {
            let schema = head.schema(&loaded.metadata)?;
            Columns::of(table, &schema)
        });
        // A table of another kind says so, whatever state it carries.
        let columns = columns.transpose()?;
        let base = Base::<TableState>::read(loaded).map_err(CommitError::from)?;
        check_standing(lake, &base).await?;
        let (Some(state), Some(head), Some(columns)) = (base.state(), head, columns) else {
            return Err(HistoryError::NotFed { table: table.clone() });
        };
        let (id, of_job) = chosen(table, state, job)?;
        let whose = told_apart(table, state, id, columns.tell_topics)?;
        let log = logs(table, of_job)?;
        let sought = Arc::new(Sought { whose, log });
        let (id, of_job, retired) = (id.clone(), of_job.clone(), state.retired.clone());
        let files = Files::of(lake.clone(), base.table, &head, columns, &sought.log).await?;
        let files = Arc::new(files);
        let extents = scout(&files, &sought).await?;
        let partitions = of_job.partitions.iter().map(|(number, state)| {
            let retired = retired.get(number).copied().unwrap_or_default();
            let log = partition_log(&extents, *number, sought.log[number], state, retired);
            (*number, log)
        });
        Ok(Self(Arc::new(Opened {
            snapshot_id: head.snapshot_id(),
            job: id,
            identity: of_job.identity.clone(),
            partitions: partitions.collect(),
            files,
            extents,
            whose: sought.whose.clone(),
        })))
    }

    pub fn table(&self) -> &TableIdent {
        &self.0.files.table.ident
    }

    /// The table's uuid.
    pub fn table_uuid(&self) -> String {
        self.0.files.table.metadata.uuid().to_string()
    }

    /// The snapshot that is read.
    pub fn snapshot_id(&self) -> i64 {
        self.0.snapshot_id
    }

    pub fn job(&self) -> &JobId {
        &self.0.job
    }

    /// The topic whose log this is.
    pub fn identity(&self) -> &TopicIdentity {
        &self.0.identity
    }

    /// By number. A topic may have had more, which the job did not read.
    pub fn partitions(&self) -> &BTreeMap<i32, PartitionLog> {
        &self.0.partitions
    }

    /// How many rows a partition has within some of its offsets; an estimate where row groups are cut. Those that delete
    /// files take are among them.
    pub fn rows_within(&self, partition: i32, offsets: OffsetRange) -> u64 {
        let of = self.0.extents.from(partition, offsets.start);
        of.map(|extent| extent.rows_within(offsets.start, offsets.end))
            .sum()
    }

    /// Bytes of all rows once they are decoded, about.
    pub fn bytes(&self) -> u64 {
        self.0.extents.groups().iter().map(|group| group.bytes).sum()
    }

    /// The oldest timestamp of all rows, in milliseconds since the Unix epoch.
    pub fn oldest(&self) -> Option<i64> {
        let oldest = self.0.extents.groups().iter().map(|group| group.oldest).min();
        oldest.filter(|oldest| *oldest < i64::MAX)
    }

    /// Answers for the broker of this log. `runtime` has to have threads of its own.
    pub fn broker(&self, runtime: Handle) -> HistoryBroker {
        HistoryBroker::new(self.clone(), runtime)
    }

    /// Reads this log. `runtime` as for [`broker`](Self::broker).
    pub fn source(&self, runtime: Handle) -> HistorySource {
        HistorySource::new(self.clone(), runtime)
    }

    pub(crate) fn files(&self) -> &Arc<Files> {
        &self.0.files
    }

    pub(crate) fn extents(&self) -> &Extents {
        &self.0.extents
    }

    pub(crate) fn whose(&self) -> &Whose {
        &self.0.whose
    }

    pub(crate) fn topic_partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.0.identity.topic.clone(), partition)
    }
}

fn partition_log(
    extents: &Extents,
    number: i32,
    log: OffsetRange,
    state: &PartitionState,
    retired: Counts,
) -> PartitionLog {
    let of = extents.of(number);
    let start = match retired.rows {
        0 => log.start,
        _ => of.first().map_or(log.end, |extent| extent.first),
    };
    PartitionLog {
        offsets: OffsetRange::new(start, log.end),
        anchor: log.start,
        rows: of.iter().map(|extent| u64::from(extent.rows)).sum(),
        gone: Gone {
            lost: state.lost.clone(),
            filtered: state.counts.filtered,
            dead_letters: state.counts.dead_letters,
            retired: retired.rows,
        },
    }
}
