//! Samples in words: a line for each column that differs.

use std::fmt;

use serde_json::Value;
use tabletopic_audit::compare::{Comparison, Kind, Shown as Sample};

use crate::commands::columns::{Cell, Columns};

/// Characters of a value that a person is shown.
const WIDTH: usize = 60;

/// Those of each kind under a heading.
pub fn show(f: &mut fmt::Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    for kind in Kind::ALL {
        let samples: Vec<&Sample> = comparison
            .samples
            .iter()
            .filter(|sample| sample.kind == kind)
            .collect();
        if samples.is_empty() {
            continue;
        }
        let heading = match kind {
            Kind::OnlyInA => "Only in A",
            Kind::OnlyInB => "Only in B",
            Kind::Different => "Different",
            Kind::MoreInA => "More often in A",
            Kind::MoreInB => "More often in B",
            Kind::Repeated => "More than once, and the same",
        };
        writeln!(f, "\n{heading}, the first {}", samples.len())?;
        let keys = comparison.key.iter().map(String::as_str);
        let values: &[&str] = match samples.iter().all(|sample| sample.columns.is_empty()) {
            true => &[],
            false => &["column", "A", "B"],
        };
        let heading = keys
            .chain(["rows in A", "rows in B"])
            .chain(values.iter().copied());
        let mut lines = vec![heading.map(Cell::word).collect()];
        for sample in samples {
            lines.extend(sampled(&comparison.key, sample));
        }
        write!(f, "{}", Columns(lines))?;
    }
    Ok(())
}

/// A line for each column that differs; one, where none is known.
fn sampled(key: &[String], sample: &Sample) -> Vec<Vec<Cell>> {
    let begin = || -> Vec<Cell> {
        let values = key.iter().filter_map(|name| sample.key.get(name));
        let mut line: Vec<Cell> = values.map(|value| Cell::word(cut(&plain(value), 0))).collect();
        line.extend([sample.rows_in_a, sample.rows_in_b].map(Cell::number));
        line
    };
    if sample.columns.is_empty() {
        return vec![begin()];
    }
    let columns = sample.columns.iter().map(|values| {
        let [a, b] = [&values.a, &values.b].map(|value| value.as_ref().map(plain).unwrap_or_default());
        let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
        let mut line = begin();
        line.push(Cell::word(values.column.clone()));
        line.extend([a, b].map(|text| Cell::word(cut(&text, same))));
        line
    });
    columns.collect()
}

/// Texts in quotes, since they may be empty; null as `sql` has it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "∅".to_owned(),
        value => value.to_string(),
    }
}

/// The part of a text that a line has room for, around the first character that differs.
fn cut(text: &str, differs_at: usize) -> String {
    let length = text.chars().count();
    if length <= WIDTH {
        return text.to_owned();
    }
    let start = differs_at.saturating_sub(WIDTH / 4).min(length - WIDTH);
    let shown: String = text.chars().skip(start).take(WIDTH).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if start + WIDTH < length { "…" } else { "" };
    format!("{before}{shown}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_where_they_differ() {
        let long = "x".repeat(100) + "y" + &"z".repeat(100);
        assert_eq!(cut(&long, 0), format!("{}…", "x".repeat(60)));
        let shown = cut(&long, 100);
        assert!(
            shown.contains("xyz") && shown.chars().count() == WIDTH + 2,
            "{shown}"
        );
        assert_eq!(cut("short", 3), "short");
    }
}
