//! Which ranges of the ledger count: what answers to halts abandoned or took back is left out.

use crate::identity::differ;
use crate::{Kind, LedgerRange, Offset, OffsetRange, RangeSet, Recorded};

/// What is to be known before the ranges are read: which of them count.
#[derive(Debug, Default)]
pub struct Answers {
    /// From the snapshot that was gone on from, to the answer itself; and whether it was a rewind.
    abandoned: Vec<(i64, i64, bool)>,
    cuts: Vec<(i64, LedgerRange)>,
    /// What was read again, and since when.
    repaired: Vec<(i64, LedgerRange)>,
    /// Answers after which the ledger's counts need not be the state's any more.
    pub recounted: bool,
    pub redriven: bool,
    /// The newest answer that took rows back or wrote them off, which older verdicts do not know of: its sequence number.
    pub taken_back: Option<(i64, Kind)>,
    /// The newest answer that counted the rows anew.
    pub counted_anew: i64,
}

impl Answers {
    /// Of the entries that are answers, up to the sequence number that is judged.
    pub fn of(entries: &[Recorded], up_to: i64) -> Self {
        let mut answers = Self::default();
        for entry in entries {
            let number = entry.snapshot.sequence_number;
            if number > up_to {
                continue;
            }
            let takes_back = match entry.kind {
                Kind::Rewind | Kind::Replace | Kind::Repair => true,
                // Without it, offsets that nobody could read any more.
                Kind::DeclareLost => entry.abandons_since.is_some(),
                Kind::Anchor
                | Kind::Append
                | Kind::Redrive
                | Kind::Schema
                | Kind::Maintenance
                | Kind::Retention
                | Kind::Promote
                | Kind::Withdraw => false,
            };
            if takes_back && answers.taken_back.is_none_or(|(newest, _)| newest < number) {
                answers.taken_back = Some((number, entry.kind));
            }
            match entry.kind {
                Kind::Rewind | Kind::DeclareLost => {
                    answers.recounted = true;
                    if let Some(since) = entry.abandons_since {
                        answers
                            .abandoned
                            .push((since, number, entry.kind == Kind::Rewind));
                        if entry.kind == Kind::DeclareLost {
                            answers.counted_anew = answers.counted_anew.max(number);
                        }
                    }
                }
                Kind::Replace => {
                    answers.recounted = true;
                    answers
                        .cuts
                        .extend(entry.ranges.iter().map(|range| (number, range.clone())));
                }
                Kind::Redrive => answers.redriven = true,
                Kind::Repair => answers
                    .repaired
                    .extend(entry.ranges.iter().map(|range| (number, range.clone()))),
                Kind::Anchor
                | Kind::Append
                | Kind::Schema
                | Kind::Maintenance
                | Kind::Retention
                | Kind::Promote
                | Kind::Withdraw => {}
            }
        }
        let mut cuts = std::mem::take(&mut answers.cuts);
        cuts.retain(|(number, _)| !answers.is_abandoned(*number));
        answers.cuts = cuts;
        answers
    }

    /// The kinds that it is made of.
    pub const KINDS: [Kind; 5] = [
        Kind::Rewind,
        Kind::DeclareLost,
        Kind::Replace,
        Kind::Redrive,
        Kind::Repair,
    ];

    pub fn is_abandoned(&self, number: i64) -> bool {
        self.abandoned
            .iter()
            .any(|(since, at, _)| *since < number && number < *at)
    }

    pub fn is_rewound(&self, number: i64) -> bool {
        self.abandoned
            .iter()
            .any(|(since, at, rewind)| *rewind && *since < number && number < *at)
    }

    /// The lowest offset at which the log of a range was cut after it.
    fn cut(&self, number: i64, range: &LedgerRange) -> Option<Offset> {
        let later = self
            .cuts
            .iter()
            .filter(|(at, cut)| *at > number && same_log(cut, range));
        later.map(|(_, cut)| cut.range.start).min()
    }

    /// Whether some of a range has been read again since: what it counts is not what is there.
    pub fn is_repaired(&self, number: i64, range: &LedgerRange) -> bool {
        self.repaired_since(number, range)
            .any(|repaired| repaired.intersection(range.range).is_some())
    }

    /// What was read again of the log of a range, after it.
    fn repaired_since(&self, number: i64, range: &LedgerRange) -> impl Iterator<Item = OffsetRange> {
        let later = self.repaired.iter().filter(move |(at, repaired)| {
            *at > number && !self.is_abandoned(*at) && same_log(repaired, range)
        });
        later.map(|(_, repaired)| repaired.range)
    }

    /// The offsets of a range of a redrive whose rows are still those that it made of dead letters: what was abandoned, taken back
    /// or read again since is a row or a dead letter for other reasons.
    pub fn still_redriven(&self, number: i64, range: &LedgerRange) -> RangeSet {
        let left = self.left(Kind::Redrive, number, range);
        let mut left: RangeSet = left.into_iter().collect();
        for repaired in self.repaired_since(number, range) {
            left.remove(repaired);
        }
        left
    }

    /// What is left of the offsets of a range that counts something, of a snapshot of this kind; `None` if nothing is.
    pub fn left(&self, kind: Kind, number: i64, range: &LedgerRange) -> Option<OffsetRange> {
        let counts = match kind {
            Kind::Append | Kind::DeclareLost | Kind::Redrive | Kind::Withdraw | Kind::Repair => true,
            Kind::Anchor
            | Kind::Replace
            | Kind::Schema
            | Kind::Maintenance
            | Kind::Rewind
            | Kind::Retention
            | Kind::Promote => false,
        };
        if !counts || self.is_abandoned(number) {
            return None;
        }
        let cut = self.cut(number, range).unwrap_or(Offset::MAX);
        let left = OffsetRange::new(range.range.start, range.range.end.min(cut));
        (!left.is_empty()).then_some(left)
    }

    /// What a range of offsets claims that counts, of a snapshot of this kind; `None` if it claims nothing any more.
    pub fn claim(&self, kind: Kind, number: i64, range: &LedgerRange) -> Option<OffsetRange> {
        if !matches!(kind, Kind::Anchor | Kind::Append | Kind::DeclareLost) || self.is_abandoned(number) {
            return None;
        }
        let OffsetRange { start, end } = range.range;
        // An adoption notes there what it gave up of the topic before.
        if kind == Kind::Anchor && start < end {
            return None;
        }
        let cut = self.cut(number, range).unwrap_or(Offset::MAX);
        let start = if kind == Kind::Anchor {
            start.min(cut)
        } else {
            start
        };
        let claim = OffsetRange::new(start, end.min(cut));
        (claim.start < claim.end || (kind == Kind::Anchor && claim.start == claim.end)).then_some(claim)
    }
}

fn same_log(one: &LedgerRange, other: &LedgerRange) -> bool {
    one.job == other.job
        && one.topic == other.topic
        && !differ(&one.topic_id, &other.topic_id)
        && one.partition == other.partition
}
