//! The statements that move several tables at once, or one to another name.

use iceberg::TableIdent;
use sqlx::Transaction;
use sqlx::sqlite::Sqlite;

use super::backend::{Backend, Swap};
use crate::{CatalogError, Entry};

/// One table's part of a transaction.
pub(super) struct Move {
    pub(super) table: TableIdent,
    /// Where its metadata is; `None`: the table is new.
    pub(super) from: Option<String>,
    pub(super) to: String,
}

impl Backend {
    /// Makes all moves or none. [`Swap::Moved`] if one of the tables is not where it is moved from.
    pub(super) async fn swap_all(&self, moves: &[Move]) -> Swap {
        let operation = || "commit to several tables".to_owned();
        let mut transaction = match self.pool.begin_with("BEGIN EXCLUSIVE").await {
            Ok(transaction) => transaction,
            Err(error) => return Swap::NotSent(self.failed(operation(), error)),
        };
        for one in moves {
            let moved = match &one.from {
                Some(from) => self.swap_in(&mut transaction, &one.table, from, &one.to).await,
                None => self.insert_table(&mut *transaction, &one.table, &one.to).await,
            };
            match moved {
                Ok(true) => {}
                Ok(false) => return Swap::Moved,
                Err(error) => return Swap::NotSent(error),
            }
        }
        self.send(transaction).await
    }

    /// Whether the table was there, and is moved once `transaction` is committed.
    pub(super) async fn swap_in(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        table: &TableIdent,
        from: &str,
        to: &str,
    ) -> Result<bool, CatalogError> {
        let operation = || format!("commit to {}", Entry::Table(table.clone()));
        let updated = sqlx::query(&format!(
            "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND metadata_location = ? AND {}",
            self.layout.is_table()
        ))
        .bind(to)
        .bind(from)
        .bind(&self.catalog)
        .bind(self.written(&table.namespace, operation)?)
        .bind(&table.name)
        .bind(from)
        .execute(&mut **transaction)
        .await
        .map_err(|error| self.failed(operation(), error))?;
        Ok(updated.rows_affected() > 0)
    }

    /// Gives a table another name. `None`: that name is taken; false: there is no such table.
    pub(super) async fn rename_table(
        &self,
        from: &TableIdent,
        to: &TableIdent,
    ) -> Result<Option<bool>, CatalogError> {
        let operation = || format!("rename {}", Entry::Table(from.clone()));
        let renamed = sqlx::query(&format!(
            "UPDATE iceberg_tables SET table_namespace = ?, table_name = ?
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND {}",
            self.layout.is_table()
        ))
        .bind(self.written(&to.namespace, operation)?)
        .bind(&to.name)
        .bind(&self.catalog)
        .bind(self.written(&from.namespace, operation)?)
        .bind(&from.name)
        .execute(&self.pool)
        .await;
        match renamed {
            Ok(renamed) => Ok(Some(renamed.rows_affected() > 0)),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(None),
            Err(error) => Err(self.failed(operation(), error)),
        }
    }
}
