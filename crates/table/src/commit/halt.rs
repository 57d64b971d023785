//! Why a table stops, and which command goes on from there (commit protocol, section 7).

use iceberg::TableIdent;
use thiserror::Error;
use uuid::Uuid;

/// A reason to stop committing to a table until somebody has looked. Fails closed: nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Halt {
    #[error(
        "table {table}: the property `tabletopic.table` says that the table is ours, but its tag `tabletopic` is \
         gone, so its progress can't be read. Run `tabletopic resolve {table} --rewind`: it sets the tag back to our \
         newest snapshot, if the table still proves which one that is"
    )]
    TagMissing { table: TableIdent },
    #[error(
        "table {table}: the property `tabletopic.table` says that the table is ours, but its tag `tabletopic` is \
         gone. Set the tag to its newest snapshot that has `tabletopic.follows`; if that can't be done, rename {table}, \
         or drop it, and it is begun anew by itself, with what waits for it"
    )]
    FollowerTagMissing { table: TableIdent },
    #[error(
        "table {table}: the state in snapshot {snapshot_id}, where the tag `tabletopic` points, can't be read: \
         {detail}. If a newer tabletopic wrote it, run that version; else set both `main` and the tag back to an \
         older snapshot of ours, and what came after it is read again"
    )]
    StateUnreadable {
        table: TableIdent,
        snapshot_id: i64,
        detail: String,
    },
    #[error(
        "table {table}: our snapshot {snapshot_id} is no longer in `main`: {seen}. Somebody rolled the table \
         back. To read again from Kafka what the rollback removed, run `tabletopic resolve {table} --rewind`; to \
         accept it as lost, run `tabletopic resolve {table} --declare-lost`"
    )]
    RolledBack {
        table: TableIdent,
        snapshot_id: i64,
        seen: String,
    },
    #[error(
        "table {table}: the tag `tabletopic` was moved back: it points at snapshot {snapshot_id}, but `main` leads to \
         {newest}, which is newer and ours too. Set the tag `tabletopic` to snapshot {newest}; writing goes on by \
         itself then"
    )]
    TagMovedBack {
        table: TableIdent,
        snapshot_id: i64,
        newest: i64,
    },
    #[error(
        "table {table}: cannot tell whether our snapshot {snapshot_id} is still in `main`, because the snapshots \
         between were expired and no file of it is live ({seen}). If the table was rolled back, run `tabletopic \
         resolve {table} --rewind`, which finds in the ledger how far, or says what else to do; if rows were deleted \
         on purpose, run `tabletopic resolve {table} --declare-lost`"
    )]
    HistoryExpired {
        table: TableIdent,
        snapshot_id: i64,
        seen: String,
    },
    #[error(
        "table {table}: its uuid was {expected} and is now {found}: somebody dropped and created it again. Remove \
         or rename the new table, or restart to begin a new one"
    )]
    UuidChanged {
        table: TableIdent,
        expected: Uuid,
        found: Uuid,
    },
    #[error(
        "table {table}: the catalog refuses the commit for good, in its own words: {words}. Nothing was written; \
         the records are read again once this is mended and tabletopic is restarted"
    )]
    Refused { table: TableIdent, words: String },
    #[error(
        "table {table}: the unit's ranges begin above the table's progress: {seen}. Records between were never \
         written. If the broker no longer has them, run `tabletopic resolve {table} --declare-lost`"
    )]
    Ahead { table: TableIdent, seen: String },
    #[error(
        "table {table}: {detail}. Give one of the two another table, or set the `job` key back to its old value \
         if the job was renamed"
    )]
    Anchor { table: TableIdent, detail: String },
    #[error(
        "table {table}: where {topic} starts can't be found out, so nothing of it was read: {detail}. Once the broker \
         answers this, restart tabletopic"
    )]
    StartUnknown {
        table: TableIdent,
        topic: String,
        detail: String,
    },
    #[error(
        "table {table}: the outbox for the dead-letter and ledger tables is full ({seen}), and they can't be \
         written to. Look at what the log says of `{table}__dead_letters` and `{table}__ledger`, and mend that; \
         writing goes on by itself within seconds then"
    )]
    OutboxFull { table: TableIdent, seen: String },
    #[error(
        "table {table}: it stands at snapshot {snapshot_id} of {main} (sequence number {sequence_number}), which \
         {main} does not list: one of the two was rolled back. Set the tag and `main` of {table} to its newest \
         snapshot that has `tabletopic.follows`; if that can't be done, rename {table}, or drop it, and it is begun \
         anew by itself, with what waits for it"
    )]
    FollowerAstray {
        table: TableIdent,
        main: TableIdent,
        sequence_number: i64,
        snapshot_id: i64,
    },
    #[error(
        "table {table}: it belongs to an earlier {main}, whose uuid was {found}; the one that is there now has \
         {expected}, so nothing of it is written here. Rename {table} to keep it, or drop it; it is begun anew by \
         itself within seconds"
    )]
    FollowerOfAnother {
        table: TableIdent,
        main: TableIdent,
        expected: String,
        found: String,
    },
    #[error(
        "table {table}: it has format version {found}; only version 2 is supported. Create a version 2 table under \
         another name and set `table` to it"
    )]
    FormatVersion { table: TableIdent, found: String },
    #[error(
        "table {table}: the dead-letter file {path} is gone before it was added to the table; it held letters of \
         {offsets}. Restore the file from a backup (orphan removal by another tool is the usual cause), or run \
         `tabletopic resolve` with `--rewind` on the main table after a rollback below these offsets"
    )]
    DeadLettersGone {
        table: TableIdent,
        path: String,
        offsets: String,
    },
    #[error("table {table}: {detail}")]
    Resolve { table: TableIdent, detail: String },
    #[error("table {table}: {detail}")]
    Schema { table: TableIdent, detail: String },
}
