//! A catalog whose answers to commits are counted: conflicts and lost answers are seen where they happen, whoever of
//! the main table and its followers met them.

use std::sync::Arc;

use async_trait::async_trait;
use iceberg::{NamespaceIdent, TableCreation, TableIdent};
use tabletopic_catalog::{Catalog, CatalogError, CommitOutcome, LoadedTable, TableChange};

use super::Metrics;

/// See the module.
#[derive(Debug)]
pub struct CountAnswers {
    inner: Arc<dyn Catalog>,
    metrics: Arc<Metrics>,
}

impl CountAnswers {
    pub fn new(inner: Arc<dyn Catalog>, metrics: Arc<Metrics>) -> Self {
        Self { inner, metrics }
    }
}

/// Every word for an answer.
pub const ANSWERS: [&str; 5] = ["applied", "conflict", "rejected", "unavailable", "unknown"];

fn word(outcome: &CommitOutcome) -> &'static str {
    match outcome {
        CommitOutcome::Applied(_) => "applied",
        CommitOutcome::Conflict(_) => "conflict",
        CommitOutcome::Rejected(_) => "rejected",
        CommitOutcome::Unavailable(_) => "unavailable",
        CommitOutcome::Unknown(_) => "unknown",
    }
}

#[async_trait]
impl Catalog for CountAnswers {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.inner.create_namespace(namespace).await
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>, CatalogError> {
        self.inner.list_namespaces().await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        self.inner.list_tables(namespace).await
    }

    async fn load(&self, table: &TableIdent) -> Result<LoadedTable, CatalogError> {
        self.inner.load(table).await
    }

    async fn metadata_location(&self, table: &TableIdent) -> Result<String, CatalogError> {
        self.inner.metadata_location(table).await
    }

    async fn create(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        self.inner.create(namespace, creation).await
    }

    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome {
        let outcome = self.inner.commit(base, change).await;
        let labels = [base.ident.to_string(), word(&outcome).to_owned()];
        self.metrics.commit_answers.with_label_values(&labels).inc();
        outcome
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError> {
        self.inner.drop_table(table).await
    }
}
