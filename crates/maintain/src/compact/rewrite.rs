//! Reads the files of a piece and writes what takes their place.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt;
use iceberg::spec::{PartitionSpec, TableMetadata, Transform};
use tabletopic_table::Lake;
use tabletopic_table::commit::Replacement;
use tabletopic_table::file::{FileSchema, FileSettings};
use tabletopic_table::read::{DeleteFile, DeleteFiles, Memory, OpenFile, row_schema};
use tokio::time::Instant;

use super::choose::Piece;
use super::output::Output;
use super::version_3;
use crate::MaintainError;
use crate::pace::Pace;
use crate::survey::{FileEntry, Survey};

/// What a piece is rewritten with.
pub struct Rewrite<'a> {
    pub lake: &'a Lake,
    pub survey: &'a Survey,
    pub settings: FileSettings,
    /// What delete files say, read once for all pieces of a batch.
    pub deletes: &'a DeleteFiles,
    pub memory: &'a dyn Memory,
    pub pace: &'a dyn Pace,
}

impl Rewrite<'_> {
    /// Writes the rows of the piece's files, without those that are deleted, under the table's current schema and the
    /// partition spec that the files have.
    ///
    /// # Errors
    /// Those of reading and writing; a file that can't be written again, by its name; a partition spec whose columns are
    /// gone.
    pub async fn piece(&self, piece: &Piece) -> Result<Replacement, MaintainError> {
        let metadata = &self.survey.table.metadata;
        let (spec_id, partition) = &piece.place;
        let spec = metadata.partition_spec_by_id(*spec_id).cloned();
        let spec = spec.ok_or_else(|| {
            MaintainError::Unsupported(format!("partition spec {spec_id} is not in the table any more"))
        })?;
        let schema = metadata.current_schema().clone();
        let written_under = FileSchema::new(version_3::written(metadata)?, spec.clone())?;
        let mut settings = self.settings.clone();
        // What fits into one file stays one: the size of one that is open is an estimate.
        if piece.bytes <= settings.target_file_size as u64 {
            settings.target_file_size = usize::MAX;
        }
        let mut output = Output::new(
            self.lake,
            settings,
            written_under.clone(),
            metadata.location(),
            partition.clone(),
        );
        for file in &piece.files {
            if let Err(error) = self.copy(piece, file, &spec, &written_under, &mut output).await {
                output.discard().await;
                return Err(match error {
                    error if error.is_transient() => error,
                    error => MaintainError::Unfit {
                        file: file.path.clone(),
                        why: error.to_string(),
                    },
                });
            }
        }
        let written = output.finish().await?;
        Ok(Replacement {
            read: self.survey.snapshot.snapshot_id(),
            read_at: self.survey.snapshot.sequence_number(),
            schema,
            removed: piece
                .files
                .iter()
                .map(|file| (file.path.clone(), piece.place.clone()))
                .collect(),
            reason: String::new(),
            written: written.into_iter().map(|file| (*spec_id, file)).collect(),
        })
    }

    async fn copy(
        &self,
        piece: &Piece,
        file: &FileEntry,
        spec: &PartitionSpec,
        under: &FileSchema,
        output: &mut Output<'_>,
    ) -> Result<(), MaintainError> {
        let deletes: Vec<DeleteFile> = self
            .survey
            .deletes
            .of(file.data(&piece.place))
            .map(|delete| DeleteFile::of(&delete.file))
            .collect::<Result<_, _>>()?;
        let deleted = self.deletes.of(&file.path, &deletes, self.memory).await?;
        let mut began = Instant::now();
        let opened = OpenFile::open(&self.lake.file_io, &file.path, file.bytes)
            .await?
            .inheriting(version_3::inherited(file));
        version_3::check_defaults(under.schema(), &file.path, &opened)?;
        for field in spec.fields() {
            if field.transform == Transform::Identity && !opened.has_leaf(field.source_id) {
                let words = format!(
                    "{} has no column for the partition field {}, whose value only the manifest tells; rewrite it with \
                     the engine that wrote it",
                    file.path, field.name
                );
                return Err(MaintainError::Unsupported(words));
            }
        }
        let groups = (0..opened.metadata.metadata().num_row_groups()).collect();
        let fields = under.arrow().fields().to_vec();
        let mut batches = opened.rows(&fields, row_schema(under.schema())?, groups, deleted)?;
        let mut bytes = file.bytes;
        while let Some(batch) = batches.try_next().await? {
            output.write(&batch).await?;
            self.pace
                .worked(began.elapsed(), std::mem::take(&mut bytes))
                .await;
            began = Instant::now();
        }
        self.pace.worked(Duration::ZERO, bytes).await;
        Ok(())
    }
}

/// Bytes of a row group at least. At most it has as many as ours, since one is in memory.
const LEAST_ROW_GROUP: usize = 1 << 20;

/// The settings of files that a table's properties ask for.
pub fn settings(metadata: &TableMetadata, target: u64) -> FileSettings {
    let property = |name: &str| metadata.properties().get(name)?.parse::<usize>().ok();
    let defaults = FileSettings::default();
    let level = property("write.parquet.compression-level").and_then(|level| i32::try_from(level).ok());
    let row_group = property("write.parquet.row-group-size-bytes");
    let row_group = row_group.map(|bytes| bytes.clamp(LEAST_ROW_GROUP, defaults.row_group_size));
    FileSettings {
        target_file_size: usize::try_from(target).unwrap_or(usize::MAX),
        row_group_size: row_group.unwrap_or(defaults.row_group_size),
        zstd_level: level
            .filter(|level| (1..=22).contains(level))
            .unwrap_or(defaults.zstd_level),
        ..defaults
    }
}

/// Bytes that the table's files should have.
pub fn target(properties: &HashMap<String, String>) -> u64 {
    const TARGET: &str = "write.target-file-size-bytes";
    const DEFAULT: u64 = 512 << 20;
    let said = properties.get(TARGET).and_then(|target| target.parse().ok());
    said.filter(|target| *target > 0).unwrap_or(DEFAULT)
}
