//! What a database has to do for a catalog.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::CatalogError;

/// A database with the two tables of the layout. It runs statements whose parameters (`$1`, `$2`, and so on) and answers
/// are text, and never sends one again by itself.
#[async_trait]
pub trait Backend: Debug + Send + Sync {
    /// The rows that a statement finds.
    async fn read(&self, sql: &str, parameters: &[&str]) -> sqlx::Result<Vec<Row>>;

    /// How many rows a statement has written; 0 as well if that is how many there were to write. After an error that may
    /// be open.
    async fn write(&self, sql: &str, parameters: &[&str]) -> sqlx::Result<u64>;

    /// Runs statements in one transaction, all or none, and tells exactly what became of them.
    async fn transact(&self, statements: &[Statement<'_>]) -> Transacted;

    /// Whether all statements of a writer may run, as far as can be told without running one.
    async fn may_write(&self, _catalog: &str) -> Result<(), CatalogError> {
        Ok(())
    }

    /// What a failure means for `operation` (a verb with its object) on `catalog`.
    fn failed(&self, catalog: &str, operation: String, error: sqlx::Error) -> CatalogError;

    /// Where the rows are, for a person.
    fn place(&self) -> String;
}

/// The columns of a row: texts, or NULL.
pub type Row = Vec<Option<String>>;

/// One of the statements of a transaction.
#[derive(Debug)]
pub struct Statement<'s> {
    pub sql: &'s str,
    pub parameters: Vec<&'s str>,
    /// If it finds no row to write, none of the transaction is written.
    pub must_write: bool,
}

impl<'s> Statement<'s> {
    pub fn must_write(sql: &'s str, parameters: &[&'s str]) -> Self {
        Self {
            sql,
            parameters: parameters.to_vec(),
            must_write: true,
        }
    }

    pub fn may_write(sql: &'s str, parameters: &[&'s str]) -> Self {
        Self {
            must_write: false,
            ..Self::must_write(sql, parameters)
        }
    }
}

/// What became of a transaction.
#[derive(Debug)]
pub enum Transacted {
    /// How many rows each statement has written.
    Done(Vec<u64>),
    /// A statement that must write found no row: it is not the expected one any more, or gone. Nothing was written.
    Moved,
    /// It failed before `COMMIT` was sent: nothing was written, nor will be.
    NotSent(sqlx::Error),
    /// `COMMIT` was sent, and its answer is not "done".
    Unanswered(String),
}
