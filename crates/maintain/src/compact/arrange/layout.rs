//! The order of rows that somebody asks for.

use std::str::FromStr;

use arrow::compute::SortOptions;

/// How rows are laid out in new files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Layout {
    /// As they come: files are only merged.
    #[default]
    AsRead,
    /// In the table's own sort order.
    TableOrder,
    Columns(Vec<SortColumn>),
    /// By several columns at once, none of them first.
    ZOrder(Vec<String>),
}

/// A column that rows are sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortColumn {
    pub name: String,
    descending: bool,
    nulls_first: bool,
}

impl SortColumn {
    pub fn options(&self) -> SortOptions {
        SortOptions {
            descending: self.descending,
            nulls_first: self.nulls_first,
        }
    }
}

/// As in `customer, created_at desc nulls last`: what SQL has after `ORDER BY`, with Iceberg's default for nulls, which
/// come first in ascending order and last in descending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortColumns(pub Vec<SortColumn>);

impl FromStr for SortColumns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(column).collect::<Result<_, _>>().map(Self)
    }
}

fn column(text: &str) -> Result<SortColumn, String> {
    let mut words = text.split_whitespace();
    let name = words.next().ok_or("there is a column missing")?.to_owned();
    let words: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (descending, nulls) = match words.as_slice() {
        ["desc", nulls @ ..] => (true, nulls),
        ["asc", nulls @ ..] | nulls => (false, nulls),
    };
    let nulls_first = match nulls {
        [] => !descending,
        ["nulls", "first"] => true,
        ["nulls", "last"] => false,
        _ => {
            return Err(format!(
                "`{}` is no order; write a column, then asc or desc, then nulls first or nulls last",
                text.trim()
            ));
        }
    };
    Ok(SortColumn {
        name,
        descending,
        nulls_first,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_in_sql() {
        let column = |name: &str, descending, nulls_first| SortColumn {
            name: name.to_owned(),
            descending,
            nulls_first,
        };
        let parsed: SortColumns = "a, b.c DESC,d desc NULLS first , e nulls last".parse().unwrap();
        assert_eq!(
            parsed.0,
            [
                column("a", false, true),
                column("b.c", true, false),
                column("d", true, true),
                column("e", false, false),
            ]
        );
        for wrong in ["", "a,", "a down", "a nulls", "a desc nulls middle"] {
            wrong.parse::<SortColumns>().unwrap_err();
        }
    }
}
