//! The statements that move several tables at once, or one to another name.

use iceberg::TableIdent;
use sqlx::error::ErrorKind;

use super::backend::{Backend, Statement, Transacted};
use super::rows::{Move, Rows};
use crate::{CatalogError, Entry};

/// One table's part of a transaction.
pub(super) struct TableMove {
    pub(super) table: TableIdent,
    /// Where its metadata is; `None`: the table is new.
    pub(super) from: Option<String>,
    pub(super) to: String,
}

impl<B: Backend> Rows<B> {
    /// Makes all moves or none. [`Move::Moved`] if one of the tables is not where it is moved from.
    pub(super) async fn swap_all(&self, moves: &[TableMove]) -> Move {
        let operation = || "commit to several tables".to_owned();
        let insert = self.layout.insert_table();
        let update = self.layout.swap_table();
        // Rows are locked in one order, whoever comes from where.
        let mut in_order: Vec<&TableMove> = moves.iter().collect();
        in_order.sort_by(|a, b| a.table.cmp(&b.table));
        let namespaces = in_order
            .iter()
            .map(|one| self.written(&one.table.namespace, operation));
        let namespaces: Vec<String> = match namespaces.collect() {
            Ok(namespaces) => namespaces,
            Err(error) => return Move::NotSent(error),
        };
        let statements = in_order.iter().zip(&namespaces).map(|(one, namespace)| {
            let (catalog, name) = (self.catalog.as_str(), one.table.name.as_str());
            match &one.from {
                Some(from) => Statement::must_write(&update, &[catalog, namespace, name, from, &one.to]),
                None => Statement::must_write(insert, &[catalog, namespace, name, &one.to]),
            }
        });
        let statements: Vec<Statement<'_>> = statements.collect();
        match self.backend.transact(&statements).await {
            Transacted::NotSent(sqlx::Error::Database(error))
                if error.kind() == ErrorKind::UniqueViolation =>
            {
                Move::Moved
            }
            transacted => self.moved(transacted, operation),
        }
    }

    /// Gives a table another name. `None`: that name is taken; false: there is no such table.
    pub(super) async fn rename_table(
        &self,
        from: &TableIdent,
        to: &TableIdent,
    ) -> Result<Option<bool>, CatalogError> {
        let operation = || format!("rename {}", Entry::Table(from.clone()));
        let sql = format!(
            "UPDATE iceberg_tables SET table_namespace = $4, table_name = $5 WHERE {}",
            self.layout.one_table()
        );
        let old = self.written(&from.namespace, operation)?;
        let new = self.written(&to.namespace, operation)?;
        let parameters = [self.catalog.as_str(), &old, &from.name, &new, &to.name];
        match self.backend.write(&sql, &parameters).await {
            Ok(rows) => Ok(Some(rows > 0)),
            Err(sqlx::Error::Database(error)) if error.kind() == ErrorKind::UniqueViolation => Ok(None),
            Err(error) => Err(self.failed(operation(), error)),
        }
    }
}
