//! The state to go back to where the history of `main` shows no snapshot of ours any more: the longest prefix of the
//! ledger that has just the rows of `main`.

use std::fmt::Display;

use tabletopic_offsets::{Held, LedgerPrefix, PrefixError, SnapshotRef, TableState, refuse_cut};

use crate::commit::{Base, CommitError, Counted, Halt, Tagged};
use crate::follower::ledger::Ledger;
use crate::lake::Lake;
use crate::rows;

/// Our snapshot with which `main` had the rows that it holds, and the table's state then.
///
/// # Errors
/// Refused where the ledger shows none, or rows do not tell which; those of reading `main` and the ledger.
pub(super) async fn prefix(
    lake: &Lake,
    base: &Base<TableState>,
    tagged: &Tagged<TableState>,
    held: &Held,
) -> Result<(SnapshotRef, TableState), CommitError> {
    let ledger = Ledger::open(lake, base, tagged).await?;
    let replaced = ledger.replaced().await?;
    let refused = |detail: &dyn Display| Halt::Resolve {
        table: base.table.ident.clone(),
        detail: untold(
            detail,
            tagged.snapshot.snapshot_id(),
            replaced.is_empty() && tagged.state.retired.is_empty(),
        ),
    };
    let mut prefix = LedgerPrefix::new(&tagged.state, held);
    let (since, older) = 'found: loop {
        let entries = ledger.newest(prefix.reach()).await?;
        if entries.is_empty() {
            return Err(refused(&PrefixError::Ends).into());
        }
        for entry in &entries {
            // A rewind goes further back than to the entry before it.
            if entry.snapshot.sequence_number > prefix.reach() {
                continue;
            }
            if let Some(older) = prefix.step(entry).map_err(|error| refused(&error))? {
                break 'found (entry.snapshot, older);
            }
        }
    };
    for replaced in &replaced {
        refuse_cut(held, replaced).map_err(|error| refused(&error))?;
    }
    if let Some(head) = base.head()
        && Some(rows::held(lake, &base.table, head.snapshot_id()).await?) != older.held()
    {
        return Err(refused(&"`main` holds an offset more than once, which no state of ours did").into());
    }
    Ok((since, older))
}

/// Why it is refused, and what there is to do instead. Once a log was cut, rows that are missing cannot be declared lost:
/// those that are there may be older than the cut. Nor once retention has removed rows.
fn untold(detail: &dyn Display, newest: i64, rows_tell: bool) -> String {
    let or = match rows_tell {
        true => ". Or accept what is missing as lost by `--declare-lost`",
        false => "",
    };
    format!(
        "no snapshot of ours is left in the history of `main`, and the ledger does not tell to which state it was \
         rolled back: {detail}. Set `main` to our newest snapshot {newest}, where the tag `tabletopic` points: all of \
         our rows are there again, and what others have changed since is undone{or}"
    )
}
