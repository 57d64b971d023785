//! `retain`: for how long a table keeps its rows.

use std::ops::Range;
use std::time::Duration;

use tabletopic_ingest::PartitionBy;
use tabletopic_table::partition::timed_column;
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::units::Interval;

/// Rows leave with the last of their partition, once that is this old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retain {
    pub age: Duration,
    /// Whose time it is, and what the table is partitioned by.
    pub column: String,
}

impl Retain {
    pub fn validate(
        document: &Document<'_>,
        said: Option<Spanned<Interval>>,
        partition_by: &PartitionBy,
    ) -> Result<Option<Self>, Problem> {
        let Some(said) = said else { return Ok(None) };
        let span: Range<usize> = said.span();
        let Interval(age) = said.into_inner();
        let mut columns: Vec<&str> = partition_by
            .fields()
            .iter()
            .filter_map(|field| timed_column(field))
            .collect();
        columns.dedup();
        match columns.as_slice() {
            [column] => Ok(Some(Self {
                age,
                column: (*column).to_owned(),
            })),
            [] => {
                let message = "needs a partition by time, since whole partitions leave; write for example partition_by = \
                               [\"day(created_at)\"]";
                Err(document.problem_at(span, message.to_owned()))
            }
            several => {
                let message = format!(
                    "can't tell how old a row is by several columns, {}; partition by the time of one",
                    several.join(" and ")
                );
                Err(document.problem_at(span, message))
            }
        }
    }
}
