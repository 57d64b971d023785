//! How an answer differs from what was expected: pure.

use std::collections::HashMap;

use serde::Serialize;

use super::rows::{Row, Rows};

/// Rows of a difference that are shown.
pub const SHOWN: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// The columns are others, or in another order; rows were not compared.
    Columns {
        expected: Vec<String>,
        found: Vec<String>,
    },
    Rows {
        columns: Vec<String>,
        /// Rows that were expected and are not in the answer.
        missing: u64,
        /// Rows of the answer that were not expected.
        unexpected: u64,
        /// The first of both.
        lines: Vec<Line>,
    },
    /// The rows are the same, in another order than the query asks for.
    Order {
        columns: Vec<String>,
        /// The first that is another one, from 1.
        row: usize,
        /// The row that was expected there, and the one that is there.
        lines: Vec<Line>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub side: Side,
    pub row: Row,
}

/// Where a row is that the other side lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Expected,
    Found,
}

/// `None`: the same columns and rows, each as often; where the query orders its rows, in the same order.
pub fn between(expected: &Rows, found: &Rows, ordered: bool) -> Option<Difference> {
    if expected.columns != found.columns {
        return Some(Difference::Columns {
            expected: expected.columns.clone(),
            found: found.columns.clone(),
        });
    }
    let columns = found.columns.clone();
    let missing = surplus(&expected.rows, &found.rows);
    let unexpected = surplus(&found.rows, &expected.rows);
    if missing.is_empty() && unexpected.is_empty() {
        let mut pairs = expected.rows.iter().zip(&found.rows);
        let row = pairs.position(|(expected, found)| ordered && expected != found)?;
        let line = |side, rows: &[Row]| Line {
            side,
            row: rows[row].clone(),
        };
        return Some(Difference::Order {
            columns,
            row: row + 1,
            lines: vec![
                line(Side::Expected, &expected.rows),
                line(Side::Found, &found.rows),
            ],
        });
    }
    let (missing_rows, unexpected_rows) = (missing.len() as u64, unexpected.len() as u64);
    let side = |side, places: Vec<usize>, rows: &'_ [Row]| -> Vec<(usize, Line)> {
        let lines = places.into_iter().map(|place| {
            let row = rows[place].clone();
            (place, Line { side, row })
        });
        lines.collect()
    };
    let mut lines = side(Side::Expected, missing, &expected.rows);
    lines.extend(side(Side::Found, unexpected, &found.rows));
    // Rows that belong together come together: by place where rows have one, else by their values.
    lines.sort_by(|(a_place, a), (b_place, b)| match ordered {
        true => (a_place, a.side).cmp(&(b_place, b.side)),
        false => (&a.row, a.side).cmp(&(&b.row, b.side)),
    });
    Some(Difference::Rows {
        columns,
        missing: missing_rows,
        unexpected: unexpected_rows,
        lines: lines.into_iter().take(SHOWN).map(|(_, line)| line).collect(),
    })
}

/// Places of the rows that `rows` has, and `others` has not or less often.
fn surplus(rows: &[Row], others: &[Row]) -> Vec<usize> {
    let mut there: HashMap<&Row, usize> = HashMap::new();
    for row in others {
        *there.entry(row).or_default() += 1;
    }
    let lacking = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| match there.get_mut(row) {
            Some(times @ 1..) => {
                *times -= 1;
                false
            }
            _ => true,
        });
    lacking.map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(columns: &[&str], rows: &[&[&str]]) -> Rows {
        let row = |row: &&[&str]| row.iter().map(|cell| Some((*cell).to_owned())).collect();
        Rows {
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: rows.iter().map(row).collect(),
        }
    }

    fn shown(difference: &Difference) -> Vec<(Side, String)> {
        let (Difference::Rows { lines, .. } | Difference::Order { lines, .. }) = difference else {
            return Vec::new();
        };
        let text = |line: &Line| line.row.iter().flatten().cloned().collect::<Vec<_>>().join(",");
        lines.iter().map(|line| (line.side, text(line))).collect()
    }

    #[test]
    fn order_matters_only_where_the_query_has_one() {
        let expected = rows(&["a"], &[&["1"], &["2"], &["3"]]);
        let found = rows(&["a"], &[&["1"], &["3"], &["2"]]);
        assert_eq!(between(&expected, &found, false), None);
        assert_eq!(between(&expected, &expected, true), None);
        let difference = between(&expected, &found, true).unwrap();
        assert!(
            matches!(difference, Difference::Order { row: 2, .. }),
            "{difference:?}"
        );
        assert_eq!(
            shown(&difference),
            [(Side::Expected, "2".to_owned()), (Side::Found, "3".to_owned())]
        );
    }

    #[test]
    fn rows_count_as_often_as_they_are_there() {
        let once = rows(&["a"], &[&["1"], &["2"]]);
        let twice = rows(&["a"], &[&["1"], &["2"], &["2"]]);
        for (expected, found, counts, side) in [
            (&once, &twice, (0, 1), Side::Found),
            (&twice, &once, (1, 0), Side::Expected),
        ] {
            let difference = between(expected, found, false).unwrap();
            let Difference::Rows {
                missing, unexpected, ..
            } = &difference
            else {
                panic!("{difference:?}")
            };
            assert_eq!((*missing, *unexpected), counts);
            assert_eq!(shown(&difference), [(side, "2".to_owned())]);
        }
    }

    #[test]
    fn what_belongs_together_is_shown_together() {
        let expected = rows(&["name", "n"], &[&["b", "1"], &["a", "1"], &["c", "7"]]);
        let found = rows(&["name", "n"], &[&["a", "2"], &["b", "2"], &["c", "7"]]);
        let by_value = shown(&between(&expected, &found, false).unwrap());
        let texts: Vec<&str> = by_value.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a,1", "a,2", "b,1", "b,2"]);
        let by_place = shown(&between(&expected, &found, true).unwrap());
        let texts: Vec<&str> = by_place.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["b,1", "a,2", "a,1", "b,2"]);
    }

    #[test]
    fn all_rows_are_counted_and_the_first_are_shown() {
        let many: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
        let many: Vec<[&str; 1]> = many.iter().map(|number| [number.as_str()]).collect();
        let many: Vec<&[&str]> = many.iter().map(<[&str; 1]>::as_slice).collect();
        let difference = between(&rows(&["a"], &[]), &rows(&["a"], &many), false).unwrap();
        assert!(matches!(difference, Difference::Rows { unexpected: 100, .. }));
        assert_eq!(shown(&difference).len(), SHOWN);
    }

    #[test]
    fn other_columns_are_a_difference_of_their_own() {
        let difference = between(&rows(&["a", "b"], &[]), &rows(&["b", "a"], &[]), false);
        assert!(matches!(difference, Some(Difference::Columns { .. })));
    }
}
