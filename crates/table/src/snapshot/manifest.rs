//! One manifest: what it is written under, and what of an old one can be written anew.

use iceberg::spec::{
    FormatVersion, ManifestContentType, ManifestFile, ManifestWriter, ManifestWriterBuilder, PartitionSpec,
    Schema, SchemaRef, TableMetadata,
};

use super::live::{self, LiveFile};
use crate::commit::CommitError;
use crate::lake::Lake;

/// What a manifest is written under.
pub struct Under {
    pub schema: SchemaRef,
    pub spec: PartitionSpec,
    pub content: ManifestContentType,
}

impl Under {
    /// A manifest of a spec of the table, under one of its schemas.
    ///
    /// # Errors
    /// A partition spec that is not in the table.
    pub fn now(
        metadata: &TableMetadata,
        schema_id: i32,
        spec_id: i32,
        content: ManifestContentType,
    ) -> Result<Self, CommitError> {
        let spec = metadata.partition_spec_by_id(spec_id);
        let unknown = || CommitError::Encode(format!("partition spec {spec_id} is not in the table"));
        let schema = metadata.schema_by_id(schema_id);
        Ok(Self {
            schema: schema.unwrap_or_else(|| metadata.current_schema()).clone(),
            spec: spec.ok_or_else(unknown)?.as_ref().clone(),
            content,
        })
    }

    /// Writes a manifest that is named after a snapshot id, which is new for every attempt.
    ///
    /// # Errors
    /// A location that can't be written to.
    pub fn writer(
        self,
        lake: &Lake,
        metadata: &TableMetadata,
        snapshot_id: i64,
        name: &str,
    ) -> Result<ManifestWriter, CommitError> {
        let path = format!("{}/metadata/{snapshot_id}-{name}.avro", metadata.location());
        let output = lake.file_io.new_output(path)?;
        let writer = ManifestWriterBuilder::new(output, Some(snapshot_id), self.schema, self.spec);
        Ok(match (metadata.format_version(), self.content) {
            (FormatVersion::V3, ManifestContentType::Data) => writer.build_v3_data(),
            (FormatVersion::V3, ManifestContentType::Deletes) => writer.build_v3_deletes(),
            (_, ManifestContentType::Data) => writer.build_v2_data(),
            (_, ManifestContentType::Deletes) => writer.build_v2_deletes(),
        })
    }
}

/// The live files of a manifest; `None` if it can't be written anew just as it is: its partition values are of other
/// types than those of today, as after the promotion of a column that is a partition by itself; or it does not say when
/// its files were added, as manifests of version 2 have to.
///
/// # Errors
/// Those of reading and parsing the manifest.
pub async fn to_write_anew(
    lake: &Lake,
    spec: &PartitionSpec,
    schema: &Schema,
    manifest: &ManifestFile,
) -> Result<Option<Vec<LiveFile>>, CommitError> {
    let loaded = manifest.load_manifest(&lake.file_io).await?;
    let then = loaded
        .metadata()
        .partition_spec()
        .partition_type(loaded.metadata().schema());
    let now = spec.partition_type(schema);
    let same = matches!((then, now), (Ok(then), Ok(now)) if then == now);
    let files = live::of(&loaded, manifest);
    let dated = files.iter().all(|live| live.file_sequence_number.is_some());
    Ok((same && dated).then_some(files))
}
