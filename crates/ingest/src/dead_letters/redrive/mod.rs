//! Rows of dead letters, once what kept them from becoming rows is mended: decoded as the job decodes now, with
//! their own offsets, each exactly once (commit protocol, section 6).
//!
//! `gather` reads letters in portions, `decode` makes files of a portion, and each portion is one commit. A process
//! that dies in between leaves portions that are rows and others that are letters still; run again, it goes on there.

mod decode;
mod gather;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::TableIdent;
use tabletopic_decode::Reason;
use tabletopic_offsets::{Follower, FollowerPosition, Offset, OffsetRange, RangeSet, RecordAt, TableState};
use tabletopic_records::SchemaId;
use tabletopic_registry::Registry;
use tabletopic_table::Lake;
use tabletopic_table::commit::{
    Base, ChangeSchema, CommitError, Halt, LettersOf, LogWaiting, Look, Redrive, Unit, commit, open_letters,
};
use tabletopic_table::file::EncodedFile;
use tabletopic_table::follower::drain::drain;
use tabletopic_table::follower::letters::Letters;
use tabletopic_table::rows::{Lookup, Offsets};
use tabletopic_table::schema::evolve;

use super::error::DeadLettersError;
use super::selection::Selection;
use crate::job::Job;
use crate::schema_lookups::learn;
use crate::withheld::is_withheld;
use decode::{Decoded, Growth, Target, decode};
use gather::{Gather, Portion};

pub use report::{Redriven, Staying};

/// Makes rows of the selected letters of `table`, which `jobs` feed; or only says what would become of them.
///
/// # Errors
/// Halts of the table and of its dead letters; outages of the registry. What was committed before stays.
pub async fn redrive(
    lake: &Lake,
    registry: Option<&dyn Registry>,
    table: &TableIdent,
    jobs: &[Arc<Job>],
    selection: &Selection,
    only_look: bool,
) -> Result<Redriven, DeadLettersError> {
    let mut redriving = Redriving {
        lake,
        registry,
        table,
        jobs,
        target: None,
        followers: Vec::new(),
        done: Redriven::default(),
        only_look,
    };
    let base = redriving.look().await?;
    let letters = Letters::open(lake, &base).await?;
    let Some(state) = base.state() else {
        return Ok(redriving.done);
    };
    let mut gather = Gather::begin(&letters, state, selection).await?;
    while let Some(portion) = gather.next().await? {
        redriving.take(portion).await?;
    }
    if !redriving.done.snapshots.is_empty() {
        let base = redriving.look().await?;
        redriving.drain(&base).await;
    }
    Ok(redriving.done)
}

struct Redriving<'a> {
    lake: &'a Lake,
    registry: Option<&'a dyn Registry>,
    table: &'a TableIdent,
    jobs: &'a [Arc<Job>],
    /// Where it is only looked: the table with the columns that letters have asked for.
    target: Option<Target>,
    followers: Vec<(Follower, FollowerPosition)>,
    done: Redriven,
    only_look: bool,
}

/// Letters that can't become rows whatever else happens: the reason's name, and why.
type Refused = BTreeMap<(i32, Offset), (&'static str, String)>;

impl Redriving<'_> {
    /// The table as it is, standing where it should.
    async fn look(&self) -> Result<Base<TableState>, CommitError> {
        let looked = commit::<TableState>(self.lake, self.table, &mut Look, &LogWaiting).await?;
        Ok(looked.base)
    }

    async fn take(&mut self, portion: Portion) -> Result<(), DeadLettersError> {
        let letters = &portion.letters;
        self.done.selected += count(&letters.offsets);
        let Some(job) = self.jobs.iter().find(|job| job.id == letters.job).cloned() else {
            let why = format!(
                "no topic of the configuration feeds the table as job {}",
                letters.job
            );
            self.done.stays("not_configured", &portion, &letters.offsets, why);
            return Ok(());
        };
        let mut lookup = Lookup::new(letters.identity.topic.clone(), letters.offsets.clone());
        let mut refused = withheld(&portion);
        loop {
            let base = self.look().await?;
            let open = open_letters(self.lake, &base, letters, &mut lookup).await?;
            let tried = without(&open, &refused);
            let rest = portion.only(&tried)?;
            let target = match &self.target {
                Some(target) => target.clone(),
                None => Target::of(&base),
            };
            let records = rest.records();
            let decoded = decode(&job, &target, &records.as_records(), self.lake.entropy.as_ref());
            let (files, bad) = match decoded.map_err(|source| DeadLettersError::Write {
                job: job.id.clone(),
                source,
            })? {
                Decoded::Awaits(id) => {
                    self.ask(&job, id).await?;
                    continue;
                }
                Decoded::Grows(growth) => {
                    let at = rest.place(growth.caused_by);
                    let cause = RecordAt {
                        job: job.id.clone(),
                        topic: job.topic.clone(),
                        topic_id: letters.identity.topic_id.clone(),
                        partition: at.0,
                        offset: at.1,
                    };
                    if let Some(why) = self.grow(target, growth, cause).await? {
                        refused.insert(at, ("schema_refused", why));
                    }
                    continue;
                }
                Decoded::Files { files, bad } => (files, bad),
            };
            let bad_places = bad.iter().filter(|bad| !bad.nulled);
            let bad_places: Vec<_> = bad_places.map(|bad| rest.place(bad.index)).collect();
            let good = without_places(&tried, bad_places.iter());
            if !good.is_empty()
                && !self.only_look
                && !self.commit(&rest, &target, good.clone(), files, &lookup).await?
            {
                // Somebody was faster with one of them, or has changed the table.
                continue;
            }
            self.done.rows += count(&good);
            self.done.bad(&rest, &bad);
            for (place, (reason, why)) in &refused {
                let one = Offsets::from([(place.0, one(place.1))]);
                self.done
                    .stays(reason, &portion, &intersection(&one, &open), why.clone());
            }
            self.done.closed(&portion, &base, &open);
            return Ok(());
        }
    }

    /// Asks the registry for a schema that records were written with.
    async fn ask(&self, job: &Job, id: SchemaId) -> Result<(), DeadLettersError> {
        let (Some(registry), Some(registered)) = (self.registry, job.decode.registered()) else {
            let job = job.id.clone();
            return Err(DeadLettersError::NoRegistry { job, id });
        };
        let learned = learn(registry, registered, id).await;
        learned.map_err(|source| DeadLettersError::Registry { id, source })
    }

    /// Gives the table a column that the letter at `cause` needs. Answers why not, where that is refused.
    async fn grow(
        &mut self,
        target: Target,
        growth: Growth,
        cause: RecordAt,
    ) -> Result<Option<String>, DeadLettersError> {
        let changes = [growth.change];
        let told = cause.to_string();
        if self.only_look {
            return match evolve(&target.schema, target.last_column_id, &changes) {
                Err(error) => Ok(Some(error.to_string())),
                Ok((schema, last_column_id)) => {
                    self.done.schema_changes.push(told);
                    self.target = Some(target.grown(schema, last_column_id));
                    Ok(None)
                }
            };
        }
        let mut plan = ChangeSchema {
            lake: self.lake,
            made_for: target.schema.schema_id(),
            changes: &changes,
            cause,
        };
        match commit(self.lake, self.table, &mut plan, &LogWaiting).await {
            Err(CommitError::Halt(Halt::Schema { detail, .. })) => Ok(Some(detail)),
            Err(error) => Err(error.into()),
            Ok(committed) => {
                if let Some(snapshot) = committed.snapshot {
                    self.done.schema_changes.push(told);
                    self.done.snapshots.push(snapshot.snapshot_id());
                }
                Ok(None)
            }
        }
    }

    /// Stores the rows of letters and commits them. `false`: one of these letters may not become a row any more.
    async fn commit(
        &mut self,
        portion: &Portion,
        target: &Target,
        good: Offsets,
        files: Vec<EncodedFile>,
        lookup: &Lookup,
    ) -> Result<bool, DeadLettersError> {
        let created = self.lake.clock.now();
        let mut data_files = Vec::new();
        for file in files {
            file.store(&self.lake.file_io).await.map_err(CommitError::from)?;
            data_files.push(file.data_file);
        }
        let rows = Unit {
            created,
            schema: target.schema.clone(),
            spec_id: target.spec.spec_id(),
            files: data_files,
            dead_letters: None,
            ranges: Vec::new(),
        };
        let reason = portion.reasons(&good);
        let letters = LettersOf {
            offsets: good,
            ..portion.letters.clone()
        };
        let mut plan = Redrive {
            lake: self.lake,
            letters: &letters,
            rows: &rows,
            lookup: lookup.clone(),
            followers: &self.followers,
            reason: format!("dead letters became rows: {reason}"),
        };
        let committed = commit(self.lake, self.table, &mut plan, &LogWaiting).await?;
        let Some(snapshot) = committed.snapshot else {
            return Ok(false);
        };
        self.done.snapshots.push(snapshot.snapshot_id());
        let due = committed
            .base
            .state()
            .is_some_and(|state| state.outbox.is_drain_due());
        if due {
            self.drain(&committed.base).await;
        }
        Ok(true)
    }

    /// Brings the followers up to date. What they do not take now, the service hands over later.
    async fn drain(&mut self, base: &Base<TableState>) {
        for follower in [Follower::DeadLetters, Follower::Ledger] {
            match drain(self.lake, base, follower, &LogWaiting).await {
                Ok(position) => {
                    self.followers.retain(|(known, _)| *known != follower);
                    self.followers
                        .extend(position.map(|position| (follower, position)));
                }
                Err(error) => {
                    tracing::warn!(table = %self.table, %follower, "not drained, left to `run`: {error}")
                }
            }
        }
    }
}

/// Letters whose records were withheld from them.
fn withheld(portion: &Portion) -> Refused {
    let records = portion.records();
    let records = records.as_records();
    let withheld = records.iter().filter(|record| is_withheld(record));
    let why = "the job keeps columns out of its table, so the letter does not hold the record. While the topic has it, \
               another process can read it into another table";
    withheld
        .map(|record| {
            (
                (record.partition, record.offset),
                (Reason::Withheld.as_str(), why.to_owned()),
            )
        })
        .collect()
}

fn one(offset: Offset) -> RangeSet {
    [OffsetRange::new(offset, offset + 1)].into_iter().collect()
}

fn count(offsets: &Offsets) -> u64 {
    offsets.values().map(RangeSet::len_offsets).sum()
}

fn without(offsets: &Offsets, refused: &Refused) -> Offsets {
    without_places(offsets, refused.keys())
}

fn without_places<'a>(offsets: &Offsets, places: impl Iterator<Item = &'a (i32, Offset)>) -> Offsets {
    let mut left = offsets.clone();
    for (partition, offset) in places {
        if let Some(of) = left.get_mut(partition) {
            of.remove(OffsetRange::new(*offset, *offset + 1));
        }
    }
    left.retain(|_, offsets| !offsets.is_empty());
    left
}

fn intersection(left: &Offsets, right: &Offsets) -> Offsets {
    let both = left.iter().filter_map(|(partition, offsets)| {
        let both = offsets.intersection(right.get(partition)?);
        (!both.is_empty()).then_some((*partition, both))
    });
    both.collect()
}
