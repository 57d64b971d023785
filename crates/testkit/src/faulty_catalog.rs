//! A catalog as one simulated process reaches it: over a bad network.

use std::sync::Arc;

use async_trait::async_trait;
use iceberg::{NamespaceIdent, TableCreation, TableIdent};
use tabletopic_catalog::{Catalog, CatalogError, CommitOutcome, LoadedTable, TableChange};

use crate::weather::{Luck, Weather};

/// Passes requests on as the [`Weather`] lets it. A commit may be applied late: after its sender has looked the
/// table up, and after others have committed.
#[derive(Debug)]
pub struct FaultyCatalog {
    inner: Arc<dyn Catalog>,
    weather: Arc<Weather>,
}

impl FaultyCatalog {
    pub fn new(inner: Arc<dyn Catalog>, weather: Arc<Weather>) -> Self {
        Self { inner, weather }
    }

    fn unavailable(&self, operation: &str) -> CatalogError {
        CatalogError::Unavailable {
            catalog: self.inner.name().to_owned(),
            operation: operation.to_owned(),
            reason: "simulated outage".to_owned(),
            check: "the seed".to_owned(),
            source: None,
        }
    }

    /// A request whose failure is always [`CatalogError::Unavailable`].
    async fn ask<T>(
        &self,
        operation: &str,
        request: impl Future<Output = Result<T, CatalogError>> + Send,
    ) -> Result<T, CatalogError> {
        let answer = match self.weather.ahead().await {
            Luck::Good => request.await,
            Luck::SlowAnswer(wait) => {
                let answer = request.await;
                tokio::time::sleep(wait).await;
                answer
            }
            Luck::SlowRequest(wait) => {
                tokio::time::sleep(wait).await;
                request.await
            }
            Luck::Refused | Luck::LostRequest => Err(self.unavailable(operation)),
            Luck::LostAnswer | Luck::Late(_) => {
                let _ = request.await;
                Err(self.unavailable(operation))
            }
            Luck::DiesBefore => self.weather.dies().await,
            Luck::DiesAfter => {
                let _ = request.await;
                self.weather.dies().await
            }
        };
        self.weather.passes().await;
        answer
    }
}

#[async_trait]
impl Catalog for FaultyCatalog {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.ask("create namespace", self.inner.create_namespace(namespace))
            .await
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>, CatalogError> {
        self.ask("list namespaces", self.inner.list_namespaces()).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        self.ask("list tables", self.inner.list_tables(namespace)).await
    }

    async fn load(&self, table: &TableIdent) -> Result<LoadedTable, CatalogError> {
        self.ask("load table", self.inner.load(table)).await
    }

    async fn create(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        self.ask("create table", self.inner.create(namespace, creation))
            .await
    }

    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome {
        let unknown = || CommitOutcome::Unknown("simulated time-out".to_owned());
        let outcome = match self.weather.ahead().await {
            Luck::Good => self.inner.commit(base, change).await,
            Luck::SlowAnswer(wait) => {
                let outcome = self.inner.commit(base, change).await;
                tokio::time::sleep(wait).await;
                outcome
            }
            Luck::SlowRequest(wait) => {
                tokio::time::sleep(wait).await;
                self.inner.commit(base, change).await
            }
            Luck::Refused => CommitOutcome::Unavailable("simulated outage".to_owned()),
            Luck::LostRequest => unknown(),
            Luck::LostAnswer => {
                let _ = self.inner.commit(base, change).await;
                unknown()
            }
            Luck::Late(wait) => {
                // On the network, where the sender's death no longer stops it.
                let (inner, base) = (self.inner.clone(), base.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    let _ = inner.commit(&base, change).await;
                });
                unknown()
            }
            Luck::DiesBefore => self.weather.dies().await,
            Luck::DiesAfter => {
                let _ = self.inner.commit(base, change).await;
                self.weather.dies().await
            }
        };
        self.weather.passes().await;
        outcome
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError> {
        self.ask("drop table", self.inner.drop_table(table)).await
    }
}
