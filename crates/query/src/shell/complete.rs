//! Completion of tables and columns.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::error::quoted;
use crate::metadata::Kind;

/// So many tables are asked for their columns; the names of all others are completed too.
const DESCRIBED: usize = 50;

const COMMANDS: [&str; 5] = ["\\?", "\\d", "\\dt", "\\q", "\\timing"];

/// What can be completed.
#[derive(Debug, Default)]
pub struct Names {
    namespaces: BTreeSet<String>,
    tables: BTreeSet<String>,
    columns: BTreeSet<String>,
}

/// The names as they are now. What cannot be read cannot be completed, and the query will say why.
pub async fn names(engine: &Engine) -> Names {
    let mut names = Names::default();
    let Ok(listing) = engine.listing().await else {
        return names;
    };
    for (name, namespace) in listing.namespaces() {
        names.namespaces.insert(name.to_owned());
        for table in namespace.tables() {
            if names.tables.len() < DESCRIBED
                && let Ok(loaded) = namespace.load(table).await
            {
                let fields = loaded.metadata.current_schema().as_struct().fields();
                names
                    .columns
                    .extend(fields.iter().map(|field| field.name.clone()));
            }
            names.tables.insert(table.clone());
        }
    }
    names
}

/// Where the word at `at` begins, and what it may become.
pub fn complete(names: &Names, line: &str, at: usize) -> (usize, Vec<String>) {
    let before = &line[..at];
    let ends_word = |letter: char| letter.is_whitespace() || "(),;=<>+-*/.".contains(letter);
    let start = before
        .rfind(ends_word)
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[start..];
    if word.starts_with('\\') {
        let commands = COMMANDS.iter().filter(|command| command.starts_with(word));
        return (start, commands.map(|command| (*command).to_owned()).collect());
    }
    // `"orders$sn` and `orders$sn` both become `"orders$snapshots"`.
    let bare = word.trim_start_matches('"');
    if bare.is_empty() && !before[..start].ends_with('.') {
        return (start, Vec::new());
    }
    let known: Vec<String> = match bare.split_once('$') {
        Some((table, _)) => Kind::ALL.map(|kind| format!("{table}${}", kind.name())).to_vec(),
        None => [&names.namespaces, &names.tables, &names.columns]
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
    };
    let lower = bare.to_lowercase();
    let found: BTreeSet<String> = known
        .iter()
        .filter(|name| name.to_lowercase().starts_with(&lower))
        .map(|name| quoted(name))
        .collect();
    (start, found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> (usize, Vec<String>) {
        let names = Names {
            namespaces: BTreeSet::from(["shop".to_owned()]),
            tables: BTreeSet::from(["orders".to_owned(), "orders__ledger".to_owned()]),
            columns: BTreeSet::from(["order_id".to_owned(), "createdAt".to_owned()]),
        };
        complete(&names, line, line.len())
    }

    #[test]
    fn tables_and_columns_are_completed_with_the_quotes_that_they_need() {
        assert_eq!(
            completed("SELECT ord"),
            (
                7,
                vec!["order_id".into(), "orders".into(), "orders__ledger".into()]
            )
        );
        assert_eq!(completed("SELECT cr"), (7, vec!["\"createdAt\"".into()]));
        assert_eq!(
            completed("SELECT * FROM shop.orders_"),
            (19, vec!["orders__ledger".into()])
        );
    }

    #[test]
    fn metadata_tables_and_commands_are_completed() {
        assert_eq!(
            completed("FROM \"orders$sn"),
            (5, vec!["\"orders$snapshots\"".into()])
        );
        assert_eq!(completed("\\t"), (0, vec!["\\timing".into()]));
    }
}
