//! What workers ask of the committer of a table.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use tabletopic_offsets::{JobId, RecordAt};
use tabletopic_source::{PartitionError, Position};
use tabletopic_table::commit::Unit;
use tabletopic_table::schema::SchemaChange;
use tokio::task::JoinHandle;

use crate::job::Job;
use crate::lane::Lane;
use crate::worker::{Message, Reply};

/// Which worker asks, and where its answers go. Workers read their answers between batches.
#[derive(Debug, Clone)]
pub struct From {
    pub worker: usize,
    pub lane: Lane,
    /// Of the job that the request is about.
    pub incarnation: u64,
    pub replies: Sender<Message>,
}

impl From {
    /// Answers. A worker that is gone needs no answer.
    pub fn answer(&self, reply: Reply) {
        let _ = self.replies.send(Message {
            to: Some(self.incarnation),
            reply,
        });
    }
}

/// See [`crate::worker::Effect`], whose variants most of these carry on.
#[derive(Debug)]
pub enum Request {
    /// The table is there for this job, too.
    Begin { job: Arc<Job> },
    Ask {
        from: From,
        job: JobId,
        partitions: Vec<i32>,
    },
    Submit {
        from: From,
        job: JobId,
        unit: Box<Unit>,
        uploads: Vec<JoinHandle<()>>,
    },
    ChangeSchema {
        from: From,
        job: JobId,
        made_for: i32,
        changes: Vec<SchemaChange>,
        cause: RecordAt,
    },
    Validate {
        from: From,
        job: JobId,
        positions: Vec<(i32, Position)>,
    },
    Diagnose {
        from: From,
        job: JobId,
        partition: i32,
        position: Position,
        error: PartitionError,
    },
    Halt {
        job: JobId,
        lane: Lane,
        partition: Option<i32>,
        message: String,
    },
}
