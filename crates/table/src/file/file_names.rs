//! Where files go.

use iceberg::spec::Struct;
use tabletopic_clock::Entropy;

use super::{FileError, FileSchema};
use crate::partition::partition_path;

/// Makes up paths of new data files: `{location}/data/{partition path}/{uuid}.parquet`. The UUID makes
/// a path unique for good: two writers, or two attempts of one, never share a file.
#[derive(Debug, Clone)]
pub struct FileNames {
    data: String,
}

impl FileNames {
    /// `location` is the table's location, an absolute URI, with or without a `/` at its end.
    pub fn new(location: &str) -> Self {
        Self {
            data: format!("{}/data", location.trim_end_matches('/')),
        }
    }

    pub fn next(
        &self,
        schema: &FileSchema,
        partition: &Struct,
        entropy: &dyn Entropy,
    ) -> Result<String, FileError> {
        let partition = partition_path(schema.spec(), schema.schema(), partition)?;
        let folder = if partition.is_empty() {
            String::new()
        } else {
            format!("/{partition}")
        };
        Ok(format!("{}{folder}/{}.parquet", self.data, entropy.uuid()))
    }
}
