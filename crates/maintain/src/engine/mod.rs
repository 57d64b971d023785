//! The same work by another engine, for tables that outgrow one machine. Of our tables nothing is lost by it: both engines
//! expire by Iceberg's own rules, by which a snapshot stays that a tag leads to, and our tag never ages.

pub mod spark;
pub mod trino;

use iceberg::TableIdent;
use tabletopic_clock::Millis;

/// What an engine is asked to do to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub table: TableIdent,
    /// Bytes that a data file should have.
    pub target: u64,
    /// How old a snapshot has to be to leave. `None`: as the engine does it.
    pub older_than: Option<Millis>,
    /// How old a file has to be that nothing leads to. `None`: such files stay.
    pub orphans: Option<Millis>,
}

/// Text in quotes, as SQL has it: those inside are doubled.
fn quoted(text: &str, quote: char) -> String {
    let doubled: String = [quote, quote].iter().collect();
    format!("{quote}{}{quote}", text.replace(quote, &doubled))
}
