//! Commits to one table, and to several at once. A commit that lost against another writer is built again here, on what
//! that writer left, as long as its requirements hold: an engine and the ingest may write at the same moment.

use std::collections::HashSet;
use std::time::Duration;

use http::StatusCode;
use iceberg::{TableIdent, TableRequirement, TableUpdate};
use serde::Deserialize;

use super::RestCatalog;
use super::error::Refusal;
use super::names::Identifier;
use super::reply::{Reply, Snapshots};
use super::request::Asked;
use super::requirements::{applied_before, check, stale};
use super::tables::ident;
use crate::{CatalogError, CommitOutcome, LoadedTable, TableChange, TableCommit};

/// How often a commit is built that others overtake.
const ATTEMPTS: u32 = 5;
/// Before the second attempt; then twice as long each time.
const PAUSE: Duration = Duration::from_millis(20);

/// Tables of one transaction.
const MOST_TABLES: usize = 100;

#[derive(Deserialize)]
struct CommitTable {
    /// Only in transactions; elsewhere the path names the table.
    identifier: Option<Identifier>,
    requirements: Vec<TableRequirement>,
    updates: Vec<TableUpdate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct CommitTransaction {
    table_changes: Vec<CommitTable>,
}

/// A commit to one table, as it is asked for.
struct Wanted {
    table: TableIdent,
    requirements: Vec<TableRequirement>,
    updates: Vec<TableUpdate>,
}

impl Wanted {
    /// It makes the table, and requires that it is not there.
    fn is_creation(&self) -> Result<bool, Refusal> {
        let creates = self.requirements.contains(&TableRequirement::NotExist);
        match creates && self.requirements.len() > 1 {
            false => Ok(creates),
            true => Err(Refusal::bad_request(
                "Invalid create requirements: a table that is to be made has nothing else to require",
            )),
        }
    }
}

/// What became of an attempt.
enum Attempt {
    Applied(Vec<LoadedTable>),
    /// The same has been applied by an earlier request.
    AppliedBefore(Vec<LoadedTable>),
    /// Somebody else was faster.
    Overtaken(String),
}

impl RestCatalog {
    pub(super) async fn commit_table(
        &self,
        namespace: &str,
        table: &str,
        asked: &Asked,
    ) -> Result<Reply, Refusal> {
        let commit: CommitTable = asked.json()?;
        let wanted = Wanted {
            table: ident(namespace, table)?,
            requirements: commit.requirements,
            updates: commit.updates,
        };
        let tables = self.commit(&[wanted]).await?;
        match tables.first() {
            Some(table) => Reply::table(table, Snapshots::All),
            None => Ok(Reply::Done),
        }
    }

    pub(super) async fn commit_transaction(&self, asked: &Asked) -> Result<Reply, Refusal> {
        let transaction: CommitTransaction = asked.json()?;
        if transaction.table_changes.len() > MOST_TABLES {
            return Err(Refusal::bad_request(format!(
                "a transaction changes at most {MOST_TABLES} tables"
            )));
        }
        let mut wanted = Vec::with_capacity(transaction.table_changes.len());
        let mut seen = HashSet::new();
        for commit in transaction.table_changes {
            let identifier = commit
                .identifier
                .ok_or_else(|| Refusal::bad_request("each of the table-changes has an identifier"))?;
            let table = identifier.table()?;
            if !seen.insert(table.clone()) {
                return Err(Refusal::bad_request(format!(
                    "table {table} is among the table-changes more than once; join them into one"
                )));
            }
            wanted.push(Wanted {
                table,
                requirements: commit.requirements,
                updates: commit.updates,
            });
        }
        if !wanted.is_empty() {
            self.commit(&wanted).await?;
        }
        Ok(Reply::Done)
    }

    /// Applies all or none, again and again while others are faster.
    async fn commit(&self, wanted: &[Wanted]) -> Result<Vec<LoadedTable>, Refusal> {
        for one in wanted {
            self.places.check_updates(&one.updates)?;
        }
        let mut pause = PAUSE;
        let mut overtaken = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            match self.attempt(wanted).await? {
                Attempt::Applied(tables) => return Ok(tables),
                Attempt::AppliedBefore(tables) => {
                    tracing::info!("a commit was sent again, and is in the table already");
                    return Ok(tables);
                }
                Attempt::Overtaken(words) => overtaken = words,
            }
        }
        Err(Refusal::commit_failed(format!(
            "others were faster {ATTEMPTS} times: {overtaken}"
        )))
    }

    async fn attempt(&self, wanted: &[Wanted]) -> Result<Attempt, Refusal> {
        let mut commits = Vec::with_capacity(wanted.len());
        let mut failed = None;
        let mut before = Vec::new();
        for one in wanted {
            if one.is_creation()? {
                match self.catalog.load(&one.table).await {
                    Err(CatalogError::NotFound { .. }) => commits.push(TableCommit::Create {
                        ident: one.table.clone(),
                        updates: one.updates.clone(),
                    }),
                    Ok(table) => {
                        if applied_before(&table.metadata, &one.updates) {
                            before.push(table);
                        }
                        failed.get_or_insert_with(|| "Requirement failed: table already exists".to_owned());
                    }
                    Err(error) => return Err(error.into()),
                }
                continue;
            }
            let base = self.catalog.load(&one.table).await?;
            if applied_before(&base.metadata, &one.updates) {
                before.push(base.clone());
            }
            let holds = check(&base.metadata, &one.requirements);
            if let Some(words) = holds.err().or_else(|| stale(&base.metadata, &one.updates)) {
                failed.get_or_insert(words);
            }
            let change = TableChange {
                requirements: one.requirements.clone(),
                updates: one.updates.clone(),
            };
            commits.push(TableCommit::Change { base, change });
        }
        match failed {
            Some(_) if before.len() == wanted.len() => Ok(Attempt::AppliedBefore(before)),
            Some(words) => Err(Refusal::commit_failed(words)),
            None => self.send(commits).await,
        }
    }

    async fn send(&self, mut commits: Vec<TableCommit>) -> Result<Attempt, Refusal> {
        let outcome = match (commits.pop(), commits.is_empty()) {
            (Some(TableCommit::Change { base, change }), true) => {
                self.catalog.commit(&base, change).await.map(|table| vec![table])
            }
            (last, _) => {
                commits.extend(last);
                self.catalog.commit_all(commits).await
            }
        };
        match outcome {
            CommitOutcome::Applied(tables) => Ok(Attempt::Applied(tables)),
            CommitOutcome::Conflict(words) => Ok(Attempt::Overtaken(words)),
            CommitOutcome::Rejected(words) => Err(Refusal::bad_request(words)),
            CommitOutcome::Unavailable(words) => Err(Refusal::try_again(words)),
            CommitOutcome::Unknown(words) => Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "CommitStateUnknownException",
                words,
            )),
        }
    }
}
