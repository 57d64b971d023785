//! Which delete files apply to which data files ("Scan Planning" of the Iceberg specification).

use std::collections::HashMap;

use iceberg::spec::{
    DataContentType, DataFile, DataFileFormat, Literal, PrimitiveLiteral, PrimitiveType, Struct,
    TableMetadata, Type,
};

use super::live::LiveFile;
use crate::commit::CommitError;

/// Field id of the column of position delete files that names a data file (Iceberg's reserved field ids).
const FILE_PATH: i32 = i32::MAX - 101;

/// Where a file lies: spec and partition value.
pub type Place = (i32, Struct);

/// What decides which deletes apply to a data file.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    pub place: &'a Place,
    pub path: &'a str,
    /// Of its rows, which may have been in other files before.
    pub sequence_number: i64,
    /// Of the snapshot that added the file itself.
    pub file_sequence_number: Option<i64>,
}

/// Where a file lies, in the types that partition columns have today: a manifest from before a column was widened has the
/// narrower ones, and the deletes of a later one apply to its files all the same.
///
/// # Errors
/// A partition spec that is not in the table.
pub fn place(metadata: &TableMetadata, spec_id: i32, partition: &Struct) -> Result<Place, CommitError> {
    let spec = metadata.partition_spec_by_id(spec_id);
    let spec =
        spec.ok_or_else(|| CommitError::Encode(format!("partition spec {spec_id} is not in the table")))?;
    // Without its column a value has the type that it has: nothing can widen it any more.
    let Ok(types) = spec.partition_type(metadata.current_schema()) else {
        return Ok((spec_id, partition.clone()));
    };
    let values = partition.iter().zip(types.fields()).map(|(value, field)| {
        Some(match (value?, field.field_type.as_ref()) {
            (Literal::Primitive(PrimitiveLiteral::Int(value)), Type::Primitive(PrimitiveType::Long)) => {
                Literal::long(i64::from(*value))
            }
            (Literal::Primitive(PrimitiveLiteral::Float(value)), Type::Primitive(PrimitiveType::Double)) => {
                Literal::double(f64::from(value.0))
            }
            (value, _) => value.clone(),
        })
    });
    Ok((spec_id, Struct::from_iter(values.collect::<Vec<_>>())))
}

/// Live delete files, by where they apply.
#[derive(Debug, Default)]
pub struct DeleteIndex {
    by_place: HashMap<Place, Here>,
    /// Deletes of values that apply everywhere: those of an unpartitioned spec.
    everywhere: Vec<LiveFile>,
}

/// The delete files of one place.
#[derive(Debug, Default)]
struct Here {
    /// Deletion vectors, by their data file.
    vectors: HashMap<String, LiveFile>,
    /// Other deletes that name one data file.
    by_path: HashMap<String, Vec<LiveFile>>,
    others: Vec<LiveFile>,
}

impl DeleteIndex {
    /// # Errors
    /// As [`place`]; a data file with two deletion vectors, or a deletion vector of none.
    pub fn new(
        metadata: &TableMetadata,
        deletes: impl IntoIterator<Item = LiveFile>,
    ) -> Result<Self, CommitError> {
        let mut index = Self::default();
        for delete in deletes {
            let spec = metadata.partition_spec_by_id(delete.spec_id);
            let unpartitioned = spec.is_some_and(|spec| spec.is_unpartitioned());
            let positions = delete.file.content_type() != DataContentType::EqualityDeletes;
            if unpartitioned && !positions {
                index.everywhere.push(delete);
                continue;
            }
            let place = place(metadata, delete.spec_id, delete.file.partition())?;
            let here = index.by_place.entry(place).or_default();
            if is_vector(&delete.file) {
                here.add_vector(delete)?;
                continue;
            }
            match only(&delete.file).filter(|_| positions) {
                Some(path) => here.by_path.entry(path).or_default().push(delete),
                None => here.others.push(delete),
            }
        }
        Ok(index)
    }

    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty() && self.everywhere.is_empty()
    }

    /// Those that may take rows from a data file. Where it has a deletion vector, other deletes by position do not apply:
    /// the vector has all that they say.
    pub fn of<'a>(&'a self, data: Data<'a>) -> impl Iterator<Item = &'a LiveFile> {
        let here = self.by_place.get(data.place);
        let vector = here
            .and_then(|here| here.vectors.get(data.path))
            .filter(|vector| applies(vector, data));
        let superseded = |delete: &LiveFile| delete.file.content_type() != DataContentType::EqualityDeletes;
        let named = here
            .and_then(|here| here.by_path.get(data.path))
            .into_iter()
            .flatten();
        let others = here.into_iter().flat_map(|here| &here.others);
        let files = named
            .chain(others)
            .chain(&self.everywhere)
            .filter(move |delete| applies(delete, data) && !(vector.is_some() && superseded(delete)));
        vector.into_iter().chain(files)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &LiveFile> {
        let here = self.by_place.values().flat_map(|here| {
            let named = here.by_path.values().flatten();
            here.vectors.values().chain(named).chain(&here.others)
        });
        here.chain(&self.everywhere)
    }
}

impl Here {
    fn add_vector(&mut self, vector: LiveFile) -> Result<(), CommitError> {
        let path = vector.file.file_path();
        let Some(data) = vector.file.referenced_data_file() else {
            return Err(CommitError::Encode(format!(
                "a deletion vector in {path} does not say which data file it is of; rewrite the table's deletes with the \
                 engine that wrote it"
            )));
        };
        if let Some(other) = self.vectors.get(&data) {
            return Err(CommitError::Encode(format!(
                "{data} has two deletion vectors, in {} and in {path}, where the specification allows one; rewrite the \
                 data file with the engine that wrote them",
                other.file.file_path()
            )));
        }
        self.vectors.insert(data, vector);
        Ok(())
    }
}

/// Whether a delete file is a deletion vector, which is the only one in this format.
fn is_vector(delete: &DataFile) -> bool {
    delete.file_format() == DataFileFormat::Puffin
}

/// Whether a delete file in the place of a data file, or everywhere, may take rows from it. Positions name files, so that
/// they apply to none that came later: not to one either that has the rows of those that they name.
fn applies(delete: &LiveFile, data: Data<'_>) -> bool {
    match delete.file.content_type() {
        DataContentType::EqualityDeletes => delete.sequence_number > data.sequence_number,
        _ => {
            let since = data.file_sequence_number.unwrap_or(data.sequence_number);
            delete.sequence_number >= since
        }
    }
}

/// The one data file that a file of position deletes names, if it says so: by its `referenced_data_file`, or by bounds
/// that are the same.
fn only(delete: &DataFile) -> Option<String> {
    if let Some(path) = delete.referenced_data_file() {
        return Some(path);
    }
    let bound = |bounds: &HashMap<i32, iceberg::spec::Datum>| match bounds.get(&FILE_PATH)?.literal() {
        PrimitiveLiteral::String(path) => Some(path.clone()),
        _ => None,
    };
    let (lower, upper) = (bound(delete.lower_bounds())?, bound(delete.upper_bounds())?);
    // Bounds are cut where they are long, the upper one so that it is another text then.
    (lower == upper).then_some(lower)
}

#[cfg(test)]
mod tests {
    use iceberg::TableCreation;
    use iceberg::spec::{
        DataFileBuilder, DataFileFormat, Datum, NestedField, Schema, TableMetadataBuilder, Transform,
        UnboundPartitionSpec,
    };

    use super::*;

    fn delete(content: DataContentType, sequence_number: i64, bounds: Option<(&str, &str)>) -> LiveFile {
        let mut file = DataFileBuilder::default();
        file.content(content)
            .file_path("d.parquet".to_owned())
            .file_format(DataFileFormat::Parquet)
            .partition(Struct::empty())
            .partition_spec_id(0)
            .record_count(1)
            .file_size_in_bytes(1);
        if let Some((lower, upper)) = bounds {
            file.lower_bounds(HashMap::from([(FILE_PATH, Datum::string(lower))]));
            file.upper_bounds(HashMap::from([(FILE_PATH, Datum::string(upper))]));
        }
        LiveFile {
            file: file.build().unwrap(),
            first_row_id: None,
            spec_id: 0,
            snapshot_id: 1,
            sequence_number,
            file_sequence_number: Some(sequence_number),
        }
    }

    /// A manifest from before its partition column was widened has the narrower value, and one from later the wider one.
    #[test]
    fn a_place_is_one_place_also_after_its_column_was_widened() {
        let field = NestedField::required(1, "n", PrimitiveType::Long.into());
        let schema = Schema::builder().with_fields([field.into()]).build().unwrap();
        let spec = UnboundPartitionSpec::builder().add_partition_field(1, "n", Transform::Identity);
        let creation = TableCreation::builder()
            .name("t".to_owned())
            .location("memory:///t".to_owned())
            .schema(schema)
            .partition_spec(spec.unwrap().build())
            .build();
        let metadata = TableMetadataBuilder::from_table_creation(creation)
            .unwrap()
            .build()
            .unwrap()
            .metadata;
        let of = |value| place(&metadata, 0, &Struct::from_iter([value])).unwrap();
        assert_eq!(of(Some(Literal::int(5))), of(Some(Literal::long(5))));
        assert_ne!(of(Some(Literal::int(5))), of(Some(Literal::long(6))));
        assert_ne!(of(Some(Literal::int(5))), of(None));
        assert!(place(&metadata, 7, &Struct::empty()).is_err());
    }

    #[test]
    fn values_are_deleted_from_older_files_and_positions_from_those_of_the_same_commit_too() {
        let values = delete(DataContentType::EqualityDeletes, 5, None);
        let positions = delete(DataContentType::PositionDeletes, 5, None);
        let place = (0, Struct::empty());
        let applied = |sequence_number| {
            let data = Data {
                place: &place,
                path: "a",
                sequence_number,
                file_sequence_number: Some(sequence_number),
            };
            (applies(&values, data), applies(&positions, data))
        };
        assert_eq!(applied(4), (true, true));
        assert_eq!(applied(5), (false, true));
        assert_eq!(applied(6), (false, false));
    }

    #[test]
    fn positions_of_one_file_apply_to_no_other_and_to_none_that_came_later() {
        let place = (0, Struct::empty());
        let data = |path| Data {
            place: &place,
            path,
            sequence_number: 1,
            file_sequence_number: Some(1),
        };
        let of_one = delete(DataContentType::PositionDeletes, 5, Some(("a", "a")));
        let of_some = delete(DataContentType::PositionDeletes, 5, Some(("a", "c")));
        assert_eq!(
            (only(&of_one.file), only(&of_some.file)),
            (Some("a".to_owned()), None)
        );
        let mut index = DeleteIndex::default();
        let here = index.by_place.entry(place.clone()).or_default();
        here.by_path.insert("a".to_owned(), vec![of_one]);
        here.others.push(of_some.clone());
        assert_eq!(index.of(data("a")).count(), 2);
        assert_eq!(index.of(data("b")).count(), 1);
        let rewritten = Data {
            file_sequence_number: Some(6),
            ..data("b")
        };
        assert!(!applies(&of_some, rewritten));
        let values = delete(DataContentType::EqualityDeletes, 5, None);
        assert!(applies(&values, rewritten), "its rows are as old as ever");
    }

    fn vector(path: &str, of: Option<&str>, sequence_number: i64) -> LiveFile {
        let mut file = DataFileBuilder::default();
        file.content(DataContentType::PositionDeletes)
            .file_path(path.to_owned())
            .file_format(DataFileFormat::Puffin)
            .partition(Struct::empty())
            .partition_spec_id(0)
            .record_count(1)
            .file_size_in_bytes(100)
            .content_offset(Some(4))
            .content_size_in_bytes(Some(10))
            .referenced_data_file(of.map(str::to_owned));
        LiveFile {
            file: file.build().unwrap(),
            ..delete(DataContentType::PositionDeletes, sequence_number, None)
        }
    }

    #[test]
    fn a_deletion_vector_takes_the_place_of_other_deletes_by_position() {
        let place = (0, Struct::empty());
        let mut index = DeleteIndex::default();
        let here = index.by_place.entry(place.clone()).or_default();
        here.add_vector(vector("p.puffin", Some("a"), 5)).unwrap();
        here.add_vector(vector("p.puffin", Some("b"), 2)).unwrap();
        here.by_path.insert(
            "a".to_owned(),
            vec![delete(DataContentType::PositionDeletes, 4, Some(("a", "a")))],
        );
        here.others
            .push(delete(DataContentType::PositionDeletes, 4, Some(("a", "c"))));
        index
            .everywhere
            .push(delete(DataContentType::EqualityDeletes, 5, None));
        let kinds = |path, sequence_number| -> Vec<(DataFileFormat, DataContentType)> {
            let data = Data {
                place: &place,
                path,
                sequence_number,
                file_sequence_number: Some(sequence_number),
            };
            let files = index.of(data).map(|live| &live.file);
            files
                .map(|file| (file.file_format(), file.content_type()))
                .collect()
        };
        let (puffin, parquet) = (DataFileFormat::Puffin, DataFileFormat::Parquet);
        let (positions, values) = (DataContentType::PositionDeletes, DataContentType::EqualityDeletes);
        assert_eq!(kinds("a", 1), [(puffin, positions), (parquet, values)]);
        assert_eq!(kinds("c", 1), [(parquet, positions), (parquet, values)]);
        assert_eq!(
            kinds("b", 3),
            [(parquet, positions), (parquet, values)],
            "a file that came after the vector"
        );
        assert_eq!(index.all().count(), 5);
    }

    #[test]
    fn a_data_file_with_two_deletion_vectors_is_refused() {
        let mut here = Here::default();
        here.add_vector(vector("p.puffin", Some("a"), 5)).unwrap();
        let said = here
            .add_vector(vector("q.puffin", Some("a"), 6))
            .unwrap_err()
            .to_string();
        assert!(
            ["a has two", "p.puffin", "q.puffin"]
                .iter()
                .all(|word| said.contains(word)),
            "{said}"
        );
        let said = here
            .add_vector(vector("r.puffin", None, 6))
            .unwrap_err()
            .to_string();
        assert!(said.contains("r.puffin"), "{said}");
    }
}
