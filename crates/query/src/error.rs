//! What can go wrong with a query. Each message says what to do.

use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
use tabletopic_catalog::CatalogError;
use tabletopic_table::read::ReadError;

use crate::nearest::nearest;

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("{statement} is refused: this shell only reads. Tables are written by `tabletopic run`")]
    ReadOnly { statement: String },

    #[error(
        "time travel is written into the table's name: \"orders@<snapshot id>\" or \"orders@2026-01-31T00:00:00Z\", \
         with the quotes, instead of AS OF or FOR VERSION; the ids are in \"orders$snapshots\""
    )]
    AsOf,

    #[error(
        "the statement has more than {most} operators; put many values into a list, column IN (1, 2, 3), or ask in \
         several statements"
    )]
    TooManyOperators { most: usize },

    #[error("this is not answered here, and would be read over: {0}")]
    Overlooked(&'static str),

    #[error("there is no namespace {namespace}{}; \\dt lists all tables", hint(.nearest))]
    UnknownNamespace { namespace: String, nearest: Vec<String> },

    #[error("there is no table {table}{}; \\dt (or SHOW TABLES) lists all tables", hint(.nearest))]
    UnknownTable { table: String, nearest: Vec<String> },

    #[error(
        "the tables are in several namespaces ({}): write {} instead of {table}",
        .namespaces.join(", "),
        .namespaces.iter().map(|namespace| format!("{namespace}.{table}")).collect::<Vec<_>>().join(" or ")
    )]
    NoNamespace { table: String, namespaces: Vec<String> },

    #[error("{table} has no \"${kind}\"; there are: {known}")]
    UnknownMetadata {
        table: String,
        kind: String,
        known: String,
    },

    #[error(
        "{table} has no snapshot {snapshot_id}, or it was expired; \"{name}$snapshots\" lists those there are"
    )]
    UnknownSnapshot {
        table: String,
        name: String,
        snapshot_id: i64,
    },

    #[error("{table} had no snapshot at {at} that is still there{oldest}; \"{name}$history\" lists them")]
    BeforeHistory {
        table: String,
        name: String,
        at: String,
        /// `: the oldest is of …`, or nothing.
        oldest: String,
    },

    #[error(
        "{point:?} is neither a snapshot id nor a time such as 2026-01-31T00:00:00Z (with its zone); \
         write \"{name}@<snapshot id>\" or \"{name}@<time>\""
    )]
    PointInTime { name: String, point: String },

    #[error("there is no column {column}{}{}", hint(.nearest), columns(.known))]
    UnknownColumn {
        column: String,
        nearest: Vec<String>,
        /// Shown where nothing is near.
        known: Vec<String>,
    },

    #[error("table {table} has format version {version}; versions 1 and 2 are read here")]
    FormatVersion { table: String, version: String },

    #[error("file {file} is {format}; only Parquet is read here")]
    FileFormat { file: String, format: String },

    /// A file of the table.
    #[error(transparent)]
    Read(ReadError),

    #[error("table {table}: {reason}")]
    State { table: String, reason: String },

    #[error(
        "CSV has no form for the nested column {column}; name its fields, or use --output json or parquet"
    )]
    NestedInCsv { column: String },

    #[error("the query needs more memory than [memory] budget gives; raise it, or ask for less: {0}")]
    Memory(String),

    #[error("cannot write the answer: {0}")]
    Write(#[from] std::io::Error),

    #[error(transparent)]
    Arrow(ArrowError),

    #[error(transparent)]
    Catalog(#[from] CatalogError),

    #[error(transparent)]
    Iceberg(#[from] iceberg::Error),

    #[error("{0}")]
    Engine(String),
}

impl QueryError {
    /// What the engine says, in as few words as it can be said.
    pub fn of(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<QueryError>() {
                Ok(ours) => *ours,
                Err(other) => Self::Engine(other.to_string()),
            },
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => Self::of(*inner),
            DataFusionError::Collection(errors) => match errors.into_iter().next() {
                Some(first) => Self::of(first),
                None => Self::Engine("the engine failed without a word".to_owned()),
            },
            DataFusionError::SQL(error, _) => Self::Engine(match *error {
                ParserError::TokenizerError(what) | ParserError::ParserError(what) => {
                    format!("this is no SQL: {what}")
                }
                ParserError::RecursionLimitExceeded => "the statement is nested too deeply".to_owned(),
            }),
            DataFusionError::SchemaError(schema, _) => match *schema {
                SchemaError::FieldNotFound { field, valid_fields } => {
                    let known: Vec<String> = valid_fields.iter().map(|field| field.name.clone()).collect();
                    Self::unknown_column(&field.name, known)
                }
                other => Self::Engine(other.to_string()),
            },
            other => Self::shared(&other),
        }
    }

    /// An error that several readers share cannot be taken apart, only told.
    fn shared(error: &DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::External(inner) => Self::Engine(inner.to_string()),
            DataFusionError::ResourcesExhausted(detail) => Self::Memory(detail.clone()),
            root => Self::Engine(root.message().trim_end_matches('.').to_owned()),
        }
    }

    fn unknown_column(column: &str, mut known: Vec<String>) -> Self {
        known.sort_unstable();
        known.dedup();
        let near = nearest(column, known.iter().map(String::as_str));
        if !near.is_empty() {
            known.clear();
        }
        Self::UnknownColumn {
            column: quoted(column),
            nearest: near.iter().map(|name| quoted(name)).collect(),
            known: known.iter().map(|name| quoted(name)).collect(),
        }
    }
}

impl From<ArrowError> for QueryError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => Self::Write(error),
            other => Self::Arrow(other),
        }
    }
}

impl From<ReadError> for QueryError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Memory(detail) => Self::Memory(detail),
            other => Self::Read(other),
        }
    }
}

impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> Self {
        Self::External(Box::new(error))
    }
}

/// A name as it has to be written: SQL turns names without quotes into lower case.
pub fn quoted(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn hint(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        near => format!(" (did you mean {}?)", near.join(" or ")),
    }
}

fn columns(known: &[String]) -> String {
    match known {
        [] => String::new(),
        known => format!("; there are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_differs_in_case_is_shown_with_its_quotes() {
        let error = QueryError::unknown_column("createdat", vec!["createdAt".to_owned(), "id".to_owned()]);
        assert!(
            error.to_string().contains("(did you mean \"createdAt\"?)"),
            "{error}"
        );
    }

    #[test]
    fn what_readers_met_comes_through_the_engine_as_it_was() {
        let met = ReadError::File {
            file: "f".to_owned(),
            reason: "gone".to_owned(),
        };
        let through = DataFusionError::from(QueryError::from(met)).context("while reading");
        assert_eq!(QueryError::of(through).to_string(), "file f cannot be read: gone");
    }
}
