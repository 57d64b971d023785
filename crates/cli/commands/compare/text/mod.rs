//! A comparison in words: the verdict first, then why.

mod samples;

use std::fmt;

use tabletopic_audit::compare::{Comparison, Counts, Difference, Rows, Table, TopicPartition, Verdict};

use crate::commands::columns::{Cell, Columns};
use crate::commands::first_of;

/// Topic partitions or partition values that a person is shown.
const SHOWN: usize = 50;

pub struct Shown<'a>(pub &'a Comparison);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(comparison) = self;
        let Comparison { a, b, .. } = comparison;
        match comparison.verdict {
            Verdict::Equal => writeln!(
                f,
                "{} and {} hold the same {} rows",
                a.name,
                b.name,
                number(a.rows)
            )?,
            Verdict::Differ => writeln!(f, "{} and {} differ: {}", a.name, b.name, why(comparison))?,
        }
        for (letter, table) in [("A", a), ("B", b)] {
            writeln!(f, "  {letter}  {}", described(table))?;
        }
        let key = match comparison.key.as_slice() {
            [] => "rows are known by all of their values".to_owned(),
            key => format!("rows are known by {}", key.join(", ")),
        };
        let values = first_of(
            comparison.columns[comparison.key.len()..]
                .iter()
                .map(String::as_str),
        );
        writeln!(
            f,
            "  {key}; compared: {}",
            if values.is_empty() {
                "nothing else"
            } else {
                &values
            }
        )?;
        schema(f, comparison)?;
        repeated(f, comparison)?;
        places(f, comparison)?;
        samples::show(f, comparison)
    }
}

/// What differs, in one sentence.
fn why(comparison: &Comparison) -> String {
    let Counts {
        only_in_a,
        only_in_b,
        different,
        more_in_a,
        more_in_b,
        ..
    } = comparison.differences;
    let (a, b) = (&comparison.a.name, &comparison.b.name);
    let keyed = !comparison.key.is_empty();
    let mut why = Vec::new();
    let decisive = comparison.schema.iter().filter(|difference| difference.decides());
    match decisive.count() {
        0 => {}
        1 => why.push("the columns, by one".to_owned()),
        columns => why.push(format!("the columns, by {columns}")),
    }
    let mut counted = |count: u64, one: &str, many: &str, rest: String| match count {
        0 => {}
        1 => why.push(format!("1 {one} {rest}")),
        count => why.push(format!("{} {many} {rest}", number(count))),
    };
    counted(only_in_a, "row is", "rows are", format!("only in {a}"));
    counted(only_in_b, "row is", "rows are", format!("only in {b}"));
    counted(different, "key has", "keys have", "other values".to_owned());
    let more = |table: &String| match keyed {
        true => format!("more in {table}, of keys that both have"),
        false => format!("more in {table}, of rows that both have"),
    };
    counted(more_in_a, "row is", "rows are", more(a));
    counted(more_in_b, "row is", "rows are", more(b));
    let mut why = why.join("; ");
    if !comparison.differences.differ() {
        why.push_str(&match comparison.a.rows {
            0 => "; neither has rows".to_owned(),
            rows => format!("; what is compared of the {} rows is the same", number(rows)),
        });
    } else if keyed && comparison.differences.same_keys() {
        why.push_str("; both have the same keys");
    }
    why
}

fn described(table: &Table) -> String {
    let at = match (&table.snapshot_id, &table.at) {
        (Some(id), Some(at)) => format!("at snapshot {id} of {at}"),
        (Some(id), None) => format!("at snapshot {id}"),
        (None, _) => "without a snapshot".to_owned(),
    };
    let spec = match table.partition_spec.as_str() {
        "" => "not partitioned".to_owned(),
        spec => format!("partitioned by {spec}"),
    };
    format!("{} {at}: {} rows, {spec}", table.name, number(table.rows))
}

fn schema(f: &mut fmt::Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let mut ids = Vec::new();
    let mut lines = Vec::new();
    for difference in &comparison.schema {
        match difference {
            Difference::OnlyInA { column, field_type } => {
                lines.push(format!("{column} ({field_type}) is only in A"));
            }
            Difference::OnlyInB { column, field_type } => {
                lines.push(format!("{column} ({field_type}) is only in B"));
            }
            Difference::Incomparable { column, a, b } => lines.push(format!(
                "{column} is {a} in A and {b} in B, which can't be compared"
            )),
            Difference::Type {
                column,
                a,
                b,
                compared_as,
            } => lines.push(format!(
                "{column} is {a} in A and {b} in B, compared as {compared_as}"
            )),
            Difference::FieldId { column, .. } => ids.push(column.as_str()),
        }
    }
    if !ids.is_empty() {
        lines.push(format!(
            "field ids differ, which makes no other rows: {}",
            first_of(ids.into_iter())
        ));
    }
    if !lines.is_empty() {
        writeln!(f, "\nColumns")?;
    }
    for line in lines {
        writeln!(f, "  {line}")?;
    }
    Ok(())
}

fn repeated(f: &mut fmt::Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let Counts {
        repeated_in_a,
        repeated_in_b,
        ..
    } = comparison.differences;
    let (a, b) = (number(repeated_in_a), number(repeated_in_b));
    match (comparison.every_key, repeated_in_a + repeated_in_b) {
        (false, 0) => Ok(()),
        (true, _) => writeln!(f, "\nKeys that are there more than once: {a} in A, {b} in B"),
        (false, _) => writeln!(
            f,
            "\nKeys that are there more than once, among the rows that were read again: {a} in A, {b} in B; --every-key \
             counts all"
        ),
    }
}

fn places(f: &mut fmt::Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let topics = comparison.by_topic_partition.iter();
    let topics = topics.map(|of| (topic_partition(&of.place), of.rows));
    table(f, "topic partition", topics.collect())?;
    let values = comparison.by_partition.iter();
    table(
        f,
        "partition",
        values.map(|of| (of.partition.clone(), of.rows)).collect(),
    )?;
    let beyond = comparison.beyond.iter();
    table(
        f,
        "all others",
        beyond.map(|rows| (String::new(), *rows)).collect(),
    )
}

fn topic_partition(place: &TopicPartition) -> String {
    let partition = place
        .partition
        .map_or_else(|| "∅".to_owned(), |partition| partition.to_string());
    match &place.topic {
        Some(topic) => format!("{topic}/{partition}"),
        None => partition,
    }
}

/// The places that differ.
fn table(f: &mut fmt::Formatter<'_>, heading: &str, places: Vec<(String, Rows)>) -> fmt::Result {
    let all = places.len();
    let differing: Vec<_> = places.into_iter().filter(|(_, rows)| rows.differ()).collect();
    if differing.is_empty() {
        return Ok(());
    }
    let words = [
        "rows in A",
        "rows in B",
        "only in A",
        "only in B",
        "different",
        "more in A",
        "more in B",
    ];
    let mut lines = vec![
        std::iter::once(heading)
            .chain(words)
            .map(Cell::word)
            .collect::<Vec<_>>(),
    ];
    let more = differing.len().saturating_sub(SHOWN);
    let same = all - differing.len();
    for (place, rows) in differing.into_iter().take(SHOWN) {
        let Counts {
            only_in_a,
            only_in_b,
            different,
            more_in_a,
            more_in_b,
            ..
        } = rows.counts;
        let counts = [
            rows.rows_in_a,
            rows.rows_in_b,
            only_in_a,
            only_in_b,
            different,
            more_in_a,
            more_in_b,
        ];
        let counts = counts.map(|count| Cell::number(number(count)));
        lines.push(std::iter::once(Cell::word(place)).chain(counts).collect());
    }
    write!(f, "\n{}", Columns(lines))?;
    if more > 0 {
        writeln!(f, "  and {more} more, which --output json has")?;
    }
    match same {
        0 => Ok(()),
        1 => writeln!(f, "  one more holds the same"),
        same => writeln!(f, "  {same} more hold the same"),
    }
}

/// With a comma between thousands.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!(
            [7, 999, 1000, 1_204_332].map(number),
            ["7", "999", "1,000", "1,204,332"]
        );
    }
}
