//! What goes into a worker and what comes out of it, apart from the source's events.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::spec::{PartitionSpecRef, SchemaRef};
use tabletopic_decode::FormerNames;
use tabletopic_offsets::{Generation, JobId, Offset, RecordAt, TopicIdentity, TopicPartition};
use tabletopic_records::SchemaId;
use tabletopic_source::{PartitionError, Position};
use tabletopic_table::commit::Unit;
use tabletopic_table::file::{EncodedFile, FileNames, FileSchema};
use tabletopic_table::schema::SchemaChange;

use crate::lane::Stretch;

/// One version of a table, as far as a worker writes for it.
#[derive(Debug, Clone)]
pub struct TableVersion {
    pub schema: SchemaRef,
    pub spec: PartitionSpecRef,
    pub former_names: FormerNames,
    pub files: FileNames,
    pub dead_letter_schema: Arc<FileSchema>,
    pub dead_letter_files: FileNames,
}

/// What the table says about a job: under which meaning of offsets to read, and from where.
#[derive(Debug, Clone)]
pub struct Grant {
    pub version: Arc<TableVersion>,
    pub identity: TopicIdentity,
    pub generation: Generation,
    /// What there is to read of each partition.
    pub stretches: BTreeMap<i32, Stretch>,
}

/// From the committer of a table, handled between batches.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Read from these positions.
    Granted { job: JobId, grant: Grant },
    /// The table as it is now: with the columns that were asked for, or with what somebody else had changed before.
    /// Decode again from where the worker stopped.
    SchemaChanged { job: JobId, version: Arc<TableVersion> },
    /// The registry has said what there is under an id. Go on with what waits for it.
    SchemaFound { job: JobId, id: SchemaId },
    /// A unit of this worker is in the table, up to these offsets.
    Committed { job: JobId, ends: Vec<(i32, Offset)> },
    /// A unit was dropped, or the meaning of offsets has changed: forget what is open, and ask again.
    Restart { job: JobId },
    /// Stop reading: the whole job, or one partition of it.
    Halted { job: JobId, partition: Option<i32> },
}

/// A reply on its way to a worker.
#[derive(Debug, Clone)]
pub struct Message {
    /// The incarnation of the job whose request this answers; one that has ended since does not hear it. `None`:
    /// nobody asked, and whoever is there hears it.
    pub to: Option<u64>,
    pub reply: Reply,
}

/// What a worker wants done. Requests carry the incarnation of their job, for the answer.
#[derive(Debug)]
pub enum Effect {
    /// Ask the committer of the job's table for a [`Grant`] for these partitions.
    Ask {
        job: JobId,
        incarnation: u64,
        partitions: Vec<i32>,
    },
    Start(Vec<(TopicPartition, Position)>),
    Pause(Vec<TopicPartition>),
    Resume(Vec<TopicPartition>),
    /// Store a closed file. It belongs to the next unit of its job.
    Upload {
        job: JobId,
        file: EncodedFile,
    },
    /// Commit a unit once its files are stored.
    Submit {
        job: JobId,
        incarnation: u64,
        unit: Unit,
    },
    /// Commit these changes of the schema `made_for`; `cause` names the record that needs them.
    ChangeSchema {
        job: JobId,
        incarnation: u64,
        made_for: i32,
        changes: Vec<SchemaChange>,
        cause: RecordAt,
    },
    /// Have the registry say what schema records with this id were written with.
    FindSchema {
        job: JobId,
        incarnation: u64,
        id: SchemaId,
    },
    /// Find out whether the logs still lead to these positions, at which nobody reads now. If one does not, halt it.
    Validate {
        job: JobId,
        incarnation: u64,
        positions: Vec<(i32, Position)>,
    },
    /// Find out what this means for the partition at `position`, and say so.
    Diagnose {
        job: JobId,
        incarnation: u64,
        partition: i32,
        position: Position,
        error: PartitionError,
    },
    /// The partition was stopped here, by this record or by an error of ours.
    Halt {
        job: JobId,
        partition: Option<i32>,
        message: String,
    },
    /// For lag tools.
    Mirror(Vec<(TopicPartition, Offset)>),
}
