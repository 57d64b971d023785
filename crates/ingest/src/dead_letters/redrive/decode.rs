//! Records of letters into data files, as a worker does it with records of Kafka.

use std::sync::Arc;

use iceberg::spec::{PartitionSpecRef, Schema, SchemaRef};
use tabletopic_clock::Entropy;
use tabletopic_decode::{BadRecord, DecodeSettings, FormerNames, Reason};
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
    /// All schemas that it has had: letters may be older than the names of its columns.
    earlier: Vec<SchemaRef>,
}

impl Target {
    pub fn of(base: &Base<TableState>) -> Self {
        let metadata = base.metadata();
        Self {
            schema: metadata.current_schema().clone(),
            last_column_id: metadata.last_column_id(),
            spec: metadata.default_partition_spec().clone(),
            location: metadata.location().to_owned(),
            earlier: metadata.schemas_iter().cloned().collect(),
        }
    }

    /// With other columns.
    pub fn grown(mut self, schema: Schema, last_column_id: i32) -> Self {
        self.earlier.push(self.schema);
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
    let settings = DecodeSettings {
        former_names: FormerNames::of(&target.schema, target.earlier.iter().map(AsRef::as_ref)),
        ..job.decode.clone()
    };
    let mut decoder = decoder(job.shape.as_ref(), &settings, &target.schema)?;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use iceberg::TableIdent;
    use iceberg::spec::PartitionSpec;
    use tabletopic_clock::SeededEntropy;
    use tabletopic_decode::{Evolution, Format, Part, WriterSchemas, create_schema, parse_ddl};
    use tabletopic_offsets::JobId;
    use tabletopic_records::NoHeaders;
    use tabletopic_table::file::FileSettings;
    use tabletopic_table::schema::evolve;

    use super::*;
    use crate::job::{Backfill, PartitionBy, Start};

    const BEFORE: &str = r#"{"type": "record", "name": "Order", "fields": [
        {"name": "id", "type": "long"}, {"name": "note", "type": "string"}]}"#;

    #[test]
    fn a_letter_that_is_older_than_a_rename_fills_the_renamed_column() {
        let settings = DecodeSettings {
            writers: WriterSchemas::of_avro_file(BEFORE, Part::Value).unwrap(),
            evolution: Evolution {
                rename: true,
                ..Evolution::default()
            },
            ..DecodeSettings::new("orders", Format::Avro)
        };
        let columns = parse_ddl("CREATE TABLE t (id BIGINT, note STRING)").unwrap();
        let schema = create_schema(&columns, &settings).unwrap();
        let rename = SchemaChange::Rename {
            path: vec!["note".to_owned()],
            to: "title".to_owned(),
        };
        let (renamed, last_column_id) = evolve(&schema, schema.highest_field_id(), &[rename]).unwrap();
        let target = Target {
            last_column_id,
            spec: PartitionSpec::unpartition_spec().into(),
            location: "memory:/orders".to_owned(),
            earlier: Vec::new(),
            schema: Arc::new(schema),
        }
        .grown(renamed, last_column_id);
        let job = Job {
            id: JobId::new("orders"),
            topic: "orders".into(),
            table: TableIdent::from_strs(["shop", "orders"]).unwrap(),
            decode: settings,
            shape: None,
            ddl: None,
            partition_by: PartitionBy::Said(Vec::new()),
            start: Start::Earliest,
            backfill: Backfill::First,
            partitions: None,
            files: FileSettings::default(),
            commit_interval: Duration::from_secs(60),
        };
        let letter = Record {
            partition: 0,
            offset: 0,
            timestamp: Some(0),
            key: None,
            value: Some(&[2, 2, b'x']),
            headers: &NoHeaders,
        };
        let decoded = decode(&job, &target, &[letter], &SeededEntropy::new(1)).unwrap();
        let Decoded::Files { files, bad } = decoded else {
            panic!("it asks for the former name");
        };
        assert_eq!((files.len(), bad), (1, vec![]));
    }
}
