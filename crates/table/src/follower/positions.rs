//! Where the followers of a table stand, for whoever only looks.

use iceberg::TableIdent;
use tabletopic_offsets::{Follower, FollowerPosition};

use super::ident;
use super::state::FollowerState;
use crate::commit::{Base, CommitError};
use crate::lake::Lake;

/// The positions of those that have one. One that is missing, or whose state can't be read, has none.
///
/// # Errors
/// An outage of the catalog.
pub async fn positions(
    lake: &Lake,
    main: &TableIdent,
) -> Result<Vec<(Follower, FollowerPosition)>, CommitError> {
    let mut positions = Vec::new();
    for follower in [Follower::DeadLetters, Follower::Ledger] {
        let table = match lake
            .catalog
            .load(&ident(main, follower))
            .await
            .map_err(CommitError::from)
        {
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => continue,
            Ok(table) => table,
        };
        let tagged = Base::<FollowerState>::read(table)
            .ok()
            .and_then(|base| base.tagged);
        positions.extend(tagged.map(|tagged| (follower, tagged.state.drained)));
    }
    Ok(positions)
}
