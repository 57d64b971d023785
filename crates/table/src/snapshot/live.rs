//! What is live in a snapshot, read from its manifests.

use iceberg::spec::{
    DataFile, DataFileBuilder, DataFileBuilderError, Manifest, ManifestContentType, ManifestFile,
    ManifestList, Snapshot, TableMetadata,
};

use crate::commit::CommitError;
use crate::lake::Lake;

/// The manifests of a snapshot.
///
/// # Errors
/// Those of reading and parsing the manifest list.
pub async fn manifests(
    lake: &Lake,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Vec<ManifestFile>, CommitError> {
    let bytes = lake.file_io.new_input(snapshot.manifest_list())?.read().await?;
    let list = ManifestList::parse_with_version(&bytes, metadata.format_version())?;
    Ok(list.consume_entries().into_iter().collect())
}

/// What tells a live file from all others of a snapshot: its path, and of a deletion vector also where it stands in a
/// Puffin file, which may hold those of other data files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    path: String,
    /// Offset in bytes, and the data file that it is of.
    vector: Option<(i64, Option<String>)>,
}

impl FileId {
    pub fn of(file: &DataFile) -> Self {
        let vector = |offset| (offset, file.referenced_data_file());
        Self {
            path: file.file_path().to_owned(),
            vector: file.content_offset().map(vector),
        }
    }

    /// Of a data file.
    pub fn of_data(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            vector: None,
        }
    }
}

/// A live data or delete file with what a manifest entry says of it.
#[derive(Debug, Clone)]
pub struct LiveFile {
    pub file: DataFile,
    /// The row id of its first row, its own or inherited from its manifest; none in tables of version 2, and of delete
    /// files.
    pub first_row_id: Option<i64>,
    pub spec_id: i32,
    pub snapshot_id: i64,
    pub sequence_number: i64,
    pub file_sequence_number: Option<i64>,
}

impl LiveFile {
    /// As an entry of another manifest has it: with the first row id that it inherited until now.
    ///
    /// # Errors
    /// None in practice.
    pub fn carried_on(self) -> Result<DataFile, CommitError> {
        let Self {
            file,
            spec_id,
            first_row_id,
            ..
        } = self;
        if file.first_row_id() == first_row_id {
            return Ok(file);
        }
        // What only delete files have is left out: they have no row ids.
        let mut assigned = DataFileBuilder::default();
        assigned
            .content(file.content_type())
            .file_path(file.file_path().to_owned())
            .file_format(file.file_format())
            .partition(file.partition().clone())
            .partition_spec_id(spec_id)
            .record_count(file.record_count())
            .file_size_in_bytes(file.file_size_in_bytes())
            .column_sizes(file.column_sizes().clone())
            .value_counts(file.value_counts().clone())
            .null_value_counts(file.null_value_counts().clone())
            .nan_value_counts(file.nan_value_counts().clone())
            .lower_bounds(file.lower_bounds().clone())
            .upper_bounds(file.upper_bounds().clone())
            .key_metadata(file.key_metadata().map(<[u8]>::to_vec))
            .split_offsets(file.split_offsets().map(<[i64]>::to_vec))
            .equality_ids(file.equality_ids())
            .first_row_id(first_row_id);
        if let Some(order) = file.sort_order_id() {
            assigned.sort_order_id(order);
        }
        let incomplete = |error: DataFileBuilderError| CommitError::Encode(error.to_string());
        assigned.build().map_err(incomplete)
    }
}

/// The live files of one manifest.
///
/// # Errors
/// Those of reading and parsing the manifest.
pub async fn files(lake: &Lake, manifest: &ManifestFile) -> Result<Vec<LiveFile>, CommitError> {
    Ok(of(&manifest.load_manifest(&lake.file_io).await?, manifest))
}

/// The live files of a manifest that was loaded.
pub fn of(loaded: &Manifest, manifest: &ManifestFile) -> Vec<LiveFile> {
    let mut row_ids = RowIds::of(manifest);
    loaded
        .entries()
        .iter()
        .filter(|entry| entry.is_alive())
        .map(|entry| LiveFile {
            first_row_id: row_ids.of_next(entry.data_file()),
            file: entry.data_file().clone(),
            spec_id: manifest.partition_spec_id,
            snapshot_id: entry.snapshot_id().unwrap_or(manifest.added_snapshot_id),
            sequence_number: entry.sequence_number().unwrap_or(manifest.sequence_number),
            file_sequence_number: entry.file_sequence_number,
        })
        .collect()
}

/// The row ids that the data files of a manifest inherit, one file after the other ("First Row ID Inheritance" of the
/// Iceberg specification, version 3). Only live files take some.
struct RowIds {
    /// `None`: none are inherited, as in tables of version 2.
    next: Option<u64>,
}

impl RowIds {
    fn of(manifest: &ManifestFile) -> Self {
        Self {
            next: match manifest.content {
                ManifestContentType::Data => manifest.first_row_id,
                ManifestContentType::Deletes => None,
            },
        }
    }

    /// The first row id of the next live file.
    fn of_next(&mut self, file: &DataFile) -> Option<i64> {
        // Without one for the manifest its files have none either, whatever their entries say.
        let next = self.next?;
        if file.first_row_id().is_some() {
            return file.first_row_id();
        }
        self.next = Some(next.saturating_add(file.record_count()));
        i64::try_from(next).ok()
    }
}

/// Whether a live entry was added by `snapshot`. Manifests that were there before it are not read.
///
/// # Errors
/// Those of reading manifests.
pub async fn has_entry_of(
    lake: &Lake,
    metadata: &TableMetadata,
    head: &Snapshot,
    snapshot: &Snapshot,
) -> Result<bool, CommitError> {
    let manifests = manifests(lake, metadata, head).await?;
    let since = manifests
        .iter()
        .filter(|manifest| manifest.sequence_number >= snapshot.sequence_number());
    for manifest in since {
        if files(lake, manifest)
            .await?
            .iter()
            .any(|live| live.snapshot_id == snapshot.snapshot_id())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{
        DataContentType, DataFileFormat, FormatVersion, ManifestEntry, ManifestMetadata, ManifestStatus,
        PartitionSpec, Schema,
    };

    use super::*;

    fn file(path: &str, rows: u64, first_row_id: Option<i64>) -> DataFile {
        let mut file = DataFileBuilder::default();
        file.content(DataContentType::Data)
            .file_path(path.to_owned())
            .file_format(DataFileFormat::Parquet)
            .record_count(rows)
            .file_size_in_bytes(1)
            .sort_order_id(1)
            .first_row_id(first_row_id);
        file.build().unwrap()
    }

    fn entry(status: ManifestStatus, file: DataFile) -> ManifestEntry {
        ManifestEntry::builder()
            .status(status)
            .snapshot_id(1)
            .sequence_number(1)
            .file_sequence_number(1)
            .data_file(file)
            .build()
    }

    fn manifest(content: ManifestContentType, first_row_id: Option<u64>) -> ManifestFile {
        ManifestFile {
            manifest_path: "m.avro".to_owned(),
            manifest_length: 1,
            partition_spec_id: 0,
            content,
            sequence_number: 1,
            min_sequence_number: 1,
            added_snapshot_id: 1,
            added_files_count: Some(1),
            existing_files_count: Some(0),
            deleted_files_count: Some(0),
            added_rows_count: Some(1),
            existing_rows_count: Some(0),
            deleted_rows_count: Some(0),
            partitions: None,
            key_metadata: None,
            first_row_id,
        }
    }

    fn loaded(content: ManifestContentType) -> Manifest {
        let metadata = ManifestMetadata::builder()
            .schema_id(0)
            .schema(std::sync::Arc::new(Schema::builder().build().unwrap()))
            .partition_spec(PartitionSpec::unpartition_spec())
            .format_version(FormatVersion::V3)
            .content(content)
            .build();
        let entries = [
            entry(ManifestStatus::Added, file("a", 10, None)),
            entry(ManifestStatus::Deleted, file("gone", 1000, None)),
            entry(ManifestStatus::Existing, file("b", 5, Some(70))),
            entry(ManifestStatus::Existing, file("c", 2, None)),
            entry(ManifestStatus::Added, file("d", 1, None)),
        ];
        Manifest::new(metadata, entries.into())
    }

    /// As Java's `ManifestReader` assigns them: files that have an id, and those that are gone, take none.
    #[test]
    fn row_ids_are_inherited_in_the_order_of_the_manifest() {
        let ids = |content, first| -> Vec<Option<i64>> {
            let files = of(&loaded(content), &manifest(content, first)).into_iter();
            files.map(|live| live.first_row_id).collect()
        };
        assert_eq!(
            ids(ManifestContentType::Data, Some(100)),
            [Some(100), Some(70), Some(110), Some(112)]
        );
        assert_eq!(
            ids(ManifestContentType::Data, None),
            [None; 4],
            "of a snapshot from before the upgrade to version 3"
        );
        assert_eq!(ids(ManifestContentType::Deletes, Some(100))[0], None);
    }

    #[test]
    fn a_file_that_is_carried_on_has_the_row_id_that_it_inherited_and_all_else_as_it_was() {
        let data = manifest(ManifestContentType::Data, Some(100));
        let live = of(&loaded(ManifestContentType::Data), &data);
        let expected = file("c", 2, Some(110));
        assert_eq!(live[2].clone().carried_on().unwrap(), expected);
    }

    #[test]
    fn deletion_vectors_of_one_file_are_different_ones() {
        let vector = |offset, of: &str| {
            let mut file = DataFileBuilder::default();
            file.content(DataContentType::PositionDeletes)
                .file_path("p.puffin".to_owned())
                .file_format(DataFileFormat::Puffin)
                .record_count(1)
                .file_size_in_bytes(100)
                .content_offset(Some(offset))
                .content_size_in_bytes(Some(10))
                .referenced_data_file(Some(of.to_owned()));
            FileId::of(&file.build().unwrap())
        };
        assert_ne!(vector(4, "a"), vector(14, "b"));
        assert_eq!(vector(4, "a"), vector(4, "a"));
        assert_eq!(FileId::of(&file("a", 1, None)), FileId::of_data("a"));
    }
}
