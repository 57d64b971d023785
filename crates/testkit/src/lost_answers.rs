//! A catalog whose answers to commits get lost, one after the other as a script says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use iceberg::{NamespaceIdent, TableCreation, TableIdent};
use tabletopic_catalog::{Catalog, CatalogError, CommitOutcome, LoadedTable, TableChange};

/// What becomes of one commit, whose sender hears nothing but [`CommitOutcome::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The catalog never gets it.
    Request,
    /// The catalog carries it out.
    Answer,
    /// It is still on its way when its sender looks the table up, and is carried out right after that.
    Late,
}

/// See the module. Commits after the end of the script are answered truly.
#[derive(Debug)]
pub struct LostAnswers {
    inner: Arc<dyn Catalog>,
    script: Mutex<VecDeque<Lost>>,
    on_its_way: Mutex<Option<(LoadedTable, TableChange)>>,
}

impl LostAnswers {
    pub fn new(inner: Arc<dyn Catalog>) -> Self {
        Self {
            inner,
            script: Mutex::default(),
            on_its_way: Mutex::default(),
        }
    }

    /// What becomes of the next commits; what an earlier script still holds is forgotten.
    pub fn lose(&self, script: &[Lost]) {
        *self.script.lock().expect("nobody has panicked") = script.iter().copied().collect();
    }

    /// What the script still holds: a test that counts on a loss sees whether it happened.
    pub fn still_to_lose(&self) -> usize {
        self.script.lock().expect("nobody has panicked").len()
    }
}

#[async_trait]
impl Catalog for LostAnswers {
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
        let loaded = self.inner.load(table).await;
        let late = self.on_its_way.lock().expect("nobody has panicked").take();
        if let Some((base, change)) = late {
            // Its sender is not there any more to hear.
            let _ = self.inner.commit(&base, change).await;
        }
        loaded
    }

    async fn create(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        self.inner.create(namespace, creation).await
    }

    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome {
        let lost = self.script.lock().expect("nobody has panicked").pop_front();
        match lost {
            None => return self.inner.commit(base, change).await,
            Some(Lost::Request) => {}
            Some(Lost::Answer) => {
                let _ = self.inner.commit(base, change).await;
            }
            Some(Lost::Late) => {
                *self.on_its_way.lock().expect("nobody has panicked") = Some((base.clone(), change));
            }
        }
        CommitOutcome::Unknown("the connection broke (a fault of the test)".to_owned())
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError> {
        self.inner.drop_table(table).await
    }
}
