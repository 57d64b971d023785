//! Executes `docs/protocol/guard.md`: every row of its table, and its example of a state.

use std::collections::HashMap;

use tabletopic_offsets::{
    Counts, Evolved, FenceReason, Follower, FollowerPosition, Gap, Generation, JobId, Kind, OffsetRange,
    PendingFile, Progress, Refusal, Stamp, TableState, TopicIdentity, UnitRange,
};

use crate::{anchored, generation, life, orders, partition, partition_mut, range, set, snapshot, unit};

const PAGE: &str = include_str!("../../../../docs/protocol/guard.md");

const COLUMNS: [&str; 9] = [
    "table's ids",
    "job",
    "partition",
    "topic",
    "unit's ids",
    "generation",
    "range",
    "counts",
    "verdict",
];

/// The cells of the table that has [`COLUMNS`].
fn rows() -> Vec<[&'static str; 9]> {
    let cells = |line: &'static str| {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        let cells: Vec<_> = inner
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        <[&str; 9]>::try_from(cells).ok()
    };
    let mut rows = PAGE
        .lines()
        .filter_map(cells)
        .skip_while(|row| *row != COLUMNS)
        .skip(2)
        .peekable();
    assert!(
        rows.peek().is_some(),
        "the page has no table with the columns {COLUMNS:?}"
    );
    rows.collect()
}

/// `c1 t1`: cluster id and topic id; `?` where it is not known.
fn ids(cell: &str, topic: &str) -> TopicIdentity {
    let known = |id: &str| (id != "?").then(|| id.to_owned());
    let (cluster, id) = cell.split_once(' ').unwrap();
    TopicIdentity {
        cluster_id: known(cluster),
        topic: topic.into(),
        topic_id: known(id),
    }
}

fn range_of(cell: &str) -> OffsetRange {
    let (start, end) = cell.split_once("..").unwrap();
    range(start.parse().unwrap(), end.parse().unwrap())
}

fn counts(cell: &str) -> Counts {
    let mut counts = Counts::default();
    for part in cell.split(", ") {
        let (what, n) = part.split_once(' ').unwrap();
        let n = n.parse().unwrap();
        match what {
            "rows" => counts.rows = n,
            "letters" => counts.dead_letters = n,
            "filtered" => counts.filtered = n,
            "lost" => counts.lost = n,
            other => panic!("{other} is not counted"),
        }
    }
    counts
}

/// The table that the page describes above its rows.
fn table(identity: TopicIdentity) -> TableState {
    let mut state = anchored(&[0]);
    let job = state.jobs.get_mut(&orders()).unwrap();
    (job.identity, job.generation) = (identity, Generation(3));
    partition_mut(&mut state, 0).progress =
        Progress::from_ranges(vec![range(100, 200), range(300, 400)]).unwrap();
    state
}

fn verdict(state: &mut TableState, unit: &UnitRange) -> String {
    let reason = match state.accept(std::slice::from_ref(unit)) {
        Ok(()) => {
            let ranges = partition(state, 0).progress.ranges().iter();
            let ranges: Vec<_> = ranges
                .map(|range| format!("{}..{}", range.start, range.end))
                .collect();
            return format!("added: {}", ranges.join(" "));
        }
        Err(fenced) => fenced.reason,
    };
    let name = match reason {
        FenceReason::UnknownJob => "unknown job",
        FenceReason::UnknownPartition => "unknown partition",
        FenceReason::Topic { .. } => "topic",
        FenceReason::Cluster { .. } => "cluster",
        FenceReason::TopicId { .. } => "topic id",
        FenceReason::Generation { .. } => "generation",
        FenceReason::CountsLost { .. } => "counts lost",
        FenceReason::Counts { .. } => "counts",
        FenceReason::Range(Refusal::Malformed { .. }) => "malformed",
        FenceReason::Range(Refusal::Behind { .. }) => "behind",
        FenceReason::Range(Refusal::Ahead { .. }) => "ahead",
        FenceReason::Range(Refusal::Overlaps { .. }) => "overlaps",
    };
    format!("fenced: {name}")
}

#[test]
fn every_row_of_the_table_is_what_the_guard_says() {
    let rows = rows();
    for row in &rows {
        let [
            table_ids,
            job,
            number,
            topic,
            unit_ids,
            generation,
            range,
            counted,
            expected,
        ] = *row;
        let mut state = table(ids(table_ids, "orders"));
        let before = state.clone();
        let unit = UnitRange {
            job: JobId::new(job),
            partition: number.parse().unwrap(),
            identity: ids(unit_ids, topic),
            generation: Generation(generation.parse().unwrap()),
            range: range_of(range),
            leader_epoch: None,
            counts: counts(counted),
        };
        assert_eq!(verdict(&mut state, &unit), expected, "{row:?}");
        assert_eq!(state == before, expected.starts_with("fenced"), "{row:?}");
    }
    // Every verdict that the guard has, see `verdict`, stands in some row.
    let mut verdicts: Vec<_> = rows.iter().map(|row| row[8].split_once(' ').unwrap()).collect();
    verdicts.retain(|(what, _)| *what == "fenced:");
    verdicts.sort_unstable();
    verdicts.dedup();
    assert_eq!(verdicts.len(), 12, "{verdicts:?}");
}

/// The lines of the first block of this kind after a heading.
fn block(heading: &str, kind: &str) -> Vec<&'static str> {
    let lines = PAGE.lines().skip_while(|line| *line != heading).skip(1);
    let fence = format!("```{kind}");
    lines
        .skip_while(|line| *line != fence)
        .skip(1)
        .take_while(|line| *line != "```")
        .collect()
}

/// What the page says happened to the table.
fn example() -> TableState {
    let mut state = anchored(&[0, 0, 50]);
    let at = |number: i64, reason: &str| Stamp {
        snapshot: snapshot(number),
        schema_id: 0,
        actor: "ingest-1".into(),
        reason: reason.into(),
        time_ms: 1_760_000_000_000 + number * 60_000,
        abandons_since: None,
    };
    state.record(at(1, ""));
    let mut state = state.next(Kind::Append);
    let sparse = Counts {
        dead_letters: 1,
        filtered: 4,
        ..Counts::of_rows(35, 840)
    };
    let sparse = UnitRange {
        counts: sparse,
        ..unit(1, 0, 40)
    };
    let mut unit = vec![unit(0, 0, 100), sparse, unit(2, 50, 60)];
    unit.iter_mut().for_each(|part| part.leader_epoch = Some(5));
    state.accept(&unit).unwrap();
    state.record(at(2, ""));
    let mut state = state.next(Kind::DeclareLost);
    let gap = |partition, start, end| Gap {
        job: orders(),
        partition,
        range: range(start, end),
    };
    state.declare_lost(&[gap(2, 60, 75)]).unwrap();
    state.record(at(3, "retention was faster"));
    let position = |number| FollowerPosition {
        table_uuid: "9c1e2f5a-6d0b-4f7e-8a35-0d6a1b2c3d4e".into(),
        snapshot: snapshot(number),
    };
    state
        .outbox
        .acknowledge(Follower::DeadLetters, position(2))
        .unwrap();
    state.outbox.acknowledge(Follower::Ledger, position(2)).unwrap();
    state
}

#[test]
fn the_example_is_what_it_says() {
    let lines = block("## An example", "text");
    let summary: HashMap<String, String> = lines
        .iter()
        .map(|line| line.split_once(" = ").unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let decoded = TableState::decode(&summary).unwrap().unwrap();
    assert_eq!(decoded, example());
    assert_eq!(
        (decoded.kind, generation(&decoded)),
        (Kind::DeclareLost, Generation(1))
    );
    assert_eq!(decoded.job(&orders()).unwrap().identity, life(1));
    assert_eq!(partition(&decoded, 2).lost, set(&[(60, 75)]));
    let written: Vec<_> = example()
        .encode()
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    assert_eq!(written, lines, "what is written is the example, word for word");
}

/// Every key that is written is in the grammar, and the other way round.
#[test]
fn the_grammar_names_every_key() {
    let mut state = example();
    state.adopt(&orders(), &life(2), &[(0, 0)].into()).unwrap();
    let adopted = |start, end| UnitRange {
        identity: life(2),
        generation: Generation(2),
        ..unit(0, start, end)
    };
    let older = state.clone();
    state.accept(&[adopted(0, 10)]).unwrap();
    state
        .rewind_to(&older, &Default::default(), snapshot(9), 0)
        .unwrap();
    state.outbox.dead_letters.push(PendingFile {
        snapshot: snapshot(9),
        entry: String::new(),
        ranges: Vec::new(),
        time_ms: 0,
    });
    state.evolved = Some(Evolved {
        changes: vec!["add column note string".into()],
        cause: None,
    });
    state.retired.insert(0, Counts::of_rows(1, 5));
    partition_mut(&mut state, 0).backfill_epoch = Some(5);
    let mut written: Vec<String> = [example(), state]
        .iter()
        .flat_map(|state| state.encode().into_keys())
        .map(|key| key.replace("job.orders.", "job.ID."))
        .collect();
    written.sort();
    written.dedup();
    let grammar = block("## The encoding", "text");
    let mut named: Vec<String> = grammar
        .iter()
        .filter(|line| line.starts_with("tabletopic."))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect();
    named.sort();
    assert_eq!(written, named);
}
