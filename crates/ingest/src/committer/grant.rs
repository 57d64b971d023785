//! Tells a worker where its partitions go on: from the table, and from nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_decode::FormerNames;
use tabletopic_offsets::{Follower, Generation, History, JobId, Offset, TableState, TopicIdentity};
use tabletopic_source::BrokerError;
use tabletopic_table::commit::{
    Anchor, AnchorBehind, Base, ChangePartitions, CommitError, Committed, Halt, LogWaiting, Look, commit,
    load_patiently,
};
use tabletopic_table::file::{FileNames, FileSchema};
use tabletopic_table::follower::{create, ident};
use tokio::time::Instant;

use super::{Committer, log_line};
use crate::ask_broker::{histories, patiently, starts};
use crate::diagnose;
use crate::halts::Scope;
use crate::job::{Backfill, Job, PartitionBy};
use crate::lane::Lane;
use crate::worker::{Grant, TableVersion};

impl Committer {
    /// Progress of a job, anchored first where the table does not know a partition. `None`: the job was halted.
    pub(super) async fn grant(
        &mut self,
        job: &JobId,
        lane: Lane,
        partitions: &[i32],
    ) -> Result<Option<Grant>, CommitError> {
        let Some(job) = self.jobs.get(job).cloned() else {
            return Ok(None);
        };
        let Some(identity) = self.identity(&job).await else {
            return Ok(None);
        };
        if self.drained.is_none() {
            // What an earlier process left in the outbox leaves it before anything is added.
            self.drain_all().await;
        }
        let base = self.anchored(&job, &identity, partitions).await?;
        let base = self.partitioned(&job, base).await?;
        self.observed.saw(&base);
        let Some(state) = base.state().and_then(|state| state.job(&job.id)) else {
            return Ok(None);
        };
        if !state.identity.agrees(&identity) {
            let (fed_from, generation) = (state.identity.clone(), state.generation);
            let Some(now) = self.identity(&job).await else {
                return Ok(None);
            };
            if fed_from.agrees(&now) {
                // Adopted since the broker was asked first.
                return Box::pin(self.grant(&job.id, lane, partitions)).await;
            }
            self.other_topic(&job.id, &fed_from, &now, generation);
            return Ok(None);
        }
        let stretches = state
            .partitions
            .iter()
            .filter_map(|(number, partition)| Some((*number, lane.next(partition)?)))
            .collect();
        let version = self.version(&base.table).await?;
        self.standstill = None;
        Ok(Some(Grant {
            version,
            identity: state.identity.clone(),
            generation: state.generation,
            stretches,
        }))
    }

    /// The table with the partition spec that the configuration says, once for each job.
    async fn partitioned(
        &mut self,
        job: &Job,
        base: Base<TableState>,
    ) -> Result<Base<TableState>, CommitError> {
        let PartitionBy::Said(partition_by) = &job.partition_by else {
            return Ok(base);
        };
        if base.state().is_none() || self.partitioned.contains(&job.id) {
            return Ok(base);
        }
        let mut plan = ChangePartitions {
            lake: &self.lake,
            partition_by,
        };
        let began = Instant::now();
        let changed = commit(&self.lake, &self.table, &mut plan, &LogWaiting).await?;
        log_line::committed(&self.table, &changed, began.elapsed());
        self.partitioned.insert(job.id.clone());
        Ok(changed.base)
    }

    /// What the topic is now; a topic that is gone halts.
    pub(super) async fn identity(&self, job: &Job) -> Option<TopicIdentity> {
        let message = match patiently(|| self.broker.describe(&job.topic)).await {
            Ok(Ok(description)) => return Some(description.identity),
            Ok(Err(error)) => format!("topic {}: {error}", job.topic),
            Err(error) => error.to_string(),
        };
        self.observed
            .halts
            .raise(Scope::Topic { job: job.id.clone() }, message);
        None
    }

    /// The topic is not the one that was read under `generation`. The answer to this halt raises it; or has raised it
    /// already, where what was read has waited since: then the next look at the table tells.
    pub(super) fn other_topic(
        &mut self,
        job: &JobId,
        expected: &TopicIdentity,
        found: &TopicIdentity,
        generation: Generation,
    ) {
        self.generations.insert(job.clone(), generation);
        self.looked_at = None;
        let why = diagnose::other_topic(&self.table, expected, found);
        self.observed.halts.raise(Scope::Topic { job: job.clone() }, why);
    }

    /// The table with an anchor for each of `partitions`. A job's first partitions start by its policy; those that
    /// appear later start at 0, because everything in them is new (section 2).
    async fn anchored(
        &self,
        job: &Job,
        identity: &TopicIdentity,
        partitions: &[i32],
    ) -> Result<Base<TableState>, CommitError> {
        let base: Base<TableState> = commit(&self.lake, &self.table, &mut Look, &LogWaiting)
            .await?
            .base;
        let known = base.state().and_then(|state| state.job(&job.id));
        let unknown: Vec<i32> = partitions
            .iter()
            .copied()
            .filter(|partition| known.is_none_or(|known| !known.partitions.contains_key(partition)))
            .collect();
        if unknown.is_empty() || known.is_some_and(|known| !known.identity.agrees(identity)) {
            return Ok(base);
        }
        let no_start = |error: BrokerError| self.no_start(identity, &error);
        let is_first = known.is_none_or(|known| known.partitions.is_empty());
        let began = Instant::now();
        let anchored = match (is_first, job.backfill) {
            (true, Backfill::Behind) => {
                let mut anchor = AnchorBehind {
                    lake: &self.lake,
                    job: &job.id,
                    identity,
                    history: &self.first_histories(job).await.map_err(no_start)?,
                };
                commit(&self.lake, &self.table, &mut anchor, &LogWaiting).await?
            }
            (true, Backfill::First) => {
                let starts = self.first_starts(job).await.map_err(no_start)?;
                self.anchor(job, identity, &starts).await?
            }
            (false, _) => {
                let starts = unknown.iter().map(|partition| (*partition, 0)).collect();
                self.anchor(job, identity, &starts).await?
            }
        };
        log_line::committed(&self.table, &anchored, began.elapsed());
        Ok(anchored.base)
    }

    async fn anchor(
        &self,
        job: &Job,
        identity: &TopicIdentity,
        starts: &BTreeMap<i32, Offset>,
    ) -> Result<Committed<TableState>, CommitError> {
        let mut anchor = Anchor {
            lake: &self.lake,
            job: &job.id,
            identity,
            starts,
        };
        commit(&self.lake, &self.table, &mut anchor, &LogWaiting).await
    }

    async fn first_starts(&self, job: &Job) -> Result<BTreeMap<i32, Offset>, BrokerError> {
        let partitions = self.first_partitions(job).await?;
        starts(self.broker.as_ref(), &job.topic, &partitions, job.start).await
    }

    async fn first_histories(&self, job: &Job) -> Result<BTreeMap<i32, History>, BrokerError> {
        let partitions = self.first_partitions(job).await?;
        histories(self.broker.as_ref(), &job.topic, &partitions, job.start).await
    }

    /// All partitions that the topic has now, assigned to us or not: where they begin is evaluated once.
    async fn first_partitions(&self, job: &Job) -> Result<Vec<i32>, BrokerError> {
        let described = patiently(|| self.broker.describe(&job.topic)).await?;
        Ok(described.map(|topic| topic.partitions).unwrap_or_default())
    }

    fn no_start(&self, identity: &TopicIdentity, error: &BrokerError) -> CommitError {
        CommitError::Halt(Halt::StartUnknown {
            table: self.table.clone(),
            topic: identity.to_string(),
            detail: error.to_string(),
        })
    }

    /// What a worker needs to know to write for the table as it is now.
    pub(super) async fn version(&self, table: &LoadedTable) -> Result<Arc<TableVersion>, CommitError> {
        let letters = ident(&table.ident, Follower::DeadLetters);
        let letters = match load_patiently(&self.lake, &letters, &LogWaiting).await {
            Err(CommitError::Catalog(CatalogError::NotFound { .. })) => {
                create::follower(&self.lake, &table.ident, Follower::DeadLetters).await?
            }
            loaded => loaded?,
        };
        let dead_letter_schema = FileSchema::new(
            letters.metadata.current_schema().clone(),
            letters.metadata.default_partition_spec().clone(),
        )
        .map_err(|error| CommitError::Encode(error.to_string()))?;
        let schema = table.metadata.current_schema();
        Ok(Arc::new(TableVersion {
            schema: schema.clone(),
            spec: table.metadata.default_partition_spec().clone(),
            former_names: FormerNames::of(schema, table.metadata.schemas_iter().map(AsRef::as_ref)),
            files: FileNames::new(table.metadata.location()),
            dead_letter_schema,
            dead_letter_files: FileNames::new(letters.metadata.location()),
        }))
    }
}
