//! Which offsets of each topic partition have a row: within one window, a bit for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roaring::RoaringTreemap;
use tabletopic_offsets::{JobId, Offset, OffsetRange, RangeSet, TableState, TopicPartition};
use tabletopic_table::rows::Held;

use crate::verify::Since;
use crate::verify::verdict::{Finding, Findings, TOLD};

/// Rows of one topic partition whose offsets follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Where the rows tell it.
    pub topic: Option<Arc<str>>,
    pub partition: i32,
    pub offsets: OffsetRange,
}

/// Offsets that one log has given to the table, and those of them that were seen. A topic that was created again and
/// adopted has several logs.
#[derive(Debug)]
struct Log {
    claimed: RangeSet,
    seen: RoaringTreemap,
}

/// One topic partition.
#[derive(Debug)]
pub struct Line {
    pub job: JobId,
    pub tp: TopicPartition,
    pub topic_id: Option<String>,
    /// The log that is read now comes first.
    logs: Vec<Log>,
    pub lost: RangeSet,
    /// What it had as done with the snapshot that the verdict rests on.
    pub settled: RangeSet,
}

impl Line {
    /// Whether its rows can be told from those of others: offsets of one log alone.
    fn is_of_one_log(&self) -> bool {
        self.logs.len() == 1
    }

    /// The offsets that the state has as done.
    pub fn claimed(&self) -> &RangeSet {
        &self.logs[0].claimed
    }

    /// Those of them that have a row.
    pub fn seen(&self) -> &RoaringTreemap {
        &self.logs[0].seen
    }
}

/// All topic partitions in one window, with what was found to be wrong in it.
#[derive(Debug)]
pub struct Lines {
    pub window: OffsetRange,
    by_number: BTreeMap<i32, Vec<Line>>,
    /// What the rows add up to, by topic partition number.
    pub held: BTreeMap<i32, Held>,
    pub findings: Findings,
    /// Offsets that are there twice, for whoever looks for the files: the first of them.
    pub doubles: BTreeSet<(i32, Offset)>,
    /// Whether there were rows of which nobody can tell whether they were settled.
    pub mixed: bool,
}

impl Lines {
    pub fn new(state: &TableState, since: Option<&Since>, window: OffsetRange) -> Self {
        let mut by_number = BTreeMap::<i32, Vec<Line>>::new();
        for (job, of_job) in &state.jobs {
            for (partition, state) in &of_job.partitions {
                let log = |claimed| Log {
                    claimed,
                    seen: RoaringTreemap::new(),
                };
                let past = state.past.iter().map(|past| log(past.claimed.clone()));
                by_number.entry(*partition).or_default().push(Line {
                    job: job.clone(),
                    tp: of_job.topic_partition(*partition),
                    topic_id: of_job.identity.topic_id.clone(),
                    logs: std::iter::once(log(state.progress.offsets()))
                        .chain(past)
                        .collect(),
                    lost: state.lost.clone(),
                    settled: since
                        .map(|since| since.progress(job, *partition))
                        .unwrap_or_default(),
                });
            }
        }
        Self {
            window,
            by_number,
            held: BTreeMap::new(),
            findings: Findings::default(),
            doubles: BTreeSet::new(),
            mixed: false,
        }
    }

    /// The offsets that memory is needed for.
    pub fn claims(&self) -> Vec<RangeSet> {
        let logs = self.iter().flat_map(|line| &line.logs);
        logs.map(|log| log.claimed.clone()).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Line> {
        self.by_number.values().flatten()
    }

    /// The topic partitions whose rows can be told from all others, if rows tell their topic or not.
    pub fn told_apart(&self, rows_tell_topics: bool) -> impl Iterator<Item = &Line> {
        let lines = self.by_number.values();
        lines
            .filter(move |lines| rows_tell_topics || lines.len() == 1)
            .flatten()
            .filter(|line| line.is_of_one_log())
    }

    /// Takes what of a run is in the window.
    pub fn add(&mut self, run: &Run) {
        let Some(offsets) = run.offsets.intersection(self.window) else {
            return;
        };
        let Self {
            by_number,
            held,
            findings,
            doubles,
            mixed,
            ..
        } = self;
        let fed = |line: &&mut Line| run.topic.as_ref().is_none_or(|topic| *topic == line.tp.topic);
        let lines = by_number.get_mut(&run.partition);
        let mut lines: Vec<&mut Line> = lines.into_iter().flatten().filter(fed).collect();
        let counted: RangeSet = [offsets].into_iter().collect();
        let counted = match lines.as_slice() {
            [line] => counted.difference(&line.settled),
            lines => {
                *mixed |= lines.iter().any(|line| !line.settled.is_empty());
                counted
            }
        };
        held.entry(run.partition).or_default().merge(Held {
            rows: counted.len_offsets(),
            offset_sum: counted.offset_sum(),
        });
        match lines.as_mut_slice() {
            [line] if line.is_of_one_log() => one(line, run, offsets, findings, doubles),
            lines => {
                (offsets.start..offsets.end).for_each(|offset| any(lines, run, offset, findings, doubles))
            }
        }
    }
}

/// Takes offsets of the only log that they can be of.
fn one(
    line: &mut Line,
    run: &Run,
    offsets: OffsetRange,
    findings: &mut Findings,
    doubles: &mut BTreeSet<(i32, Offset)>,
) {
    for lost in line.lost.intersection(&[offsets].into_iter().collect()).ranges() {
        let says = format!("{}: {lost} has rows, and was declared lost", line.tp);
        findings.add_many(at("declared-lost", says, run, *lost), lost.len());
    }
    let log = &mut line.logs[0];
    let inside = log.claimed.intersection(&[offsets].into_iter().collect());
    if inside.len_offsets() < offsets.len() {
        let outside: RangeSet = [offsets].into_iter().collect();
        for range in outside.difference(&inside).ranges() {
            let says = format!(
                "{}: {range} has rows, outside of the progress {}",
                line.tp, log.claimed
            );
            findings.add_many(at("outside", says, run, *range), range.len());
        }
    }
    for range in inside.ranges() {
        let (start, end) = (range.start as u64, range.end as u64);
        if log.seen.range_cardinality(start..end) == 0 {
            log.seen.insert_range(start..end);
            continue;
        }
        for offset in range.start..range.end {
            if !log.seen.insert(offset as u64) {
                double(run, offset, findings, doubles);
            }
        }
    }
}

/// Takes an offset of one of several logs: the first that claims it and has no row of it yet.
fn any(
    lines: &mut [&mut Line],
    run: &Run,
    offset: Offset,
    findings: &mut Findings,
    doubles: &mut BTreeSet<(i32, Offset)>,
) {
    let mut claimed = false;
    for log in lines.iter_mut().flat_map(|line| &mut line.logs) {
        if !log.claimed.contains(offset) {
            continue;
        }
        claimed = true;
        if log.seen.insert(offset as u64) {
            return;
        }
    }
    if claimed {
        return double(run, offset, findings, doubles);
    }
    let place = OffsetRange::new(offset, offset + 1);
    let says = format!(
        "{}@{offset} has a row, and nothing that feeds the table has it as done",
        named(run)
    );
    findings.add(at("outside", says, run, place));
}

fn double(run: &Run, offset: Offset, findings: &mut Findings, doubles: &mut BTreeSet<(i32, Offset)>) {
    if (doubles.len() as u64) < TOLD {
        doubles.insert((run.partition, offset));
    }
    let says = format!("{}@{offset} is there more than once", named(run));
    findings.add(at("double", says, run, OffsetRange::new(offset, offset + 1)));
}

fn named(run: &Run) -> String {
    match &run.topic {
        Some(topic) => format!("{topic}/{}", run.partition),
        None => format!("partition {}", run.partition),
    }
}

fn at(kind: &'static str, says: String, run: &Run, range: OffsetRange) -> Finding {
    Finding::failed(kind, says)
        .of(run.topic.as_deref(), run.partition)
        .at(range)
}

#[cfg(test)]
mod tests {
    use tabletopic_offsets::{Generation, PastTopic, TopicIdentity};

    use super::*;
    use crate::verify::verdict::{Check, Name};

    fn state(ends: &[(&str, i32, Offset)]) -> TableState {
        let mut state = TableState::empty();
        for (topic, partition, end) in ends {
            let identity = TopicIdentity {
                cluster_id: None,
                topic: (*topic).into(),
                topic_id: Some((*topic).to_owned()),
            };
            let job = JobId::new(*topic);
            state
                .anchor(&job, &identity, &BTreeMap::from([(*partition, 0)]))
                .unwrap();
            let of_job = state.jobs.get_mut(&job).unwrap();
            let of_partition = of_job.partitions.get_mut(partition).unwrap();
            of_partition.progress.grow(OffsetRange::new(0, *end)).unwrap();
        }
        state
    }

    fn run(topic: Option<&str>, partition: i32, start: Offset, end: Offset) -> Run {
        Run {
            topic: topic.map(Arc::from),
            partition,
            offsets: OffsetRange::new(start, end),
        }
    }

    fn found(state: &TableState, runs: &[Run]) -> (String, Lines) {
        let mut lines = Lines::new(state, None, OffsetRange::new(i64::MIN, i64::MAX));
        runs.iter().for_each(|run| lines.add(run));
        let says = Check::of(Name::Offsets, "", lines.findings.clone()).says;
        (says, lines)
    }

    #[test]
    fn an_offset_twice_and_one_beyond_are_told() {
        let state = state(&[("orders", 0, 100), ("orders", 1, 10)]);
        let (says, lines) = found(
            &state,
            &[run(None, 0, 0, 60), run(None, 0, 60, 100), run(None, 1, 0, 10)],
        );
        assert_eq!(says, "");
        assert_eq!(
            lines.held[&0],
            Held {
                rows: 100,
                offset_sum: 4950
            }
        );
        let (says, lines) = found(
            &state,
            &[run(None, 0, 0, 60), run(None, 0, 58, 103), run(None, 7, 0, 1)],
        );
        assert_eq!(says, "double: 2, outside: 4");
        assert_eq!(lines.doubles, BTreeSet::from([(0, 58), (0, 59)]));
    }

    #[test]
    fn topics_that_rows_do_not_tell_may_each_have_an_offset() {
        let state = state(&[("orders", 0, 100), ("returns", 0, 50)]);
        let twice = [run(None, 0, 0, 100), run(None, 0, 0, 50)];
        assert_eq!(found(&state, &twice).0, "");
        let more = [run(None, 0, 0, 100), run(None, 0, 0, 51)];
        assert_eq!(found(&state, &more).0, "double: 1");
        let told = [run(Some("orders"), 0, 0, 100), run(Some("orders"), 0, 0, 50)];
        assert_eq!(found(&state, &told).0, "double: 50");
        assert_eq!(found(&state, &[run(Some("other"), 0, 0, 1)]).0, "outside: 1");
    }

    #[test]
    fn a_topic_that_was_adopted_begins_anew() {
        let mut state = state(&[("orders", 0, 10)]);
        let job = state.jobs.get_mut(&JobId::new("orders")).unwrap();
        job.partitions.get_mut(&0).unwrap().past.push(PastTopic {
            generation: Generation(0),
            claimed: [OffsetRange::new(0, 5)].into_iter().collect(),
        });
        assert_eq!(found(&state, &[run(None, 0, 0, 10), run(None, 0, 0, 5)]).0, "");
        assert_eq!(
            found(&state, &[run(None, 0, 0, 10), run(None, 0, 0, 6)]).0,
            "double: 1"
        );
    }

    #[test]
    fn a_row_of_lost_offsets_is_told_where_it_is_of_one_log_alone() {
        let mut state = state(&[("orders", 0, 100), ("returns", 0, 100)]);
        let job = state.jobs.get_mut(&JobId::new("orders")).unwrap();
        let partition = job.partitions.get_mut(&0).unwrap();
        partition.lost.insert(OffsetRange::new(5, 8));
        assert_eq!(
            found(&state, &[run(Some("orders"), 0, 0, 6)]).0,
            "declared-lost: 1"
        );
        assert_eq!(found(&state, &[run(None, 0, 0, 6)]).0, "", "of the other topic");

        let job = state.jobs.get_mut(&JobId::new("orders")).unwrap();
        job.partitions.get_mut(&0).unwrap().past.push(PastTopic {
            generation: Generation(0),
            claimed: [OffsetRange::new(0, 50)].into_iter().collect(),
        });
        let says = found(&state, &[run(Some("orders"), 0, 0, 6)]).0;
        assert_eq!(says, "", "of the topic before it");
    }

    #[test]
    fn what_is_not_in_the_window_waits_for_another_pass() {
        let state = state(&[("orders", 0, 100)]);
        let mut lines = Lines::new(&state, None, OffsetRange::new(50, i64::MAX));
        lines.add(&run(None, 0, 0, 100));
        assert_eq!(lines.held[&0].rows, 50);
        assert_eq!(lines.iter().map(|line| line.seen().len()).sum::<u64>(), 50);
    }
}
