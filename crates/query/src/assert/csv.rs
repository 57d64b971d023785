//! Expectations as CSV (RFC 4180): a header, a row a line. As in PostgreSQL's `COPY`, an empty field is null, and `""`
//! is an empty text; so this is read and written here, where a library's reader would not tell one from the other.

use super::rows::{Cell, Row, Rows};

/// What is wrong with a text, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// From 1.
    pub line: usize,
    pub reason: String,
}

/// Rows of a text with a header.
///
/// # Errors
/// Text that is no CSV, rows that have other columns than the header, an empty text.
pub fn parse(text: &str) -> Result<Rows, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1 };
    let columns: Vec<String> = match reader.row()? {
        Some((_, row)) => row.into_iter().map(Option::unwrap_or_default).collect(),
        None => {
            let reason =
                "it is empty; the first line names the columns (--update writes all of it)".to_owned();
            return Err(Unreadable { line: 1, reason });
        }
    };
    let mut rows = Vec::new();
    while let Some((line, row)) = reader.row()? {
        if row.len() != columns.len() {
            let reason = format!("{} fields, where the header has {}", row.len(), columns.len());
            return Err(Unreadable { line, reason });
        }
        rows.push(row);
    }
    Ok(Rows { columns, rows })
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl Reader<'_> {
    /// The next row with the line that it begins in; `None` at the end.
    fn row(&mut self) -> Result<Option<(usize, Row)>, Unreadable> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let began = self.line;
        let mut row = Vec::new();
        loop {
            row.push(self.field()?);
            if self.take(",") {
                continue;
            }
            if self.rest.is_empty() || self.take("\r\n") || self.take("\n") {
                self.line += 1;
                return Ok(Some((began, row)));
            }
            return Err(self.unreadable("a comma or the end of the line is expected after a quotation"));
        }
    }

    fn field(&mut self) -> Result<Cell, Unreadable> {
        if self.take("\"") {
            return self.quoted().map(Some);
        }
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        // Of a line end, not of the value.
        let field = match rest.starts_with(',') {
            true => field,
            false => field.strip_suffix('\r').unwrap_or(field),
        };
        if field.contains('"') {
            return Err(
                self.unreadable("a quotation mark within a field: quote the field, and double the mark")
            );
        }
        self.rest = &self.rest[end..];
        Ok((!field.is_empty()).then(|| field.to_owned()))
    }

    /// The rest of a field after its first quotation mark.
    fn quoted(&mut self) -> Result<String, Unreadable> {
        let mut field = String::new();
        loop {
            let Some(end) = self.rest.find('"') else {
                return Err(self.unreadable("a quotation does not end"));
            };
            let part = &self.rest[..end];
            self.line += part.matches('\n').count();
            field.push_str(part);
            self.rest = &self.rest[end + 1..];
            if !self.take("\"") {
                return Ok(field);
            }
            field.push('"');
        }
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn unreadable(&self, reason: &str) -> Unreadable {
        Unreadable {
            line: self.line,
            reason: reason.to_owned(),
        }
    }
}

/// The text that [`parse`] reads the same rows from.
pub fn print(rows: &Rows) -> String {
    let mut text = String::new();
    let header: Row = rows.columns.iter().cloned().map(Some).collect();
    for row in std::iter::once(&header).chain(&rows.rows) {
        for (number, cell) in row.iter().enumerate() {
            if number > 0 {
                text.push(',');
            }
            match cell.as_deref() {
                None => {}
                Some(cell) if plain(cell) => text.push_str(cell),
                Some(cell) => {
                    text.push('"');
                    text.push_str(&cell.replace('"', "\"\""));
                    text.push('"');
                }
            }
        }
        text.push('\n');
    }
    text
}

fn plain(cell: &str) -> bool {
    !cell.is_empty() && !cell.contains(['"', ',', '\n', '\r']) && !cell.starts_with('\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(cells: &[Option<&str>]) -> Row {
        cells.iter().map(|cell| cell.map(str::to_owned)).collect()
    }

    #[test]
    fn null_is_an_empty_field_and_an_empty_text_is_quoted() {
        let rows = parse("\u{feff}a,b\r\n1,\r\n\"\",\"x,\"\"y\nz\"\n,").unwrap();
        assert_eq!(rows.columns, ["a", "b"]);
        assert_eq!(
            rows.rows,
            [
                row(&[Some("1"), None]),
                row(&[Some(""), Some("x,\"y\nz")]),
                row(&[None, None])
            ]
        );
        assert_eq!(print(&rows), "a,b\n1,\n\"\",\"x,\"\"y\nz\"\n,\n");
    }

    #[test]
    fn an_empty_line_is_the_null_of_the_only_column() {
        assert_eq!(parse("a\n\n1\n").unwrap().rows, [row(&[None]), row(&[Some("1")])]);
    }

    #[test]
    fn what_is_no_csv_names_its_line() {
        for (text, line, reason) in [
            ("", 1, "it is empty"),
            ("a,b\n1,2\n1\n", 3, "1 fields"),
            ("a\n\"x\ny", 2, "does not end"),
            ("a\n\"x\ny\"z\n", 3, "a comma"),
            ("a\nx\"y\n", 2, "a quotation mark"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error:?}");
            assert!(
                error.reason.starts_with(reason) || error.reason.contains(reason),
                "{error:?}"
            );
        }
    }

    fn cell() -> impl Strategy<Value = Cell> {
        proptest::option::of(proptest::collection::vec(
            prop_oneof![
                Just('"'),
                Just(','),
                Just('\n'),
                Just('\r'),
                Just('\u{feff}'),
                any::<char>()
            ],
            0..5,
        ))
        .prop_map(|cell| cell.map(|letters| letters.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            (columns, rows) in (1usize..4).prop_flat_map(|width| {
                let columns = proptest::collection::vec("[a-z\",]{1,3}", width);
                let rows = proptest::collection::vec(proptest::collection::vec(cell(), width), 0..6);
                (columns, rows)
            })
        ) {
            let rows = Rows { columns, rows };
            prop_assert_eq!(parse(&print(&rows)).unwrap(), rows);
        }
    }
}
