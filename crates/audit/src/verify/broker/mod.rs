//! What only the broker can tell: that an offset without a row was a control record, an aborted or a compacted one. It is
//! asked for what it still has there, and answers with records that are in no row.

mod gaps;
mod question;
mod read_back;
mod suspect;

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringTreemap;
use tabletopic_offsets::{
    Answers, JobId, Kind, Offset, OffsetRange, Piece, RangeSet, Recorded as Told, TableState, TopicPartition,
};
use tabletopic_source::{Broker, LogOffsets, Source, SourceError};
use tabletopic_table::commit::CommitError;
use tabletopic_table::follower::ledger::Ledger;

use super::ledger::each;
use super::letters::Addressed;
use super::offsets::{Line, Lines, cardinality};
use super::retired::Retired;
use super::rows::Missing;
use super::verdict::{Check, Finding, Findings, Name, TOLD};
use super::{Since, error::VerifyError};
use gaps::{empty, open};
use question::question;
use read_back::{ReadBack, read_back};
use suspect::Suspect;

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
    /// Rows that retention removed, less those whose records were found.
    retired: Retired,
    /// Records of theirs that were found.
    of_retired: u64,
    /// What was granted as left out to ranges of the ledger that cross a window's border.
    left_out: BTreeMap<Recording, u64>,
    /// Whether reading back failed, so that nothing more is read.
    stopped: bool,
}

/// A range of the ledger: sequence number, job, partition, start.
type Recording = (i64, JobId, i32, Offset);

/// Asks for the topics and their ends. `Err`: why there is nothing to rest on.
pub async fn ask(
    brokers: Brokers,
    state: &TableState,
    since: Option<&Since>,
    retired: Retired,
) -> Result<Asked, String> {
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
        retired,
        of_retired: 0,
        left_out: BTreeMap::new(),
        stopped: false,
    })
}

/// The ledger with what counts of it, up to a sequence number; and above which one.
pub type Recorded<'a> = Option<(&'a Ledger<'a>, &'a Answers, i64, i64)>;

impl Asked {
    /// Reads back what has no row in a window. Where that fails a note says so, and nothing more is read.
    ///
    /// # Errors
    /// Those of reading the ledger.
    pub async fn look(
        &mut self,
        lines: &Lines,
        letters: &Addressed,
        rows_tell_topics: bool,
        ledger: Recorded<'_>,
    ) -> Result<(), VerifyError> {
        if self.stopped {
            return Ok(());
        }
        let mut wanted = BTreeMap::new();
        for line in lines.told_apart(rows_tell_topics) {
            let Some(log) = self.logs.get(&line.tp) else {
                continue;
            };
            let gone = OffsetRange::new(i64::MIN, log.start);
            self.expired += absent(line, letters, &open(line, lines.window, gone));
            let there = OffsetRange::new(log.start, log.end);
            let empty = empty(line, &open(line, lines.window, there));
            if !empty.is_empty() {
                wanted.insert(line.tp.clone(), empty);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let asked_for: u64 = wanted.values().flatten().map(OffsetRange::len).sum();
        let Brokers { broker, source } = self.brokers.clone();
        let read = move || read_back(source.as_ref(), &|tp| log_start(broker.as_ref(), tp), wanted);
        let read = tokio::task::spawn_blocking(read).await;
        let ReadBack { found, gone, unread } = match read.map_err(|error| error.to_string()) {
            Ok(Ok(read)) => read,
            Ok(Err(why)) | Err(why) => {
                self.stopped = true;
                let says = format!("{why}: what was not read rests on the table");
                self.findings.add(Finding::note("not-asked", says));
                return Ok(());
            }
        };
        self.read += asked_for;
        for (tp, (ranges, why)) in &unread {
            self.read -= ranges.len_offsets();
            let says = format!("{tp}: {ranges} was not read back, and rests on the table: {why}");
            self.findings
                .add(Finding::note("not-asked", says).of(Some(&tp.topic), tp.partition));
        }
        for (tp, gone) in &gone {
            self.read -= gone.len_offsets();
            if let (Some(log), Some(last)) = (self.logs.get_mut(tp), gone.ranges().last()) {
                log.start = log.start.max(last.end);
            }
        }
        for line in lines.told_apart(rows_tell_topics) {
            if let Some(gone) = gone.get(&line.tp) {
                let all = OffsetRange::new(i64::MIN, i64::MAX);
                let gone = open(line, lines.window, all).intersection(gone);
                self.expired += absent(line, letters, &gone);
            }
        }
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
            self.judge(line, found, ledger, lines.window).await?;
        }
        Ok(())
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
        window: OffsetRange,
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
        let granted = &mut self.left_out;
        // Where offsets were repaired, ranges overlap, and only together tell how many records were left out.
        let mut repaired = Vec::new();
        each(ledger, above, up_to, |entry| {
            let number = entry.snapshot.sequence_number;
            for range in &entry.ranges {
                if matches!(entry.kind, Kind::Withdraw | Kind::Repair) || answers.is_repaired(number, range) {
                    repaired.push(Told {
                        ranges: vec![range.clone()],
                        ..entry.clone()
                    });
                    continue;
                }
                if entry.kind != Kind::Append {
                    continue;
                }
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
                if here.is_empty() {
                    continue;
                }
                let crosses = claim.intersection(window) != Some(claim);
                let recording = || (number, range.job.clone(), range.partition, range.range.start);
                let before = crosses.then(|| granted.entry(recording()).or_default());
                let excess = here.len() - grant(range.counts.filtered, before, here.len());
                if excess > 0 {
                    suspects.push((here, excess));
                }
            }
        })
        .await?;
        for piece in Piece::of(&repaired, answers, (&line.job, line.tp.partition, &line.topic_id)) {
            let mut here = RoaringTreemap::new();
            here.insert_range(piece.range.start as u64..piece.range.end as u64);
            here &= &rest;
            rest -= &here;
            // Of a piece whose counts nobody knows any may have been left out.
            let filtered = piece.counts.map_or(u64::MAX, |counts| counts.filtered);
            let recording = (0, line.job.clone(), line.tp.partition, piece.range.start);
            let crosses = piece.range.intersection(window) != Some(piece.range);
            let before = crosses.then(|| granted.entry(recording).or_default());
            let excess = here.len() - grant(filtered, before, here.len());
            if excess > 0 {
                suspects.push((here, excess));
            }
        }
        let unclaimed = rest.len();
        suspects.push((rest, unclaimed));
        for (offsets, excess) in suspects {
            self.suspect(line, &offsets, excess);
        }
        Ok(())
    }

    /// Of these records so many were not left out.
    fn suspect(&mut self, line: &Line, offsets: &RoaringTreemap, excess: u64) {
        let retired = self.retired.take(&line.job, line.tp.partition, offsets, excess);
        self.of_retired += retired;
        let excess = excess - retired;
        if excess == 0 {
            return;
        }
        self.excess += excess;
        if (self.suspects.len() as u64) < TOLD {
            self.suspects.push(Suspect::of(&line.tp, offsets, excess));
        }
    }

    /// What came of it. The manifests do not tell which rows others deleted: any may be among these.
    pub fn check(mut self, missing: Missing) -> Check {
        let on_purpose = missing.deleted;
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
        if self.of_retired > 0 {
            let says = format!(
                "the broker still has {} records whose rows retention removed",
                self.of_retired
            );
            self.findings
                .add_many(Finding::note("removed-on-purpose", says), self.of_retired);
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
            _ if self.findings.has("not-asked") => {
                "no record was found that should be a row; what was not asked for rests on the table"
                    .to_owned()
            }
            0 => "every offset that the broker still has is a row, or accounted for".to_owned(),
            read => format!("{read} offsets without a row were read back: no record that should be one"),
        };
        Check::of(Name::Broker, says, self.findings)
    }
}

/// How many offsets of these ranges have neither row nor letter.
fn absent(line: &Line, letters: &Addressed, ranges: &RangeSet) -> u64 {
    let of = |range: &OffsetRange| {
        let lettered = letters.of(line).map_or(0, |letters| cardinality(letters, *range));
        range
            .len()
            .saturating_sub(cardinality(line.seen(), *range) + lettered)
    };
    ranges.ranges().iter().map(of).sum()
}

/// Where a log begins now.
fn log_start(broker: &dyn Broker, tp: &TopicPartition) -> Result<Offset, String> {
    let answers = broker.offsets(std::slice::from_ref(tp));
    match answers.map_err(|error| error.to_string())?.into_iter().next() {
        Some(Ok(log)) => Ok(log.start),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("the broker did not say where the log begins".to_owned()),
    }
}

/// How many of the records that were found in a range may have been left out; `before`: those of earlier windows.
fn grant(filtered: u64, before: Option<&mut u64>, found: u64) -> u64 {
    match before {
        None => found.min(filtered),
        Some(before) => {
            let granted = found.min(filtered.saturating_sub(*before));
            *before += granted;
            granted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_range_left_out_is_granted_once_in_all_windows() {
        assert_eq!(grant(5, None, 7), 5);
        let mut before = 0;
        assert_eq!(grant(5, Some(&mut before), 3), 3);
        assert_eq!(grant(5, Some(&mut before), 3), 2);
        assert_eq!(grant(5, Some(&mut before), 3), 0);
    }
}
