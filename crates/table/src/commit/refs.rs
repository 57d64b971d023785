//! The branches and tags of a table.

use std::collections::BTreeMap;

use iceberg::spec::{SnapshotReference, TableMetadata};
use serde::Deserialize;

use super::error::CommitError;

/// All branches and tags. The `iceberg` crate answers for one name only, so they are read from the metadata's JSON;
/// that costs about as much as writing the metadata file.
///
/// # Errors
/// None in practice: what was read can be written.
pub fn refs(metadata: &TableMetadata) -> Result<BTreeMap<String, SnapshotReference>, CommitError> {
    #[derive(Deserialize)]
    struct Refs {
        #[serde(default)]
        refs: BTreeMap<String, SnapshotReference>,
    }
    let read = serde_json::to_vec(metadata).and_then(|json| serde_json::from_slice::<Refs>(&json));
    Ok(read
        .map_err(|error| CommitError::Encode(format!("the table's branches and tags: {error}")))?
        .refs)
}
