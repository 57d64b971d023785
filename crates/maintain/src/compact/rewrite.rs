//! Reads the files of a piece and writes what takes their place: merged as they are, or put in an order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::stream::BoxStream;
use futures::{TryStreamExt, try_join};
use iceberg::spec::{
    FormatVersion, PartitionSpec, PartitionSpecRef, PrimitiveType, Schema, Struct, TableMetadata, Transform,
    Type,
};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Removed, Replacement};
use tabletopic_table::file::{FileSchema, FileSettings};
use tabletopic_table::partition::Splitter;
use tabletopic_table::read::{
    DeleteFile, DeleteFiles, LEAST, Memory, OpenFile, ReadError, RowGroups, row_schema,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::arrange::{Arrangement, Ranking, Sorter};
use super::choose::Piece;
use super::output::Output;
use super::version_3;
use crate::MaintainError;
use crate::pace::Pace;
use crate::survey::{FileEntry, Survey};

/// Batches between reading and sorting.
const WAITING: usize = 2;

/// What a piece is rewritten with.
pub struct Rewrite<'a> {
    pub lake: &'a Lake,
    pub survey: &'a Survey,
    pub settings: FileSettings,
    /// What delete files say, read once for all pieces of a batch.
    pub deletes: &'a DeleteFiles,
    pub memory: &'a dyn Memory,
    pub pace: &'a dyn Pace,
    /// `None`: rows stay as they come.
    pub arrangement: Option<&'a Arrangement>,
    pub sorter: Sorter,
    /// The partition spec that files of others are rewritten under. `None`: files keep theirs.
    pub moves_to: Option<i32>,
}

impl Rewrite<'_> {
    /// Writes the rows of the piece's files, without those that are deleted, under the table's current schema.
    ///
    /// # Errors
    /// Those of reading and writing; a file that can't be written again, by its name; a partition spec whose columns are
    /// gone.
    pub async fn piece(&self, piece: &Piece) -> Result<Replacement, MaintainError> {
        let metadata = &self.survey.table.metadata;
        let was = spec(metadata, piece.place.0)?;
        let spec = spec(metadata, self.moves_to.unwrap_or(piece.place.0))?;
        let moves = was.spec_id() != spec.spec_id();
        let schema = metadata.current_schema().clone();
        if let Some(column) = moves.then(|| float_identity(&spec, &schema)).flatten() {
            return Err(MaintainError::Unsupported(format!(
                "partitions by the float column {column} are not written here, since -0.0 and 0.0 are two of them"
            )));
        }
        let under = FileSchema::new(version_3::written(metadata)?, spec.clone())?;
        let mut settings = self.settings.clone();
        settings.sort_order = self.arrangement.and_then(|arrangement| arrangement.sort_order);
        // What fits into one file stays one: the size of one that is open is an estimate.
        if !moves && piece.bytes <= settings.target_file_size as u64 {
            settings.target_file_size = usize::MAX;
        }
        let mut output = Output::new(self.lake, settings, under.clone(), metadata.location());
        let task = Task {
            rewrite: self,
            piece,
            was: &was,
            under: &under,
        };
        let ranking = match (self.arrangement, moves) {
            (None, false) => None,
            (None, true) => Some(Ranking::new(
                &Arrangement::default(),
                Some(&spec),
                under.schema(),
            )?),
            (Some(arrangement), moves) => Some(Ranking::new(
                arrangement,
                moves.then_some(spec.as_ref()),
                under.schema(),
            )?),
        };
        let done = match &ranking {
            Some(ranking) if !ranking.options().is_empty() => task.arrange(ranking, &mut output).await,
            // They move to where there are no partitions.
            Some(_) => task.merge(&no_partition(&spec), &mut output).await,
            None => task.merge(&piece.place.1, &mut output).await,
        };
        if let Err(error) = done {
            output.discard().await;
            return Err(error);
        }
        let written = output.finish().await?;
        Ok(Replacement {
            read: self.survey.snapshot.snapshot_id(),
            read_at: self.survey.snapshot.sequence_number(),
            schema,
            removed: piece
                .files
                .iter()
                .map(|file| (file.path.clone(), removed(piece, file)))
                .collect(),
            moved: moves,
            reason: String::new(),
            written: written.into_iter().map(|file| (spec.spec_id(), file)).collect(),
        })
    }
}

fn removed(piece: &Piece, file: &FileEntry) -> Removed {
    Removed {
        place: piece.place.clone(),
        first_row_id: file.first_row_id,
    }
}

fn spec(metadata: &TableMetadata, id: i32) -> Result<PartitionSpecRef, MaintainError> {
    metadata.partition_spec_by_id(id).cloned().ok_or_else(|| {
        MaintainError::Unsupported(format!("partition spec {id} is not in the table any more"))
    })
}

/// A column of floats that is a partition by itself.
fn float_identity<'a>(spec: &PartitionSpec, schema: &'a Schema) -> Option<&'a str> {
    spec.fields().iter().find_map(|field| {
        let column = schema.field_by_id(field.source_id)?;
        let floats = [PrimitiveType::Float, PrimitiveType::Double].map(Type::Primitive);
        (field.transform == Transform::Identity && floats.contains(&column.field_type))
            .then_some(column.name.as_str())
    })
}

/// The only value of a spec that partitions nothing.
fn no_partition(spec: &PartitionSpec) -> Struct {
    spec.fields().iter().map(|_| None).collect()
}

/// One piece on its way.
struct Task<'a> {
    rewrite: &'a Rewrite<'a>,
    piece: &'a Piece,
    /// The spec that the files have.
    was: &'a PartitionSpec,
    under: &'a Arc<FileSchema>,
}

impl Task<'_> {
    /// Rows as they come. Row groups that are large enough are copied without decoding them, after the others.
    async fn merge(&self, partition: &Struct, output: &mut Output<'_>) -> Result<(), MaintainError> {
        let mut copied = Vec::new();
        for file in &self.piece.files {
            match self.row_groups(file).await? {
                // Opened again when its turn has come: a piece may have many.
                Some(_) => copied.push(file),
                None => {
                    let mut rows = self.rows(file).await.map_err(|error| unfit(file, error))?;
                    while let Some(batch) = rows.next().await.map_err(|error| unfit(file, error))? {
                        let written = output.write(partition, &batch).await;
                        written.map_err(|error| unfit(file, error))?;
                    }
                }
            }
        }
        for file in copied {
            let Some(mut groups) = self.row_groups(file).await? else {
                let why = "its row groups are not what they were a moment ago".to_owned();
                return Err(unfit(file, MaintainError::Unsupported(why)));
            };
            for at in 0..groups.count() {
                let began = Instant::now();
                let group = groups.read(at).await.map_err(|error| unfit(file, error.into()))?;
                let bytes = group.bytes();
                let written = output.append(partition, group).await;
                written.map_err(|error| unfit(file, error))?;
                self.rewrite.pace.worked(began.elapsed(), bytes).await;
            }
        }
        Ok(())
    }

    /// The row groups of a file, if they can be copied. Rows of the third version of the format have ids of their own,
    /// which a copy would lose.
    async fn row_groups(&self, file: &FileEntry) -> Result<Option<RowGroups>, MaintainError> {
        let survey = self.rewrite.survey;
        let deleted = survey.deletes.of(file.data(&self.piece.place)).next().is_some();
        if file.bytes < LEAST || deleted || survey.table.metadata.format_version() > FormatVersion::V2 {
            return Ok(None);
        }
        let opened = RowGroups::open(&self.rewrite.lake.file_io, &file.path, file.bytes).await;
        match opened.map_err(MaintainError::from) {
            Ok(groups) => Ok(groups.fit(self.under).then_some(groups)),
            Err(error) if error.is_transient() => Err(error),
            // Decoding it tells what is wrong; it may be no more than an index.
            Err(_) => Ok(None),
        }
    }

    /// All rows in the order of `ranking`.
    async fn arrange(&self, ranking: &Ranking, output: &mut Output<'_>) -> Result<(), MaintainError> {
        let (send, rows) = mpsc::channel(WAITING);
        let (sorter, batch) = (self.rewrite.sorter, batch_rows(self.piece));
        let mut sorted = sorter
            .sort(ranking.schema(), ranking.options(), batch, rows)?
            .rows;
        let read = async move {
            let mut read = 0;
            for file in &self.piece.files {
                let mut rows = self.rows(file).await.map_err(|error| unfit(file, error))?;
                while let Some(batch) = rows.next().await.map_err(|error| unfit(file, error))? {
                    let ranked = ranking.ranked(&batch).map_err(|error| unfit(file, error))?;
                    read += batch.num_rows();
                    if send.send(ranked).await.is_err() {
                        // What became of the sort says why.
                        return Ok(read);
                    }
                }
            }
            drop(send);
            Ok::<_, MaintainError>(read)
        };
        let splitter = Splitter::new(self.under.spec(), self.under.schema())?;
        let moves = self.was.spec_id() != self.under.spec().spec_id();
        let write = async {
            let mut written = 0;
            while let Some(batch) = sorted.try_next().await? {
                let rows = ranking.rows(&batch)?;
                written += rows.num_rows();
                // Where they stay their value is what the files have, whoever told it from the rows.
                let parts = match moves {
                    true => splitter.split(&rows)?,
                    false => vec![(self.piece.place.1.clone(), rows)],
                };
                for (partition, rows) in parts {
                    output.write(&partition, &rows).await?;
                }
            }
            Ok(written)
        };
        // In this order: an error of reading is seen before the end that it makes of the rows to be sorted.
        let (read, written) = try_join!(read, write)?;
        match read == written {
            true => Ok(()),
            false => Err(MaintainError::Unsupported(format!(
                "of {read} rows {written} came out of the sort; nothing is committed"
            ))),
        }
    }

    /// The rows of one file.
    async fn rows(&self, file: &FileEntry) -> Result<Rows<'_>, MaintainError> {
        let Rewrite {
            lake,
            survey,
            deletes,
            memory,
            pace,
            ..
        } = self.rewrite;
        let applied: Vec<DeleteFile> = survey
            .deletes
            .of(file.data(&self.piece.place))
            .map(|delete| DeleteFile::of(&delete.file))
            .collect::<Result<_, _>>()?;
        let deleted = deletes.of(&file.path, &applied, *memory).await?;
        let began = Instant::now();
        let opened = OpenFile::open(&lake.file_io, &file.path, file.bytes)
            .await?
            .inheriting(version_3::inherited(file));
        version_3::check_defaults(self.under.schema(), &file.path, &opened)?;
        for field in self.was.fields() {
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
        let fields = self.under.arrow().fields().to_vec();
        Ok(Rows {
            batches: opened.rows(&fields, row_schema(self.under.schema())?, groups, deleted)?,
            began,
            bytes: file.bytes,
            pace: *pace,
        })
    }
}

/// The rows of a file, not faster than the pace.
struct Rows<'a> {
    batches: BoxStream<'static, Result<RecordBatch, ReadError>>,
    /// Since when there is work that the pace has not heard of.
    began: Instant,
    /// Of the file, likewise.
    bytes: u64,
    pace: &'a dyn Pace,
}

impl Rows<'_> {
    /// What became of the last batch is work, too.
    async fn next(&mut self) -> Result<Option<RecordBatch>, MaintainError> {
        let bytes = std::mem::take(&mut self.bytes);
        self.pace.worked(self.began.elapsed(), bytes).await;
        self.began = Instant::now();
        Ok(self.batches.try_next().await?)
    }
}

/// Rows of a sorted batch: of wide ones fewer, since a merge holds several batches of each part. Files are taken to be a
/// tenth of what their rows are in memory.
fn batch_rows(piece: &Piece) -> usize {
    const BATCH_BYTES: u64 = 1 << 20;
    let rows: u64 = piece.files.iter().map(|file| file.rows).sum();
    let of_one = (piece.bytes.saturating_mul(10) / rows.max(1)).max(1);
    usize::try_from((BATCH_BYTES / of_one).clamp(64, 8192)).unwrap_or(8192)
}

fn unfit(file: &FileEntry, error: MaintainError) -> MaintainError {
    match error.is_transient() {
        true => error,
        false => MaintainError::Unfit {
            file: file.path.clone(),
            why: error.to_string(),
        },
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
