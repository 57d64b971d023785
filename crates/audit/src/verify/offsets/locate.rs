//! Where rows are missing: the ranges of the ledger that have fewer rows than it counts.

use roaring::RoaringTreemap;
use tabletopic_offsets::{Answers, Kind, OffsetRange, Piece, RangeSet, Recorded};
use tabletopic_table::commit::CommitError;
use tabletopic_table::follower::ledger::Ledger;

use super::lines::{Line, Lines};
use crate::verify::Since;
use crate::verify::ledger::each;
use crate::verify::letters::Addressed;
use crate::verify::verdict::{Finding, Findings};

/// Ranges without a row that one finding names.
const NAMED: usize = 5;

/// Compares each range of the ledger within a window with the rows that were seen in it.
///
/// # Errors
/// Those of reading the ledger.
pub async fn locate(
    ledger: &Ledger<'_>,
    answers: &Answers,
    lines: &Lines,
    letters: &Addressed,
    rows_tell_topics: bool,
    (since, up_to): (Option<&Since>, i64),
) -> Result<Findings, CommitError> {
    let mut findings = Findings::default();
    let mut judge = |line: &Line, counted: OffsetRange, rows: u64, since: &str| {
        let there = cardinality(line.seen(), counted);
        if there >= rows || counted.intersection(lines.window) != Some(counted) {
            return;
        }
        let empty = without_row(line, letters, counted);
        let more = if empty.ranges().len() > NAMED {
            " and others"
        } else {
            ""
        };
        let named: RangeSet = empty.ranges().iter().take(NAMED).copied().collect();
        let says = format!(
            "{}: of {rows} rows that the ledger counts in {counted} ({since}), {there} are there; nothing is at {named}{more}",
            line.tp
        );
        let finding = Finding::failed("missing", says).of(Some(&line.tp.topic), line.tp.partition);
        findings.add_many(finding.at(counted), rows - there);
    };
    let above = since.map_or(0, |since| since.sequence_number);
    // Where offsets were repaired, ranges overlap, and only together tell how many rows there are.
    let mut repaired = Vec::new();
    each(ledger, above, up_to, |entry| {
        let number = entry.snapshot.sequence_number;
        for range in &entry.ranges {
            if matches!(entry.kind, Kind::Withdraw | Kind::Repair) || answers.is_repaired(number, range) {
                repaired.push(Recorded {
                    ranges: vec![range.clone()],
                    ..entry.clone()
                });
                continue;
            }
            let is_whole =
                entry.kind == Kind::Append && answers.claim(entry.kind, number, range) == Some(range.range);
            let line = lines.told_apart(rows_tell_topics).find(|line| {
                line.job == range.job
                    && line.tp.partition == range.partition
                    && line.topic_id == range.topic_id
            });
            if let Some(line) = line.filter(|_| is_whole) {
                let by = format!("snapshot {}", entry.snapshot.snapshot_id);
                judge(line, range.range, range.counts.rows, &by);
            }
        }
    })
    .await?;
    for line in lines.told_apart(rows_tell_topics) {
        let log = (&line.job, line.tp.partition, &line.topic_id);
        for piece in Piece::of(&repaired, answers, log) {
            if let Some(counts) = piece.counts {
                judge(line, piece.range, counts.rows, "with what was repaired");
            }
        }
    }
    Ok(findings)
}

/// How many offsets of a range are in a bitmap.
pub fn cardinality(seen: &RoaringTreemap, range: OffsetRange) -> u64 {
    seen.range_cardinality(range.start as u64..range.end as u64)
}

/// The offsets of a range that have neither row nor letter, and were not declared lost.
fn without_row(line: &Line, letters: &Addressed, range: OffsetRange) -> RangeSet {
    let mut empty: RangeSet = [range].into_iter().collect();
    let inside = range.start as u64..range.end as u64;
    let mut take = |found: &RoaringTreemap| {
        let mut run: Option<OffsetRange> = None;
        let mut offsets = found.iter();
        offsets.advance_to(inside.start);
        for offset in offsets {
            if offset >= inside.end {
                break;
            }
            let offset = offset as i64;
            match &mut run {
                Some(run) if run.end == offset => run.end += 1,
                _ => {
                    let next = OffsetRange::new(offset, offset + 1);
                    run.replace(next).into_iter().for_each(|run| empty.remove(run));
                }
            }
        }
        run.into_iter().for_each(|run| empty.remove(run));
    };
    take(line.seen());
    letters.of(line).into_iter().for_each(&mut take);
    empty.difference(&line.lost)
}
