//! What only the broker can tell: that an offset without a row was a control record, an aborted or a compacted one. It is
//! asked for what it still has there, and answers with records that are in no row.

mod gaps;
mod question;
mod read_back;

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringTreemap;
use tabletopic_offsets::{Kind, Offset, OffsetRange, RangeSet, TableState, TopicPartition};
use tabletopic_source::{Broker, LogOffsets, Source, SourceError};
use tabletopic_table::commit::CommitError;
use tabletopic_table::follower::ledger::Ledger;

use super::ledger::{Answers, each};
use super::letters::Addressed;
use super::offsets::{Line, Lines, cardinality};
use super::rows::Missing;
use super::verdict::{Check, Finding, Findings, Name, TOLD};
use super::{Since, error::VerifyError};
use gaps::{empty, open};
use question::question;

/// Runs of offsets that one finding names.
const NAMED: usize = 5;

/// Makes a client that reads; it lives on the thread that makes it.
pub type MakeSource = Arc<dyn Fn() -> Result<Box<dyn Source>, SourceError> + Send + Sync>;

/// Whom to ask.
#[derive(Clone)]
pub struct Brokers {
    pub broker: Arc<dyn Broker>,
    pub source: MakeSource,
}

/// What the broker still has of the topic partitions, and what was found there.
pub struct Asked {
    brokers: Brokers,
    logs: BTreeMap<TopicPartition, LogOffsets>,
    findings: Findings,
    /// Offsets without a row that the broker does not have any more.
    expired: u64,
    /// Records that are in no row and no letter, and were not left out.
    excess: u64,
    /// The first of them.
    suspects: Vec<Suspect>,
    /// Topic partitions whose rows can't be told from those of others.
    mixed: usize,
    /// Offsets that were read back.
    read: u64,
    /// Where there is no ledger: records that may yet have been left out.
    filtered: BTreeMap<TopicPartition, u64>,
}

/// Records of which some are lost.
struct Suspect {
    tp: TopicPartition,
    /// The first of them.
    offsets: RangeSet,
    records: u64,
    lost: u64,
}

impl Suspect {
    fn of(tp: &TopicPartition, offsets: &RoaringTreemap, lost: u64) -> Self {
        let mut named = RangeSet::new();
        for offset in offsets.iter().map(|offset| offset as Offset) {
            if named.ranges().len() > NAMED {
                break;
            }
            named.insert(OffsetRange::new(offset, offset + 1));
        }
        Self {
            tp: tp.clone(),
            offsets: named,
            records: offsets.len(),
            lost,
        }
    }

    fn finding(&self) -> Finding {
        let Self {
            tp,
            offsets,
            records,
            lost,
        } = self;
        let more = if offsets.len_offsets() < *records {
            " and others"
        } else {
            ""
        };
        let says = match records == lost {
            true => format!(
                "{tp}: the broker has {records} records at {offsets}{more} that are in no row and no dead letter, and were \
                 not left out"
            ),
            false => format!(
                "{tp}: the broker has {records} records at {offsets}{more} that are in no row and no dead letter, and only \
                 {} were left out: {lost} of them are lost",
                records - lost
            ),
        };
        let finding = Finding::failed("lost", says).of(Some(&tp.topic), tp.partition);
        match (offsets.ranges().first(), offsets.ranges().last()) {
            (Some(first), Some(last)) => finding.at(OffsetRange::new(first.start, last.end)),
            _ => finding,
        }
    }
}

/// Asks for the topics and their ends. `Err`: why there is nothing to rest on.
pub async fn ask(brokers: Brokers, state: &TableState, since: Option<&Since>) -> Result<Asked, String> {
    let (broker, of_state) = (brokers.broker.clone(), state.clone());
    let asked = tokio::task::spawn_blocking(move || question(broker.as_ref(), &of_state)).await;
    let asked = asked.map_err(|error| error.to_string())?;
    let (logs, findings) = asked.map_err(|error| format!("the brokers could not be asked: {error}"))?;
    let mut filtered = BTreeMap::new();
    for (id, job) in &state.jobs {
        for (partition, state) in &job.partitions {
            let before = state.inherited.filtered + since.map_or(0, |since| since.filtered(id, *partition));
            let counted = state.counts.filtered.saturating_sub(before);
            filtered.insert(job.topic_partition(*partition), counted);
        }
    }
    Ok(Asked {
        brokers,
        logs,
        findings,
        expired: 0,
        excess: 0,
        suspects: Vec::new(),
        mixed: 0,
        read: 0,
        filtered,
    })
}

/// The ledger with what counts of it, up to a sequence number; and above which one.
pub type Recorded<'a> = Option<(&'a Ledger<'a>, &'a Answers, i64, i64)>;

impl Asked {
    /// Reads back what has no row in a window. `Err`: why not.
    ///
    /// # Errors
    /// Those of reading the ledger.
    pub async fn look(
        &mut self,
        lines: &Lines,
        letters: &Addressed,
        rows_tell_topics: bool,
        ledger: Recorded<'_>,
    ) -> Result<Result<(), String>, VerifyError> {
        let mut wanted = BTreeMap::new();
        for line in lines.told_apart(rows_tell_topics) {
            let Some(log) = self.logs.get(&line.tp) else {
                continue;
            };
            let gone = OffsetRange::new(i64::MIN, log.start);
            self.expired += open(line, lines.window, gone)
                .ranges()
                .iter()
                .map(|range| {
                    let lettered = letters.of(line).map_or(0, |letters| cardinality(letters, *range));
                    range
                        .len()
                        .saturating_sub(cardinality(line.seen(), *range) + lettered)
                })
                .sum::<u64>();
            let there = OffsetRange::new(log.start, log.end);
            let empty = empty(line, &open(line, lines.window, there));
            if !empty.is_empty() {
                self.read += empty.iter().map(OffsetRange::len).sum::<u64>();
                wanted.insert(line.tp.clone(), empty);
            }
        }
        if wanted.is_empty() {
            return Ok(Ok(()));
        }
        let make = self.brokers.source.clone();
        let read = tokio::task::spawn_blocking(move || read_back::read_back(make.as_ref(), wanted)).await;
        let found = match read {
            Ok(Ok(found)) => found,
            Ok(Err(why)) => return Ok(Err(why)),
            Err(error) => return Ok(Err(error.to_string())),
        };
        for line in lines.told_apart(rows_tell_topics) {
            let Some(mut found) = found.get(&line.tp).cloned() else {
                continue;
            };
            found -= line.seen();
            if let Some(letters) = letters.of(line) {
                found -= letters;
            }
            for lost in line.lost.ranges() {
                found.remove_range(lost.start as u64..lost.end as u64);
            }
            self.judge(line, found, ledger).await?;
        }
        Ok(Ok(()))
    }

    /// Topic partitions that can't be read back, the same in each window.
    pub fn pass_over(&mut self, mixed: usize) {
        self.mixed = mixed;
    }

    /// Takes records of one topic partition that are in no row and no letter.
    async fn judge(
        &mut self,
        line: &Line,
        found: RoaringTreemap,
        ledger: Recorded<'_>,
    ) -> Result<(), CommitError> {
        if found.is_empty() {
            return Ok(());
        }
        let Some((ledger, answers, above, up_to)) = ledger else {
            let may = self.filtered.entry(line.tp.clone()).or_default();
            let left_out = found.len().min(*may);
            *may -= left_out;
            self.suspect(line, &found, found.len() - left_out);
            return Ok(());
        };
        let mut rest = found.clone();
        let mut suspects: Vec<(RoaringTreemap, u64)> = Vec::new();
        each(ledger, above, up_to, |entry| {
            let number = entry.snapshot.sequence_number;
            for range in entry.ranges.iter().filter(|_| entry.kind == Kind::Append) {
                let of_line = range.job == line.job
                    && range.partition == line.tp.partition
                    && range.topic_id == line.topic_id;
                let Some(claim) = answers.claim(entry.kind, number, range).filter(|_| of_line) else {
                    continue;
                };
                let mut here = RoaringTreemap::new();
                here.insert_range(claim.start as u64..claim.end as u64);
                here &= &rest;
                rest -= &here;
                if here.len() > range.counts.filtered {
                    let excess = here.len() - range.counts.filtered;
                    suspects.push((here, excess));
                }
            }
        })
        .await?;
        let unclaimed = rest.len();
        suspects.push((rest, unclaimed));
        for (offsets, excess) in suspects {
            self.suspect(line, &offsets, excess);
        }
        Ok(())
    }

    /// Of these records so many were not left out.
    fn suspect(&mut self, line: &Line, offsets: &RoaringTreemap, excess: u64) {
        if excess == 0 {
            return;
        }
        self.excess += excess;
        if (self.suspects.len() as u64) < TOLD {
            self.suspects.push(Suspect::of(&line.tp, offsets, excess));
        }
    }

    /// What came of it. `retired`: rows that retention has removed, whose records the broker may still have.
    pub fn check(mut self, missing: Missing, retired: u64) -> Check {
        let on_purpose = missing.deleted.saturating_add(retired);
        if self.excess > on_purpose {
            for suspect in &self.suspects {
                self.findings.add_many(suspect.finding(), suspect.lost);
            }
            let told: u64 = self.suspects.iter().map(|suspect| suspect.lost).sum();
            let rest = Finding::failed("lost", "there are more of them");
            self.findings.add_many(rest, self.excess - told);
            if on_purpose > 0 {
                let says = format!(
                    "{} records that the broker has are in no row, and at most {on_purpose} rows were removed on purpose",
                    self.excess
                );
                self.findings.add(Finding::failed("unexplained", says));
            }
        } else if self.excess > 0 {
            let says = format!(
                "the broker still has {} records whose rows were removed on purpose",
                self.excess
            );
            self.findings
                .add_many(Finding::note("removed-on-purpose", says), self.excess);
        }
        if self.mixed > 0 {
            let says = format!(
                "{} topic partitions were not read back: rows do not tell which of several logs they are from",
                self.mixed
            );
            self.findings.add(Finding::note("not-asked", says));
        }
        if self.expired > 0 {
            let says = format!(
                "{} offsets without a row are below the starts of the logs: the broker no longer has them, so that they \
                 rest on the table",
                self.expired
            );
            self.findings
                .add_many(Finding::note("expired", says), self.expired);
        }
        let says = match self.read {
            0 => "every offset that the broker still has is a row, or accounted for".to_owned(),
            read => format!("{read} offsets without a row were read back: no record that should be one"),
        };
        Check::of(Name::Broker, says, self.findings)
    }
}
