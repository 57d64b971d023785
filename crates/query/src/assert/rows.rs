//! Rows as text, which is how they are compared.

/// A value's text; `None` is null.
pub type Cell = Option<String>;

/// As many cells as there are columns.
pub type Row = Vec<Cell>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

impl Rows {
    /// In an order that does not change from one run to the next.
    pub fn sorted(mut self) -> Self {
        self.rows.sort_unstable();
        self
    }
}
