//! Lists by partition, `0=200 1=80`, and what stands right of the equals sign.

use crate::{Counts, Generation, Offset, OffsetRange, PastTopic, RangeSet, SnapshotRef};

pub(super) fn list(entries: impl Iterator<Item = (i32, String)>) -> String {
    let entries: Vec<_> = entries
        .map(|(partition, value)| format!("{partition}={value}"))
        .collect();
    entries.join(" ")
}

/// Refuses with the entry that cannot be read.
pub(super) fn parse_list<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<(i32, T)>, &str> {
    let entry = |entry| {
        let (partition, value) = str::split_once(entry, '=')?;
        Some((parse_partition(partition)?, parse(value)?))
    };
    match text {
        "" => Ok(Vec::new()),
        _ => text.split(' ').map(|text| entry(text).ok_or(text)).collect(),
    }
}

/// Digits only: what `parse` takes beyond them (signs, leading zeros) we never write.
pub(super) fn parse_number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    let number: T = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn parse_partition(text: &str) -> Option<i32> {
    parse_number(text).filter(|partition| *partition >= 0)
}

fn parse_offset(text: &str) -> Option<Offset> {
    parse_number(text).filter(|offset| *offset >= 0)
}

/// `100-200`; a range from offset 0 is its end alone, because most progress starts there.
pub(super) fn range(range: OffsetRange) -> String {
    match range.start {
        0 => range.end.to_string(),
        start => format!("{start}-{}", range.end),
    }
}

pub(super) fn parse_range(text: &str) -> Option<OffsetRange> {
    let (start, end) = match text.split_once('-') {
        Some((start, end)) => (parse_offset(start).filter(|start| *start > 0)?, end),
        None => (0, text),
    };
    let range = OffsetRange::new(start, parse_offset(end)?);
    (range.start <= range.end).then_some(range)
}

/// `100,200-300`
pub(super) fn ranges(ranges: &[OffsetRange]) -> String {
    let each: Vec<_> = ranges.iter().map(|each| range(*each)).collect();
    each.join(",")
}

pub(super) fn parse_ranges(text: &str) -> Option<Vec<OffsetRange>> {
    text.split(',').map(parse_range).collect()
}

/// Ranges of a set, which are never empty, and as few as possible.
pub(super) fn parse_set(text: &str) -> Option<RangeSet> {
    let ranges = parse_ranges(text)?;
    let set: RangeSet = ranges.iter().copied().collect();
    (set.ranges() == ranges).then_some(set)
}

/// `3:100,200-300`: generation, and what was claimed; nothing right of the colon where nothing was.
pub(super) fn past(past: &PastTopic) -> String {
    format!("{}:{}", past.generation, ranges(past.claimed.ranges()))
}

pub(super) fn parse_past(text: &str) -> Option<PastTopic> {
    let (generation, claimed) = text.split_once(':')?;
    Some(PastTopic {
        generation: Generation(parse_number(generation)?),
        claimed: match claimed {
            "" => RangeSet::new(),
            _ => parse_set(claimed)?,
        },
    })
}

/// `r100:d2:s19900`: rows, dead letters, filtered, lost, offset sum; zeros are left out.
pub(super) fn counts(counts: Counts) -> String {
    let all = [
        ('r', counts.rows),
        ('d', counts.dead_letters),
        ('f', counts.filtered),
        ('l', counts.lost),
        ('s', counts.offset_sum),
    ];
    let some: Vec<_> = all
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(letter, n)| format!("{letter}{n}"))
        .collect();
    some.join(":")
}

pub(super) fn parse_counts(text: &str) -> Option<Counts> {
    let mut found = Counts::default();
    for part in text.split(':') {
        let mut letters = part.chars();
        let field = match letters.next()? {
            'r' => &mut found.rows,
            'd' => &mut found.dead_letters,
            'f' => &mut found.filtered,
            'l' => &mut found.lost,
            's' => &mut found.offset_sum,
            _ => return None,
        };
        *field = parse_number(letters.as_str())?;
    }
    // Each letter once, in order, without zeros, and far from where sums would overflow.
    let small = found.offsets() <= i64::MAX as u64;
    (small && counts(found) == text).then_some(found)
}

/// `r100:s4950`: counts of rows alone, and of some.
pub(super) fn parse_rows(text: &str) -> Option<Counts> {
    let counts = parse_counts(text)?;
    let alone = counts == Counts::of_rows(counts.rows, counts.offset_sum);
    (alone && counts.rows > 0).then_some(counts)
}

/// `100-200:r100:s14950`
pub(super) fn added(added: OffsetRange, counted: Counts) -> String {
    match counted.is_zero() {
        true => range(added),
        false => format!("{}:{}", range(added), counts(counted)),
    }
}

pub(super) fn parse_added(text: &str) -> Option<(OffsetRange, Counts)> {
    match text.split_once(':') {
        Some((range, counts)) => Some((parse_range(range)?, parse_counts(counts)?)),
        None => Some((parse_range(text)?, Counts::default())),
    }
}

/// `0-3=5 7=6`: a number by partition, where neighbours often have the same.
pub(super) fn runs(numbers: impl Iterator<Item = (i32, i32)>) -> String {
    let mut runs: Vec<(i32, i32, i32)> = Vec::new();
    for (partition, number) in numbers {
        match runs.last_mut() {
            Some((_, last, same)) if *same == number && *last + 1 == partition => *last = partition,
            _ => runs.push((partition, partition, number)),
        }
    }
    let each = runs.iter().map(|(first, last, number)| match first == last {
        true => format!("{first}={number}"),
        false => format!("{first}-{last}={number}"),
    });
    each.collect::<Vec<_>>().join(" ")
}

pub(super) fn parse_runs(text: &str) -> Option<Vec<(i32, i32)>> {
    let mut numbers: Vec<(i32, i32)> = Vec::new();
    for run in text.split(' ') {
        let (partitions, number) = run.split_once('=')?;
        let (first, last) = partitions.split_once('-').unwrap_or((partitions, partitions));
        let (first, last, number) = (
            parse_partition(first)?,
            parse_partition(last)?,
            parse_number(number)?,
        );
        // A topic has at most some hundred thousand partitions; a run beyond is damage, not data.
        let plausible = last >= first && last - first < 1_000_000;
        if !plausible || numbers.last().is_some_and(|(before, _)| *before >= first) {
            return None;
        }
        numbers.extend((first..=last).map(|partition| (partition, number)));
    }
    Some(numbers)
}

/// `12:8839`: sequence number and snapshot id.
pub(super) fn snapshot(snapshot: SnapshotRef) -> String {
    format!("{}:{}", snapshot.sequence_number, snapshot.snapshot_id)
}

pub(super) fn parse_snapshot(text: &str) -> Option<SnapshotRef> {
    let (sequence_number, snapshot_id) = text.split_once(':')?;
    Some(SnapshotRef {
        sequence_number: parse_number(sequence_number)?,
        snapshot_id: parse_number(snapshot_id)?,
    })
}
