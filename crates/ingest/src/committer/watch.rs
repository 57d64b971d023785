//! What a committer does while nothing is committed: sees rollbacks and answers to halts, renews the tag under
//! another writer's snapshots, and brings the followers up to date.

use std::time::Duration;

use tabletopic_catalog::CatalogError;
use tabletopic_offsets::{Follower, TableState};
use tabletopic_table::commit::{Base, CommitError, LogWaiting, Renew, commit, make_room};
use tabletopic_table::follower::drain::drain;
use tabletopic_table::follower::ident;
use tokio::time::Instant;

use super::{Committer, Standstill, log_line};
use crate::halts::Scope;

/// The ledger is brought up to date this often, or when the outbox asks for it. Each drain is a commit to another
/// table; the outbox is safe for a day.
const DRAIN: Duration = Duration::from_secs(300);

impl Committer {
    pub(super) async fn watch(&mut self) {
        if self.generations.is_empty() && !self.is_halted() {
            return;
        }
        let Some(location) = self.location().await else {
            return;
        };
        let nothing_new = match &self.standstill {
            Some(Standstill::Answered { halted_at }) => halted_at.as_ref() == Some(&location),
            Some(Standstill::Drained) => false,
            // A table at which nothing happens costs next to nothing.
            None => {
                self.looked_at.as_ref() == Some(&location) && self.refused.is_empty() && !self.is_drain_due()
            }
        };
        if !nothing_new {
            self.look_at_table(location).await;
        }
        if !self.is_halted() {
            self.look_at_topics().await;
        }
    }

    async fn look_at_table(&mut self, location: String) {
        let mut renew = Renew {
            lake: &self.lake,
            followers: &self.followers,
        };
        let began = Instant::now();
        match commit(&self.lake, &self.table, &mut renew, &LogWaiting).await {
            Ok(committed) => {
                self.observed.saw(&committed.base);
                log_line::committed(&self.table, &committed, began.elapsed());
                match &self.standstill {
                    None => {
                        self.restart_if_superseded(&committed.base);
                        self.looked_at = Some(committed.base.table.metadata_location.clone());
                    }
                    Some(Standstill::Answered { .. }) => self.resume(),
                    Some(Standstill::Drained) => {
                        self.drain_both(&committed.base).await;
                        if self.has_room(&committed.base) {
                            self.resume();
                        }
                        return;
                    }
                }
                self.drain_if_due(&committed.base).await;
            }
            Err(error) => {
                self.halt(error).await;
                // Until somebody changes the table, it stays so.
                if let Some(Standstill::Answered { halted_at }) = &mut self.standstill {
                    *halted_at = Some(location);
                }
            }
        }
    }

    /// Where the table's metadata is now. An outage is shown, since nothing else may ask the catalog for a long time.
    async fn location(&self) -> Option<String> {
        let location = self.lake.catalog.metadata_location(&self.table).await;
        self.shown(location)
    }

    fn shown<T>(&self, looked: Result<T, CatalogError>) -> Option<T> {
        looked
            .inspect_err(|error| tracing::warn!(table = %self.table, "not looked at: {error}"))
            .ok()
    }

    /// The table can be committed to again: somebody has answered the halt.
    pub(super) fn resume(&mut self) {
        self.standstill = None;
        let table = self.table.clone();
        self.observed
            .halts
            .lift(|scope| matches!(scope, Scope::Table { table: halted } if *halted == table));
        for id in self.jobs.keys().cloned().collect::<Vec<_>>() {
            self.restart(&id);
        }
    }

    /// Dead letters at once, because somebody waits for them; ledger rows now and then.
    pub(super) async fn drain_if_due(&mut self, main: &Base<TableState>) {
        let Some(state) = main.state() else { return };
        if self.is_drain_due() || state.outbox.is_drain_due() {
            self.drain_both(main).await;
        } else if !state.outbox.dead_letters.is_empty() || !state.outbox.removals.is_empty() {
            self.drain(main, Follower::DeadLetters).await;
        }
    }

    fn is_drain_due(&self) -> bool {
        self.drained.is_none_or(|last| last.elapsed() >= DRAIN)
    }

    async fn drain_both(&mut self, main: &Base<TableState>) {
        // A table that has no state yet has nothing to drain.
        self.drained = main.state().map(|_| Instant::now());
        self.drain(main, Follower::DeadLetters).await;
        self.drain(main, Follower::Ledger).await;
    }

    fn has_room(&self, main: &Base<TableState>) -> bool {
        let mut outbox = main.state().map(|state| state.outbox.clone()).unwrap_or_default();
        make_room(&self.table, &mut outbox, &self.followers, self.lake.clock.now()).is_ok()
    }

    /// Both followers hold all that the table says.
    pub(super) async fn drain_all(&mut self) {
        let loaded = self.lake.catalog.load(&self.table).await;
        let Some(table) = self.shown(loaded) else { return };
        if let Ok(main) = Base::read(table) {
            self.drain_both(&main).await;
        }
    }

    /// A follower that can't be written to halts by itself; the main table goes on until the outbox is full.
    async fn drain(&mut self, main: &Base<TableState>, follower: Follower) {
        let scope = Scope::Table {
            table: ident(&self.table, follower),
        };
        match drain(&self.lake, main, follower, &LogWaiting).await {
            Ok(position) => {
                self.observed.halts.lift(|halted| *halted == scope);
                self.followers.retain(|(known, _)| *known != follower);
                self.followers
                    .extend(position.map(|position| (follower, position)));
            }
            Err(error) => {
                // Tried again at the next look.
                self.drained = None;
                match error {
                    CommitError::Halt(halt) => self.observed.halts.raise(scope, &halt),
                    error => tracing::warn!(
                        table = %self.table, %follower, "not drained, tried again later: {error}"
                    ),
                }
            }
        }
    }
}
