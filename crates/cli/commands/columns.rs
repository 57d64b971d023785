//! Lines of cells, aligned. Colours come after the widths, which they would spoil.

use std::fmt;

use anstyle::Style;

/// One cell of a line.
#[derive(Clone)]
pub struct Cell {
    text: String,
    style: Style,
    /// Numbers stand right, words left.
    right: bool,
}

impl Cell {
    pub fn word(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            style: Style::new(),
            right: false,
        }
    }

    pub fn number(text: impl ToString) -> Self {
        Self {
            text: text.to_string(),
            style: Style::new(),
            right: true,
        }
    }

    pub fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

/// The first line is the heading. All have as many cells.
pub struct Columns(pub Vec<Vec<Cell>>);

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for line in &self.0 {
            for (number, (cell, &width)) in line.iter().zip(&widths).enumerate() {
                let Cell { text, style, right } = cell;
                let last = number + 1 == columns;
                f.write_str("  ")?;
                match (right, last) {
                    (true, _) => write!(f, "{style}{text:>width$}{style:#}")?,
                    (false, false) => write!(f, "{style}{text:<width$}{style:#}")?,
                    (false, true) => write!(f, "{style}{text}{style:#}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right_whatever_their_colour() {
        let red = anstyle::AnsiColor::Red.on_default();
        let lines = vec![
            vec![Cell::word("topic"), Cell::number("lag"), Cell::word("until")],
            vec![
                Cell::word("o"),
                Cell::number(1200).styled(red),
                Cell::word("2 days"),
            ],
        ];
        let shown = anstream::adapter::strip_str(&Columns(lines).to_string()).to_string();
        assert_eq!(shown, "  topic   lag  until\n  o      1200  2 days\n");
    }
}
