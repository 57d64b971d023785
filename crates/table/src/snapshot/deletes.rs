//! Which delete files apply to which data files ("Scan Planning" of the Iceberg specification).

use std::collections::HashMap;

use iceberg::spec::{DataContentType, DataFile, PrimitiveLiteral, Struct, TableMetadata};

use super::live::LiveFile;

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

/// Live delete files, by where they apply.
#[derive(Debug, Default)]
pub struct DeleteIndex {
    by_place: HashMap<Place, Vec<LiveFile>>,
    /// Deletes of values that apply everywhere: those of an unpartitioned spec.
    everywhere: Vec<LiveFile>,
}

impl DeleteIndex {
    pub fn new(metadata: &TableMetadata, deletes: impl IntoIterator<Item = LiveFile>) -> Self {
        let mut index = Self::default();
        for delete in deletes {
            let spec = metadata.partition_spec_by_id(delete.spec_id);
            let unpartitioned = spec.is_some_and(|spec| spec.is_unpartitioned());
            if unpartitioned && delete.file.content_type() == DataContentType::EqualityDeletes {
                index.everywhere.push(delete);
            } else {
                let place = (delete.spec_id, delete.file.partition().clone());
                index.by_place.entry(place).or_default().push(delete);
            }
        }
        index
    }

    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty() && self.everywhere.is_empty()
    }

    /// Those that may take rows from a data file.
    pub fn of<'a>(&'a self, data: Data<'a>) -> impl Iterator<Item = &'a LiveFile> {
        let here = self.by_place.get(data.place).into_iter().flatten();
        here.chain(&self.everywhere)
            .filter(move |delete| applies(delete, data))
    }

    /// All of them, with the place that they apply to; `None`: everywhere.
    pub fn all(&self) -> impl Iterator<Item = (Option<&Place>, &LiveFile)> {
        let here = self
            .by_place
            .iter()
            .flat_map(|(place, deletes)| deletes.iter().map(move |delete| (Some(place), delete)));
        here.chain(self.everywhere.iter().map(|delete| (None, delete)))
    }
}

/// Whether a delete file in the place of a data file, or everywhere, may take rows from it. Positions name files, so that
/// they apply to none that came later: not to one either that has the rows of those that they name.
fn applies(delete: &LiveFile, data: Data<'_>) -> bool {
    match delete.file.content_type() {
        DataContentType::EqualityDeletes => delete.sequence_number > data.sequence_number,
        _ => {
            let since = data.file_sequence_number.unwrap_or(data.sequence_number);
            delete.sequence_number >= since && only(&delete.file).is_none_or(|only| only == data.path)
        }
    }
}

/// The one data file that a file of position deletes names, if it says so: by its `referenced_data_file`, or by bounds
/// that are the same.
pub fn only(delete: &DataFile) -> Option<String> {
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
    use iceberg::spec::{DataFileBuilder, DataFileFormat, Datum};

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
            spec_id: 0,
            snapshot_id: 1,
            sequence_number,
            file_sequence_number: Some(sequence_number),
        }
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
        assert!(applies(&of_one, data("a")) && !applies(&of_one, data("b")));
        let of_some = delete(DataContentType::PositionDeletes, 5, Some(("a", "c")));
        assert!(applies(&of_some, data("b")));
        let rewritten = Data {
            file_sequence_number: Some(6),
            ..data("b")
        };
        assert!(!applies(&of_some, rewritten));
        let values = delete(DataContentType::EqualityDeletes, 5, None);
        assert!(applies(&values, rewritten), "its rows are as old as ever");
    }
}
