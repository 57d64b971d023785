//! What has to be known and done beside a table of ours: snapshots that nothing older gets past, and dead letters that
//! wait for their table.

use iceberg::TableIdent;
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_offsets::{Follower, TableState};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Base, CommitError, Fence, TAG, Tagged, WITNESS, Waiting, commit};
use tabletopic_table::follower::{FollowerState, dead_letters, entry, ident};

use super::error::OrphansError;
use super::reachable::Reachable;
use crate::owner::Owner;

/// For the ledger.
const REASON: &str = "orphan files are removed: nothing that was written before comes in late";

/// What a table is to us, as far as its files go.
#[derive(Debug)]
pub(super) struct Ours {
    owner: Owner,
    /// The main table, if this one is for its dead letters: files in this table's folder wait in its outbox.
    main: Option<TableIdent>,
}

impl Ours {
    /// # Errors
    /// Halts of a table of ours whose tag is gone, and [`OrphansError::NoMain`].
    pub(super) async fn of(lake: &Lake, table: &LoadedTable) -> Result<Self, OrphansError> {
        let owner = Owner::of(table);
        if owner == Owner::Others && table.metadata.properties().contains_key(WITNESS) {
            Base::<TableState>::read(table.clone())?;
        }
        let main = match main_of(&table.ident, Follower::DeadLetters) {
            Some(main) => is_there(lake, table, owner, &main).await?.then_some(main),
            None if owner == Owner::Follower => {
                let main = main_of(&table.ident, Follower::Ledger).unwrap_or_else(|| table.ident.clone());
                if !is_there(lake, table, owner, &main).await? {
                    return Err(no_main(table, main));
                }
                None
            }
            None => None,
        };
        Ok(Self { owner, main })
    }

    /// Commits the empty snapshots, and answers the manifest list of this table's own. The one of the main table comes
    /// last: what was written before the first of them was written before both.
    ///
    /// # Errors
    /// A halt of one of the tables, and what is not transient.
    pub(super) async fn fence(
        &self,
        lake: &Lake,
        table: &TableIdent,
        waiting: &dyn Waiting,
    ) -> Result<Option<String>, OrphansError> {
        let mut fence = Fence { lake, reason: REASON };
        let snapshot = match self.owner {
            Owner::Main => {
                commit::<TableState>(lake, table, &mut fence, waiting)
                    .await?
                    .snapshot
            }
            Owner::Follower => {
                commit::<FollowerState>(lake, table, &mut fence, waiting)
                    .await?
                    .snapshot
            }
            Owner::Others => None,
        };
        if let Some(main) = &self.main {
            commit::<TableState>(lake, main, &mut fence, waiting).await?;
        }
        Ok(snapshot.map(|snapshot| snapshot.manifest_list().to_owned()))
    }

    /// Adds the dead letters that wait for this table. Has to be called *before* the table is loaded: what is no longer
    /// in the outbox by then is in the table.
    ///
    /// # Errors
    /// Those of the catalog, and a state that cannot be read.
    pub(super) async fn add_waiting(
        &self,
        lake: &Lake,
        reachable: &mut Reachable,
    ) -> Result<(), OrphansError> {
        let Some(main) = &self.main else {
            return Ok(());
        };
        let base = Base::<TableState>::read(lake.catalog.load(main).await?)?;
        let schema = dead_letters::schema().map_err(CommitError::from)?;
        for waiting in base.state().iter().flat_map(|state| &state.outbox.dead_letters) {
            reachable.insert(entry::read(&waiting.entry, &schema)?.file_path())?;
        }
        Ok(())
    }
}

/// The main table of a follower, by the follower's name.
fn main_of(table: &TableIdent, follower: Follower) -> Option<TableIdent> {
    let suffix = ident(&TableIdent::new(table.namespace.clone(), String::new()), follower).name;
    let name = table.name.strip_suffix(&suffix).filter(|name| !name.is_empty())?;
    Some(TableIdent::new(table.namespace.clone(), name.to_owned()))
}

/// Whether the main table is there. It has to be if the follower holds something of it.
async fn is_there(
    lake: &Lake,
    table: &LoadedTable,
    owner: Owner,
    main: &TableIdent,
) -> Result<bool, OrphansError> {
    let loaded = match lake.catalog.load(main).await {
        Ok(loaded) => Some(loaded),
        Err(CatalogError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let Some(loaded) = loaded.filter(|main| Owner::of(main) == Owner::Main) else {
        return match owner {
            Owner::Follower => Err(no_main(table, main.clone())),
            Owner::Main | Owner::Others => Ok(false),
        };
    };
    let Some(tagged) = table
        .metadata
        .snapshot_for_ref(TAG)
        .filter(|_| owner == Owner::Follower)
    else {
        return Ok(true);
    };
    let state = Tagged::<FollowerState>::read(table, tagged)?.state;
    if state.drained.table_uuid != loaded.metadata.uuid().to_string() {
        return Err(no_main(table, main.clone()));
    }
    Ok(true)
}

fn no_main(table: &LoadedTable, main: TableIdent) -> OrphansError {
    OrphansError::NoMain {
        table: table.ident.clone(),
        main,
    }
}
