//! What is left of an earlier attempt.

use iceberg::TableIdent;
use tabletopic_catalog::CatalogError;
use tabletopic_offsets::Follower;
use tabletopic_table::Lake;
use tabletopic_table::follower::ident;

use crate::ReplayError;
use crate::note::{DISCARDING, Note};

/// How far a replay is that is asked for again.
#[derive(Debug, Clone)]
pub enum Standing {
    /// There is no such table.
    New,
    /// Its table was not finished: whoever made it left in between. It holds nothing.
    Unfinished,
    /// It goes on, between the offsets that its table names.
    Begun(Note),
}

/// Looks at the table of a replay; `words` are those of the command.
///
/// # Errors
/// The table is none of this replay; outages.
pub async fn standing(lake: &Lake, table: &TableIdent, words: &str) -> Result<Standing, ReplayError> {
    let loaded = match lake.catalog.load(table).await {
        Err(CatalogError::NotFound { .. }) => {
            nothing_beside(lake, table).await?;
            return Ok(Standing::New);
        }
        loaded => loaded?,
    };
    let Some(note) = Note::of_table(table, &loaded.metadata)? else {
        return Err(ReplayError::NoReplay { table: table.clone() });
    };
    if loaded.metadata.current_schema().as_struct().fields().is_empty() {
        return Ok(Standing::Unfinished);
    }
    if loaded.metadata.properties().contains_key(DISCARDING) {
        return Err(ReplayError::Discarding { table: table.clone() });
    }
    match note.words == words {
        true => Ok(Standing::Begun(note)),
        false => Err(ReplayError::Another {
            table: table.clone(),
            was: note.words,
        }),
    }
}

/// Dead letters and a ledger that are left over would be taken for the replay's own.
async fn nothing_beside(lake: &Lake, table: &TableIdent) -> Result<(), ReplayError> {
    for beside in [Follower::DeadLetters, Follower::Ledger].map(|follower| ident(table, follower)) {
        match lake.catalog.load(&beside).await {
            Err(CatalogError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(ReplayError::NoReplay { table: beside }),
        }
    }
    Ok(())
}
