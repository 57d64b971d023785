//! How a registry's serializers begin a value: a zero byte, then the id of its schema in four bytes, the highest first.

use std::collections::BTreeSet;

use tabletopic_records::Record;

use crate::bad::{Fault, Reason};
use crate::columns::Outcome;
use crate::writer_schemas::{SchemaId, WriterSchemas};

const MAGIC: u8 = 0;
const FRAME: usize = 5;

/// The id of the schema that a value was written with, and the value without its frame.
pub(crate) fn unframe(value: &[u8]) -> Outcome<(SchemaId, &[u8])> {
    match value.split_first_chunk::<FRAME>() {
        Some(([MAGIC, id @ ..], body)) => Ok((SchemaId(u32::from_be_bytes(*id)), body)),
        Some(_) => Err(Fault::fatal(
            Reason::NotFramed,
            "the record does not begin with the byte 0 and the id of a schema: no registry's serializer wrote it",
        )),
        None => {
            let detail = format!("{} bytes are too few for the id of a schema", value.len());
            Err(Fault::fatal(Reason::NotFramed, detail))
        }
    }
}

/// The ids that records name, each once, for those whose schemas have to be fetched before anything is made of them.
pub(crate) fn schema_ids(records: &[Record<'_>]) -> Vec<SchemaId> {
    let ids = records.iter().filter_map(|record| unframe(record.value?).ok());
    let ids: BTreeSet<SchemaId> = ids.map(|(id, _)| id).collect();
    ids.into_iter().collect()
}

impl WriterSchemas {
    /// The schema ids that have to be known before `records` can be decoded, and are not.
    pub fn missing(&self, records: &[Record<'_>]) -> Vec<SchemaId> {
        if !self.is_framed() {
            return Vec::new();
        }
        let mut ids = schema_ids(records);
        ids.retain(|id| self.find(Some(*id)).is_none());
        ids
    }
}
