//! The files of one table, each read as the columns that are compared.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use futures::TryStreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{DataFileFormat, Schema, Transform};
use tabletopic_maintain::Allowance;
use tabletopic_maintain::survey::{FileEntry, Partition, Survey};
use tabletopic_table::read::{DeleteFile, DeleteFiles, OpenFile, row_schema};
use tabletopic_table::rows::Offsets;
use tabletopic_table::snapshot::deletes::Place;

use super::CompareError;
use super::conform::Conform;
use super::files::{FileRef, Sink};
use super::only;
use super::side::Side;

/// One table's files, and how its rows become those that are compared.
#[derive(Debug)]
pub struct OneSide {
    pub side: Side,
    survey: Option<Survey>,
    /// Those of one place are neighbours.
    pub files: Vec<(Place, FileEntry)>,
    /// The columns that are read.
    schema: Schema,
    fields: Vec<FieldRef>,
    rows: SchemaRef,
    conform: Conform,
    /// Only the rows of these.
    offsets: Option<Arc<Offsets>>,
}

impl OneSide {
    /// `ids`: of the columns that are `compared`, in their order. `offsets`: only rows of these.
    ///
    /// # Errors
    /// Those of reading manifests; files that are not Parquet.
    pub async fn open(
        side: Side,
        ids: &[i32],
        compared: &SchemaRef,
        offsets: Option<Arc<Offsets>>,
    ) -> Result<Self, CompareError> {
        let fields = ids
            .iter()
            .filter_map(|id| side.schema.as_struct().field_by_id(*id).cloned());
        let schema = Schema::builder()
            .with_fields(fields.collect::<Vec<_>>())
            .build()?;
        let rows = row_schema(&schema)?;
        let mut survey = match &side.snapshot {
            None => None,
            Some(snapshot) => {
                let survey = Survey::at(&side.lake, side.table.clone(), snapshot.clone()).await;
                Some(survey.map_err(|source| CompareError::Manifests {
                    table: side.name.clone(),
                    source,
                })?)
            }
        };
        let by_place = survey
            .as_mut()
            .map(|survey| std::mem::take(&mut survey.partitions));
        let mut files = in_runs(by_place.unwrap_or_default());
        if let Some(offsets) = &offsets {
            let wanted = only::files(&side, offsets)
                .await
                .map_err(|source| CompareError::Manifests {
                    table: side.name.clone(),
                    source: source.into(),
                })?;
            files.retain(|(_, file)| wanted.contains(&file.path));
        }
        if let Some((_, file)) = files
            .iter()
            .find(|(_, file)| file.format != DataFileFormat::Parquet)
        {
            return Err(CompareError::Unsupported(format!(
                "{} is a file of format {}, and only Parquet files are read here; rewrite it with the engine that wrote \
                 it",
                file.path, file.format
            )));
        }
        Ok(Self {
            conform: Conform::new(rows.fields(), compared.clone())?,
            fields: schema_to_arrow_schema(&schema)?.fields().to_vec(),
            rows,
            schema,
            survey,
            files,
            offsets,
            side,
        })
    }

    /// Reads one file; answers its bytes. `deletes`: what delete files say that were read before.
    ///
    /// # Errors
    /// A file that cannot be read, or not without guessing; those of the sink.
    pub async fn read(
        &self,
        file: FileRef,
        deletes: &DeleteFiles,
        memory: &Allowance,
        sink: &dyn Sink,
    ) -> Result<u64, CompareError> {
        let unreadable = |source| CompareError::Read {
            table: self.side.name.clone(),
            source,
        };
        let (place, entry) = &self.files[file.number];
        let applied = self
            .survey
            .iter()
            .flat_map(|survey| survey.deletes.of(entry.data(place)));
        let applied = applied.map(|delete| DeleteFile::of(&delete.file));
        let applied: Vec<DeleteFile> = applied.collect::<Result<_, _>>().map_err(unreadable)?;
        let deleted = deletes
            .of(&entry.path, &applied, memory)
            .await
            .map_err(unreadable)?;
        let opened = OpenFile::open(&self.side.lake.file_io, &entry.path, entry.bytes)
            .await
            .map_err(unreadable)?;
        self.check(place, entry, &opened)?;
        let groups = (0..opened.metadata.metadata().num_row_groups()).collect();
        let mut rows = opened
            .rows(&self.fields, self.rows.clone(), groups, deleted)
            .map_err(unreadable)?;
        while let Some(batch) = rows.try_next().await.map_err(unreadable)? {
            if batch.num_rows() == 0 {
                continue;
            }
            let rows = self.conform.rows(&batch).and_then(|rows| match &self.offsets {
                Some(offsets) => only::rows(rows, offsets),
                None => Ok(rows),
            });
            let rows = rows.map_err(of_file(&entry.path))?;
            if rows.num_rows() == 0 {
                continue;
            }
            sink.take(file, rows).await.map_err(|error| match error {
                CompareError::Arrow(source) => of_file(&entry.path)(source),
                other => other,
            })?;
        }
        Ok(entry.bytes)
    }

    /// Values that are not in the file would be read as null.
    fn check(&self, (spec_id, _): &Place, file: &FileEntry, opened: &OpenFile) -> Result<(), CompareError> {
        if let Some(column) = opened.lacks_default(&self.schema) {
            return Err(CompareError::Unsupported(format!(
                "{} has no column {}, which has an initial-default, and such values are not read here; rewrite the file \
                 with the engine that added the column, or leave the column out with --ignore",
                file.path, column.name
            )));
        }
        let spec = self.side.table.metadata.partition_spec_by_id(*spec_id);
        let fields = spec.into_iter().flat_map(|spec| spec.fields());
        let mut told = fields.filter(|field| {
            field.transform == Transform::Identity && self.schema.field_by_id(field.source_id).is_some()
        });
        match told.find(|field| !opened.has_leaf(field.source_id)) {
            None => Ok(()),
            Some(field) => Err(CompareError::Unsupported(format!(
                "{} has no column for the partition field {}, whose value only the manifest tells; rewrite it with the \
                 engine that wrote it, or leave the column out with --ignore",
                file.path, field.name
            ))),
        }
    }
}

fn of_file(path: &str) -> impl Fn(ArrowError) -> CompareError {
    move |source| CompareError::Rows {
        file: path.to_owned(),
        source,
    }
}

/// All files, those of one place together, in the order of their first paths.
fn in_runs(by_place: HashMap<Place, Partition>) -> Vec<(Place, FileEntry)> {
    let mut places: Vec<_> = by_place
        .into_iter()
        .map(|(place, mut partition)| {
            partition.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            (place, partition.files)
        })
        .collect();
    let first = |files: &[FileEntry]| files.first().map(|file| file.path.clone());
    places.sort_by_cached_key(|(_, files)| first(files));
    let files = places
        .into_iter()
        .flat_map(|(place, files)| files.into_iter().map(move |file| (place.clone(), file)));
    files.collect()
}
