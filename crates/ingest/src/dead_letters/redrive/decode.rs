//! Records of letters into data files, as a worker does it with records of Kafka.

use std::sync::Arc;

use iceberg::spec::{PartitionSpecRef, Schema, SchemaRef};
use tabletopic_clock::Entropy;
use tabletopic_decode::{BadRecord, Reason};
use tabletopic_offsets::TableState;
use tabletopic_records::{Record, SchemaId};
use tabletopic_shape::{decoder, schema_change};
use tabletopic_table::commit::Base;
use tabletopic_table::file::{EncodedFile, FileNames, FileSchema, OpenFiles};
use tabletopic_table::partition::Splitter;
use tabletopic_table::schema::SchemaChange;

use crate::job::Job;
use crate::worker::{WriteError, set_aside};

/// The table, as far as rows are written for it.
#[derive(Debug, Clone)]
pub struct Target {
    pub schema: SchemaRef,
    pub last_column_id: i32,
    pub spec: PartitionSpecRef,
    pub location: String,
}

impl Target {
    pub fn of(base: &Base<TableState>) -> Self {
        let metadata = base.metadata();
        Self {
            schema: metadata.current_schema().clone(),
            last_column_id: metadata.last_column_id(),
            spec: metadata.default_partition_spec().clone(),
            location: metadata.location().to_owned(),
        }
    }

    /// With more columns.
    pub fn grown(self, schema: Schema, last_column_id: i32) -> Self {
        Self {
            schema: Arc::new(schema),
            last_column_id,
            ..self
        }
    }
}

/// What became of records.
pub enum Decoded {
    /// The rows of the good ones; `bad` as in [`tabletopic_decode::Decoded`].
    Files {
        files: Vec<EncodedFile>,
        bad: Vec<BadRecord>,
    },
    /// The table lacks a column: nothing was decoded.
    Grows(Growth),
    /// A schema is not known yet: nothing was decoded.
    Awaits(SchemaId),
}

/// A column that a record needs.
pub struct Growth {
    pub change: SchemaChange,
    /// Index of the record.
    pub caused_by: usize,
}

/// Decodes records of one topic. Changes of the table come one at a time: each has a cause of its own, and one that is
/// refused keeps no other letter back.
pub fn decode(
    job: &Job,
    target: &Target,
    records: &[Record<'_>],
    entropy: &dyn Entropy,
) -> Result<Decoded, WriteError> {
    let schema = FileSchema::new(target.schema.clone(), target.spec.clone())?;
    let mut decoder = decoder(job.shape.as_ref(), &job.decode, &target.schema)?;
    let splitter = Splitter::new(&target.spec, &target.schema)?;
    let mut open = OpenFiles::new(job.files.clone(), schema, FileNames::new(&target.location));
    let (mut files, mut bad) = (Vec::new(), Vec::new());
    let mut from = 0;
    while from < records.len() {
        let mut decoded = decoder.decode(&records[from..])?;
        if let Some(awaited) = decoded.awaits.first() {
            return Ok(Decoded::Awaits(awaited.id));
        }
        set_aside(&splitter, &mut decoded)?;
        if let Some(first) = decoded.grown.iter().min_by_key(|proposal| proposal.caused_by) {
            return Ok(Decoded::Grows(Growth {
                change: schema_change(&first.change),
                caused_by: from + first.caused_by,
            }));
        }
        let parts = splitter.split(&decoded.batch)?;
        files.extend(open.write(&parts, entropy)?);
        bad.extend(decoded.bad.into_iter().map(|bad| BadRecord {
            index: from + bad.index,
            ..bad
        }));
        // A letter that is left out now stays what it is: nobody counts it as filtered.
        bad.extend(decoded.filtered.into_iter().map(|index| BadRecord {
            index: from + index,
            reason: Reason::NotKept,
            field: None,
            detail: "`where` does not keep it".to_owned(),
            nulled: false,
        }));
        from += decoded.taken;
    }
    files.extend(open.close_all(entropy)?);
    Ok(Decoded::Files { files, bad })
}
