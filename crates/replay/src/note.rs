//! What a replay's table says of itself: a table property, written when the table is made and never changed.

use std::collections::BTreeMap;

use iceberg::TableIdent;
use iceberg::spec::TableMetadata;
use serde::{Deserialize, Serialize};
use tabletopic_clock::Millis;
use tabletopic_offsets::{JobId, Offset, OffsetRange};

use crate::ReplayError;

/// The property that holds a [`Note`], as JSON.
pub const PROPERTY: &str = "tabletopic.replay";

/// Of a newer one nothing is known.
const VERSION: u32 = 1;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    version: u32,
    /// The table that it is a replay of, `namespace.name`.
    pub of: String,
    /// Milliseconds since the Unix epoch.
    pub made_at: Millis,
    /// From when on it may be removed by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Millis>,
    /// The words of the command that decide what is read and how: who goes on has to say the same.
    pub words: String,
    pub jobs: BTreeMap<String, NotedJob>,
}

/// What is read of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedJob {
    pub topic: String,
    /// First offset, and the first one that is not read, by partition.
    pub ranges: BTreeMap<i32, (Offset, Offset)>,
}

impl NotedJob {
    pub fn new(topic: &str, ranges: &BTreeMap<i32, OffsetRange>) -> Self {
        let ranges = ranges.iter();
        Self {
            topic: topic.to_owned(),
            ranges: ranges
                .map(|(number, range)| (*number, (range.start, range.end)))
                .collect(),
        }
    }

    pub fn ranges(&self) -> BTreeMap<i32, OffsetRange> {
        let ranges = self.ranges.iter();
        ranges
            .map(|(number, (start, end))| (*number, OffsetRange::new(*start, *end)))
            .collect()
    }
}

impl Note {
    pub fn new(of: &TableIdent, made_at: Millis, expires_at: Option<Millis>, words: String) -> Self {
        Self {
            version: VERSION,
            of: of.to_string(),
            made_at,
            expires_at,
            words,
            jobs: BTreeMap::new(),
        }
    }

    pub fn job(&self, id: &JobId) -> Option<&NotedJob> {
        self.jobs.get(id.as_str())
    }

    /// As the property's value.
    pub fn text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// What a table says; `None` where it is no replay's.
    ///
    /// # Errors
    /// What it says can't be read.
    pub fn of_table(table: &TableIdent, metadata: &TableMetadata) -> Result<Option<Self>, ReplayError> {
        let Some(text) = metadata.properties().get(PROPERTY) else {
            return Ok(None);
        };
        let unreadable = |detail: String| ReplayError::Unreadable {
            table: table.clone(),
            property: PROPERTY,
            detail,
        };
        let note: Self = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        match note.version {
            VERSION => Ok(Some(note)),
            other => Err(unreadable(format!("its version is {other}"))),
        }
    }
}
