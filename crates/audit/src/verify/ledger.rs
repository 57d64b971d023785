//! The ledger against the state: every offset up to the progress is in one range, and the counts add up. What a rewind or
//! a declare-lost abandoned, and what a replace took back, is left out, as in `sql/audit_gaps.sql` and
//! `sql/audit_counts.sql`.

use std::collections::{BTreeMap, BTreeSet};

use tabletopic_offsets::{
    Answers, Counts, JobId, Kind, LedgerRange, Offset, OffsetRange, RangeSet, Recorded, TableState,
    TopicPartition,
};
use tabletopic_table::commit::CommitError;
use tabletopic_table::follower::ledger::Ledger;

use super::retired::Retired;
use super::verdict::{Finding, Findings};

/// Sequence numbers that are read at once. Each has at most a row for each topic partition.
const WINDOW: i64 = 10_000;

/// One log: offsets of a topic that was created again begin anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Log {
    job: JobId,
    topic: std::sync::Arc<str>,
    topic_id: Option<String>,
    partition: i32,
}

/// The ranges of one log.
#[derive(Debug, Default)]
struct Line {
    anchors: BTreeSet<Offset>,
    appended: RangeSet,
    claimed: RangeSet,
}

/// Reads the ledger, oldest entries first.
#[derive(Debug)]
pub struct Walk<'a> {
    answers: &'a Answers,
    lines: BTreeMap<Log, Line>,
    sums: BTreeMap<(JobId, i32), Sum>,
    /// The kind of the first entry, and whether it has ranges.
    first: Option<(Kind, bool)>,
    /// Offsets that were redriven, by topic partition, but for what was taken back or read again since.
    pub redriven: BTreeMap<TopicPartition, RangeSet>,
    /// What retention removed, but for what was taken back.
    pub retired: Retired,
    pub findings: Findings,
    ranges: u64,
}

/// Signed: what was taken back is subtracted, whatever it was counted in.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    rows: i128,
    dead_letters: i128,
    filtered: i128,
    lost: i128,
}

impl<'a> Walk<'a> {
    pub fn new(answers: &'a Answers) -> Self {
        Self {
            answers,
            lines: BTreeMap::new(),
            sums: BTreeMap::new(),
            first: None,
            redriven: BTreeMap::new(),
            retired: Retired::default(),
            findings: Findings::default(),
            ranges: 0,
        }
    }

    pub fn add(&mut self, entry: &Recorded) {
        self.first.get_or_insert((entry.kind, !entry.ranges.is_empty()));
        for range in &entry.ranges {
            self.ranges += 1;
            self.add_range(entry.kind, entry.snapshot.sequence_number, range);
        }
    }

    fn add_range(&mut self, kind: Kind, number: i64, range: &LedgerRange) {
        self.count(kind, number, range);
        let of_records = matches!(kind, Kind::Append | Kind::DeclareLost | Kind::Repair);
        if of_records && range.counts.offsets() > range.range.len() {
            let says = format!(
                "the ledger's range {} of {}/{} counts {} records, more than it has offsets (sequence number {number})",
                range.range,
                range.topic,
                range.partition,
                range.counts.offsets()
            );
            self.findings.add(finding("range", says, range, range.range));
        }
        if kind == Kind::Retention && !self.answers.is_abandoned(number) {
            self.retired.add(range);
        }
        if kind == Kind::Redrive {
            let tp = TopicPartition::new(range.topic.clone(), range.partition);
            let redriven = self.redriven.entry(tp).or_default();
            *redriven = std::mem::take(redriven).union(&self.answers.still_redriven(number, range));
        }
        let Some(claim) = self.answers.claim(kind, number, range) else {
            return;
        };
        let log = Log {
            job: range.job.clone(),
            topic: range.topic.clone(),
            topic_id: range.topic_id.clone(),
            partition: range.partition,
        };
        let line = self.lines.entry(log).or_default();
        match kind {
            Kind::Anchor => {
                line.anchors.insert(claim.start);
            }
            Kind::Append => {
                let twice = line.appended.intersection(&[claim].into_iter().collect());
                for both in twice.ranges() {
                    let says = format!(
                        "two ranges of the ledger have {both} of {}/{} (the later with sequence number {number}), so \
                         that its records may be there twice",
                        range.topic, range.partition
                    );
                    self.findings.add(finding("overlap", says, range, *both));
                }
                line.appended.insert(claim);
            }
            _ => {}
        }
        line.claimed.insert(claim);
    }

    fn count(&mut self, kind: Kind, number: i64, range: &LedgerRange) {
        let Counts {
            rows,
            dead_letters,
            filtered,
            lost,
            ..
        } = range.counts;
        let (abandoned, rewound) = (self.answers.is_abandoned(number), self.answers.is_rewound(number));
        let sign = match kind {
            Kind::Replace | Kind::Withdraw => -1,
            // What retention removed stays counted.
            Kind::Retention => 0,
            _ => 1,
        };
        let kept = |count: u64, gone: bool| if gone { 0 } else { sign * i128::from(count) };
        let sum = self.sums.entry((range.job.clone(), range.partition)).or_default();
        sum.rows += kept(rows, abandoned);
        sum.dead_letters += kept(dead_letters, rewound);
        sum.filtered += kept(filtered, abandoned);
        sum.lost += kept(lost, abandoned);
    }

    /// Whether somebody has dropped the ledger, as it says itself with its first entry: a bare `maintenance`
    /// (`tabletopic_table::follower`). Any other beginning that is no anchor is one whose first rows are gone.
    pub fn is_begun_anew(&self) -> bool {
        self.first == Some((Kind::Maintenance, false))
    }

    /// Whether it does not begin where the table does: what is left of a ledger that was dropped.
    pub fn is_partial(&self) -> bool {
        self.first.is_none_or(|(kind, _)| kind != Kind::Anchor)
    }

    /// Begins with what the state of an older snapshot has as done.
    pub fn go_on_from(&mut self, state: &TableState) {
        for (id, job) in &state.jobs {
            for (partition, state) in &job.partitions {
                let log = Log {
                    job: id.clone(),
                    topic: job.identity.topic.clone(),
                    topic_id: job.identity.topic_id.clone(),
                    partition: *partition,
                };
                let done = state.progress.offsets();
                let line = Line {
                    anchors: state.progress.ranges().iter().map(|range| range.start).collect(),
                    appended: done.clone(),
                    claimed: done,
                };
                self.lines.insert(log, line);
                let Counts {
                    rows,
                    dead_letters,
                    filtered,
                    lost,
                    ..
                } = state.counts;
                let sum = Sum {
                    rows: rows.into(),
                    dead_letters: dead_letters.into(),
                    filtered: filtered.into(),
                    lost: lost.into(),
                };
                self.sums.insert((id.clone(), *partition), sum);
            }
        }
    }

    pub fn ranges(&self) -> u64 {
        self.ranges
    }

    /// Compares all that was added with the state.
    pub fn compare(&mut self, state: &TableState) {
        let lines = std::mem::take(&mut self.lines);
        for (log, line) in &lines {
            self.contiguous(log, line);
        }
        for (id, job) in &state.jobs {
            for (partition, of_partition) in &job.partitions {
                let log = Log {
                    job: id.clone(),
                    topic: job.identity.topic.clone(),
                    topic_id: job.identity.topic_id.clone(),
                    partition: *partition,
                };
                let none = Line::default();
                let line = lines.get(&log).unwrap_or(&none);
                let progress = of_partition.progress.offsets();
                let tp = job.topic_partition(*partition);
                for missing in progress.clone().difference(&line.claimed).ranges() {
                    let says =
                        format!("{tp}: the state has {missing} as done, and no range of the ledger has it");
                    self.findings
                        .add(finding_at("not-in-ledger", says, &tp, *missing));
                }
                for beyond in line.claimed.clone().difference(&progress).ranges() {
                    let says =
                        format!("{tp}: the ledger has {beyond}, which the state does not have as done");
                    self.findings
                        .add(finding_at("beyond-progress", says, &tp, *beyond));
                }
                if let Some(left) = of_partition.progress.backfill() {
                    let says = format!(
                        "{tp}: {left} is history that is still to be filled: nothing is claimed of it"
                    );
                    let note = Finding::note("to-fill", says);
                    self.findings.add(note.of(Some(&tp.topic), tp.partition).at(left));
                }
                let sum = self
                    .sums
                    .get(&(id.clone(), *partition))
                    .copied()
                    .unwrap_or_default();
                self.counts(&tp, sum, of_partition.counts);
            }
        }
    }

    fn contiguous(&mut self, log: &Log, line: &Line) {
        let tp = TopicPartition::new(log.topic.clone(), log.partition);
        let mut reached: Option<Offset> = None;
        for range in line.claimed.ranges() {
            // Ranges that meet are one, so that each of these begins at an anchor or behind a gap.
            if !line.anchors.contains(&range.start) {
                let anchored = line.anchors.range(..range.start).next_back().copied();
                let finding = match reached.max(anchored) {
                    Some(end) => {
                        let gap = OffsetRange::new(end, range.start);
                        let says = format!("{tp}: no range of the ledger has {gap}");
                        finding_at("gap", says, &tp, gap)
                    }
                    None => {
                        let says = format!(
                            "{tp}: the ledger does not say that reading began at {}",
                            range.start
                        );
                        finding_at("no-anchor", says, &tp, *range)
                    }
                };
                self.findings.add(finding);
            }
            reached = Some(range.end);
        }
    }

    fn counts(&mut self, tp: &TopicPartition, sum: Sum, counts: Counts) {
        let mut compare = |what: &str, ledger: i128, state: u64| {
            if ledger != i128::from(state) {
                let says = format!("{tp}: the ledger counts {ledger} {what}, and the state {state}");
                let finding = Finding::failed("counts", says).of(Some(&tp.topic), tp.partition);
                self.findings.add(finding);
            }
        };
        // An answer that declares missing rows lost counts those that are there, whoever removed the others.
        if self.answers.counted_anew == 0 {
            compare("rows", sum.rows, counts.rows);
        }
        compare("dead letters", sum.dead_letters, counts.dead_letters);
        if !self.answers.recounted {
            compare("filtered records", sum.filtered, counts.filtered);
            if !self.answers.redriven {
                compare("lost offsets", sum.lost, counts.lost);
            }
        }
    }
}

fn finding(kind: &'static str, says: String, of: &LedgerRange, at: OffsetRange) -> Finding {
    Finding::failed(kind, says)
        .of(Some(&of.topic), of.partition)
        .at(at)
}

fn finding_at(kind: &'static str, says: String, tp: &TopicPartition, at: OffsetRange) -> Finding {
    Finding::failed(kind, says)
        .of(Some(&tp.topic), tp.partition)
        .at(at)
}

/// Hands all entries from above one sequence number up to another to `each`, oldest first.
///
/// # Errors
/// Those of reading the ledger.
pub async fn each(
    ledger: &Ledger<'_>,
    above: i64,
    up_to: i64,
    mut each: impl FnMut(&Recorded),
) -> Result<(), CommitError> {
    let mut from = above;
    while from < up_to {
        let to = up_to.min(from.saturating_add(WINDOW));
        ledger.between(from, to).await?.iter().for_each(&mut each);
        from = to;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tabletopic_offsets::SnapshotRef;

    use super::*;

    fn range(start: Offset, end: Offset, counts: Counts) -> LedgerRange {
        LedgerRange {
            job: JobId::new("orders"),
            topic: "orders".into(),
            topic_id: Some("t".to_owned()),
            partition: 0,
            range: OffsetRange::new(start, end),
            counts,
        }
    }

    fn entry(number: i64, kind: Kind, abandons_since: Option<i64>, ranges: Vec<LedgerRange>) -> Recorded {
        Recorded {
            snapshot: SnapshotRef {
                sequence_number: number,
                snapshot_id: number,
            },
            kind,
            abandons_since,
            ranges,
        }
    }

    fn rows(start: Offset, end: Offset) -> LedgerRange {
        range(start, end, Counts::of_rows((end - start) as u64, 0))
    }

    fn anchor() -> Recorded {
        entry(1, Kind::Anchor, None, vec![range(0, 0, Counts::default())])
    }

    fn state(end: Offset, rows: u64) -> TableState {
        let mut state = TableState::empty();
        let identity = tabletopic_offsets::TopicIdentity {
            cluster_id: None,
            topic: "orders".into(),
            topic_id: Some("t".to_owned()),
        };
        state
            .anchor(&JobId::new("orders"), &identity, &BTreeMap::from([(0, 0)]))
            .unwrap();
        let partition = state
            .jobs
            .get_mut(&JobId::new("orders"))
            .unwrap()
            .partitions
            .get_mut(&0)
            .unwrap();
        if end > 0 {
            partition.progress.grow(OffsetRange::new(0, end)).unwrap();
        }
        partition.counts = Counts::of_rows(rows, 0);
        state
    }

    fn found(entries: &[Recorded], state: &TableState) -> String {
        let answers = Answers::of(entries, i64::MAX);
        let mut walk = Walk::new(&answers);
        entries.iter().for_each(|entry| walk.add(entry));
        walk.compare(state);
        crate::verify::verdict::Check::of(crate::verify::verdict::Name::Ledger, "", walk.findings).says
    }

    #[test]
    fn ranges_that_meet_up_to_the_progress_are_sound() {
        let entries = [
            anchor(),
            entry(2, Kind::Append, None, vec![rows(0, 10)]),
            entry(3, Kind::Append, None, vec![rows(10, 25)]),
        ];
        assert_eq!(found(&entries, &state(25, 25)), "");
    }

    #[test]
    fn what_is_missing_shortened_or_there_twice_is_told() {
        let first = || entry(2, Kind::Append, None, vec![rows(0, 10)]);
        let removed = [anchor(), entry(3, Kind::Append, None, vec![rows(10, 25)])];
        assert_eq!(
            found(&removed, &state(25, 25)),
            "counts: 1, gap: 1, not-in-ledger: 1"
        );
        let unanchored = [first()];
        assert_eq!(found(&unanchored, &state(10, 10)), "no-anchor: 1");
        let shortened = [
            anchor(),
            entry(2, Kind::Append, None, vec![range(0, 9, Counts::of_rows(10, 0))]),
            entry(3, Kind::Append, None, vec![rows(10, 25)]),
        ];
        assert_eq!(
            found(&shortened, &state(25, 25)),
            "gap: 1, not-in-ledger: 1, range: 1"
        );
        let overlap = [anchor(), first(), entry(3, Kind::Append, None, vec![rows(9, 25)])];
        assert_eq!(found(&overlap, &state(25, 25)), "counts: 1, overlap: 1");
        let ahead = [
            anchor(),
            first(),
            entry(3, Kind::Append, None, vec![rows(10, 30)]),
        ];
        assert_eq!(found(&ahead, &state(25, 30)), "beyond-progress: 1");
    }

    #[test]
    fn what_a_rewind_abandoned_and_a_replace_took_back_does_not_count() {
        let rewound = [
            anchor(),
            entry(2, Kind::Append, None, vec![rows(0, 10)]),
            entry(3, Kind::Append, None, vec![rows(10, 25)]),
            entry(4, Kind::Rewind, Some(2), Vec::new()),
            entry(5, Kind::Append, None, vec![rows(10, 20)]),
        ];
        assert_eq!(found(&rewound, &state(20, 20)), "");
        let cut = [
            anchor(),
            entry(2, Kind::Append, None, vec![rows(0, 10)]),
            entry(3, Kind::Replace, None, vec![range(6, 10, Counts::of_rows(4, 0))]),
            entry(4, Kind::Append, None, vec![rows(6, 8)]),
        ];
        assert_eq!(found(&cut, &state(8, 8)), "");
    }

    #[test]
    fn a_ledger_that_says_so_was_begun_anew_and_no_other() {
        let begun_anew = |first: &Recorded| {
            let answers = Answers::default();
            let mut walk = Walk::new(&answers);
            walk.add(first);
            walk.is_begun_anew()
        };
        assert!(begun_anew(&entry(7, Kind::Maintenance, None, Vec::new())));
        assert!(!begun_anew(&anchor()));
        assert!(!begun_anew(&entry(7, Kind::Append, None, vec![rows(0, 10)])));
        assert!(!begun_anew(&entry(7, Kind::Schema, None, Vec::new())));
    }

    #[test]
    fn what_an_adoption_gave_up_of_the_topic_before_claims_nothing() {
        let given_up = range(40, 60, Counts::of_lost(20));
        let mut state = state(25, 25);
        let job = state.jobs.get_mut(&JobId::new("orders")).unwrap();
        job.partitions.get_mut(&0).unwrap().counts.lost = 20;
        let mut adopted = anchor();
        adopted.ranges.push(given_up);
        let entries = [adopted, entry(2, Kind::Append, None, vec![rows(0, 25)])];
        assert_eq!(found(&entries, &state), "");
    }

    #[test]
    fn the_newest_answer_that_took_rows_back_is_known() {
        let entries = [
            entry(3, Kind::Replace, None, vec![rows(6, 10)]),
            entry(5, Kind::DeclareLost, Some(2), Vec::new()),
            entry(7, Kind::DeclareLost, None, vec![rows(20, 30)]),
            entry(8, Kind::Redrive, None, vec![rows(3, 4)]),
            entry(9, Kind::Rewind, Some(2), Vec::new()),
        ];
        let taken_back = |up_to| Answers::of(&entries, up_to).taken_back;
        assert_eq!(taken_back(2), None);
        assert_eq!(taken_back(8), Some((5, Kind::DeclareLost)));
        assert_eq!(taken_back(9), Some((9, Kind::Rewind)));
    }

    #[test]
    fn a_redrive_is_no_excuse_for_what_was_taken_back_or_read_again_since() {
        let redriven = |entries: &[Recorded]| {
            let answers = Answers::of(entries, i64::MAX);
            let mut walk = Walk::new(&answers);
            entries.iter().for_each(|entry| walk.add(entry));
            let all = walk.redriven.into_values().flat_map(|set| set.ranges().to_vec());
            all.map(|range| (range.start, range.end)).collect::<Vec<_>>()
        };
        let redrive = |number| entry(number, Kind::Redrive, None, vec![rows(3, 6)]);
        let repaired = |number| entry(number, Kind::Repair, None, vec![rows(4, 9)]);
        assert_eq!(redriven(&[redrive(3)]), [(3, 6)]);
        assert_eq!(redriven(&[redrive(3), repaired(4)]), [(3, 4)]);
        assert_eq!(
            redriven(&[redrive(3), repaired(4), redrive(5)]),
            [(3, 6)],
            "once more"
        );
        let rewind = entry(5, Kind::Rewind, Some(2), Vec::new());
        assert_eq!(redriven(&[redrive(3), rewind]), []);
        let rewind = entry(5, Kind::Rewind, Some(3), Vec::new());
        assert_eq!(
            redriven(&[redrive(3), repaired(4), rewind]),
            [(3, 6)],
            "the repair was taken back"
        );
        let promoted = entry(4, Kind::Replace, None, vec![rows(0, 10)]);
        assert_eq!(redriven(&[redrive(3), promoted]), []);
    }

    #[test]
    fn a_replace_that_was_abandoned_cuts_nothing() {
        let entries = [
            anchor(),
            entry(2, Kind::Append, None, vec![rows(0, 10)]),
            entry(3, Kind::Replace, None, vec![range(6, 10, Counts::of_rows(4, 0))]),
            entry(4, Kind::Rewind, Some(2), Vec::new()),
            entry(5, Kind::Append, None, vec![rows(10, 20)]),
        ];
        assert_eq!(found(&entries, &state(20, 20)), "");
    }
}
