//! The live files of the snapshot: whether they are there, and whether what their manifest entries say is true.

mod footer;
mod totals;

use futures::stream::iter;
use futures::{StreamExt, TryStreamExt};
use iceberg::arrow::ArrowFileReader;
use iceberg::io::FileMetadata;
use iceberg::spec::{
    DataContentType, DataFile, DataFileFormat, ManifestContentType, PrimitiveLiteral, SnapshotRef,
    TableMetadata,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use std::collections::HashSet;
use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::OffsetRange;
use tabletopic_table::Lake;
use tabletopic_table::commit::CommitError;
use tabletopic_table::snapshot::deletes::{Data, DeleteIndex, Place, place};
use tabletopic_table::snapshot::live::{self, FileId, LiveFile};

use super::error::VerifyError;
use super::verdict::{Finding, Findings};
use super::{OFFSET, PARTITION, Progress};
use totals::Totals;

/// The kind of finding that may only mean that the snapshot has expired meanwhile.
pub const MISSING: &str = "missing";

/// Manifests, and likewise files, that are read at a time.
const AT_ONCE: usize = 8;

/// A live data file, without what no further check needs.
#[derive(Debug)]
pub struct File {
    pub path: String,
    /// As the store has it.
    pub bytes: u64,
    /// As its entry has it, deleted ones included.
    pub rows: u64,
    pub place: Place,
    pub sequence_number: i64,
    pub file_sequence_number: Option<i64>,
    /// The offsets of its rows, as its entry bounds them.
    pub offsets: Option<OffsetRange>,
    /// The lowest and highest topic partition number, likewise.
    pub partitions: Option<(i64, i64)>,
    /// Whether its rows can be read.
    pub readable: bool,
    /// Whether it was added after the snapshot that the verdict rests on.
    pub new: bool,
}

impl File {
    pub fn data(&self) -> Data<'_> {
        Data {
            place: &self.place,
            path: &self.path,
            sequence_number: self.sequence_number,
            file_sequence_number: self.file_sequence_number,
        }
    }
}

/// What is live.
#[derive(Debug)]
pub struct Inventory {
    pub files: Vec<File>,
    pub deletes: DeleteIndex,
    pub findings: Findings,
    /// Files whose entries were compared with the files themselves.
    pub compared: u64,
}

/// Reads all manifests, and compares the entries of files that were added after `since` with the files.
///
/// # Errors
/// Those of reading manifests; an outage of the store.
pub async fn take(
    lake: &Lake,
    table: &LoadedTable,
    snapshot: &SnapshotRef,
    since: Option<i64>,
    progress: &dyn Progress,
) -> Result<Inventory, VerifyError> {
    let metadata = &table.metadata;
    let manifests = live::manifests(lake, metadata, snapshot).await?;
    let mut inventory = Inventory {
        files: Vec::new(),
        deletes: DeleteIndex::default(),
        findings: Findings::default(),
        compared: 0,
    };
    let (mut totals, mut deletes) = (Totals::default(), Vec::new());
    // Of each path, so that a file which is listed twice is seen.
    let mut listed = HashSet::new();
    let columns = Columns::of(snapshot, metadata)?;
    let mut done = 0;
    let all = manifests.len() as u64;
    let reading: Vec<_> = manifests
        .iter()
        .map(|manifest| async move {
            let files = live::files(lake, manifest).await.map_err(|error| match error {
                CommitError::Store(error) => {
                    CommitError::Store(error.with_context("manifest", &manifest.manifest_path))
                }
                other => other,
            })?;
            Ok::<_, CommitError>((manifest.content, files))
        })
        .collect();
    let mut reading = iter(reading).buffered(AT_ONCE);
    while let Some((content, files)) = reading.try_next().await? {
        let mut probes = Vec::new();
        for live in &files {
            totals.add(&live.file);
            if !listed.insert(FileId::of(&live.file)) {
                let says = format!(
                    "{} is listed twice, so that its rows are there twice",
                    live.file.file_path()
                );
                inventory
                    .findings
                    .add(Finding::failed("listed-twice", says).in_file(live.file.file_path()));
            }
            let added = live.file_sequence_number.unwrap_or(live.sequence_number);
            let new = since.is_none_or(|since| added > since);
            probes.push(probe(lake, metadata, live, new));
        }
        let probed: Vec<Probed> = iter(probes).buffered(AT_ONCE).try_collect().await?;
        for (live, probed) in files.into_iter().zip(probed) {
            inventory.findings.extend(probed.findings);
            inventory.compared += u64::from(probed.new);
            if content == ManifestContentType::Deletes {
                deletes.push(live);
                continue;
            }
            inventory.files.push(File {
                path: live.file.file_path().to_owned(),
                bytes: probed.bytes,
                rows: live.file.record_count(),
                place: place(metadata, live.spec_id, live.file.partition())?,
                sequence_number: live.sequence_number,
                file_sequence_number: live.file_sequence_number,
                offsets: columns
                    .bounds(&live.file, columns.offset)
                    .map(|(low, high)| OffsetRange::new(low, high.saturating_add(1)))
                    .filter(|offsets| !offsets.is_empty()),
                partitions: columns.bounds(&live.file, columns.partition),
                readable: probed.readable,
                new: probed.new,
            });
        }
        done += 1;
        progress.done("manifests", done, all);
    }
    drop(reading);
    inventory.deletes = DeleteIndex::new(metadata, deletes)?;
    inventory.findings.extend(totals.compare(snapshot));
    Ok(inventory)
}

/// The field ids of the columns that tell where a row is from.
struct Columns {
    partition: Option<i32>,
    offset: Option<i32>,
}

impl Columns {
    fn of(snapshot: &SnapshotRef, metadata: &TableMetadata) -> Result<Self, VerifyError> {
        let schema = snapshot.schema(metadata)?;
        Ok(Self {
            partition: schema.field_id_by_name(PARTITION),
            offset: schema.field_id_by_name(OFFSET),
        })
    }

    /// The lowest and the highest value of a column of whole numbers, by a file's entry.
    fn bounds(&self, file: &DataFile, id: Option<i32>) -> Option<(i64, i64)> {
        let id = id?;
        let number = |literal: &PrimitiveLiteral| match literal {
            PrimitiveLiteral::Int(value) => Some(i64::from(*value)),
            PrimitiveLiteral::Long(value) => Some(*value),
            _ => None,
        };
        let (low, high) = (file.lower_bounds().get(&id)?, file.upper_bounds().get(&id)?);
        Some((number(low.literal())?, number(high.literal())?))
    }
}

/// What is known of a file after it was looked at.
struct Probed {
    findings: Vec<Finding>,
    bytes: u64,
    readable: bool,
    new: bool,
}

/// Bytes of a file, as the store has it; `None` if it is not there.
///
/// # Errors
/// The store does not answer.
async fn size(lake: &Lake, path: &str) -> Result<Option<u64>, VerifyError> {
    let input = lake.file_io.new_input(path)?;
    match input.metadata().await {
        Ok(found) => Ok(Some(found.size)),
        Err(_) if !input.exists().await? => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn missing(path: &str) -> Finding {
    let says = format!("{path} is not there; restore it from a backup, or have its rows read again");
    Finding::failed(MISSING, says).in_file(path)
}

/// What it means that the rows of a file could not be read.
///
/// # Errors
/// The store does not answer: nothing is wrong with the file then.
pub async fn unreadable(lake: &Lake, path: &str, why: &str) -> Result<Finding, VerifyError> {
    Ok(match size(lake, path).await? {
        None => missing(path),
        Some(_) => {
            let says = format!("the rows of {path} can't be read: {why}; restore it from a backup");
            Finding::failed("unreadable", says).in_file(path)
        }
    })
}

/// Looks whether a file is there, and compares its entry with its footer. Files that are not `new` are not looked at.
async fn probe(
    lake: &Lake,
    metadata: &TableMetadata,
    live: &LiveFile,
    new: bool,
) -> Result<Probed, VerifyError> {
    let (file, path) = (&live.file, live.file.file_path());
    let mut probed = Probed {
        findings: Vec::new(),
        bytes: file.file_size_in_bytes(),
        readable: true,
        new,
    };
    if !new {
        return Ok(probed);
    }
    probed.bytes = match size(lake, path).await? {
        Some(bytes) => bytes,
        None => {
            probed.findings.push(missing(path));
            probed.readable = false;
            return Ok(probed);
        }
    };
    if probed.bytes != file.file_size_in_bytes() {
        let says = format!(
            "{path} has {} bytes, and by its entry {}: somebody wrote it again, or cut it",
            probed.bytes,
            file.file_size_in_bytes()
        );
        probed.findings.push(Finding::failed("size", says).in_file(path));
    }
    if file.file_format() != DataFileFormat::Parquet {
        // Deletion vectors are read with the rows that they take.
        if file.content_type() == DataContentType::Data {
            let says = format!("{path} is no Parquet file: its rows are not judged");
            probed
                .findings
                .push(Finding::note("other-format", says).in_file(path));
            probed.readable = false;
        }
        return Ok(probed);
    }
    match read_footer(lake, path, probed.bytes).await {
        Ok(footer) => {
            let spec = metadata.partition_spec_by_id(live.spec_id);
            let spec = spec.filter(|_| file.content_type() == DataContentType::Data);
            let wrong = footer::compare(file, spec.map(AsRef::as_ref), metadata, &footer);
            probed.findings.extend(wrong);
        }
        Err(why) => {
            let says = format!("{path} is no whole Parquet file: {why}; restore it from a backup");
            probed
                .findings
                .push(Finding::failed("unreadable", says).in_file(path));
            probed.readable = false;
        }
    }
    Ok(probed)
}

async fn read_footer(lake: &Lake, path: &str, bytes: u64) -> Result<ParquetMetaData, String> {
    let input = lake.file_io.new_input(path).map_err(|error| error.to_string())?;
    let reader = input.reader().await.map_err(|error| error.to_string())?;
    let mut reader = ArrowFileReader::new(FileMetadata { size: bytes }, reader);
    let footer = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
    footer
        .load_and_finish(&mut reader, bytes)
        .await
        .map_err(|error| error.to_string())
}
