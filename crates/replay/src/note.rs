//! What a replay's table says of itself: a table property, written when the table is made and never changed.

use std::collections::BTreeMap;

use iceberg::TableIdent;
use iceberg::spec::TableMetadata;
use serde::{Deserialize, Serialize};
use tabletopic_clock::Millis;
use tabletopic_offsets::{JobId, LostInHistory, Offset, OffsetRange, RangeSet, TopicIdentity};

use crate::ReplayError;

/// The property that holds a [`Note`], as JSON.
pub const PROPERTY: &str = "tabletopic.replay";

/// The property of a replay's table whose files another table may name: they are not deleted with it.
pub const PROMOTED: &str = "tabletopic.promoted";

/// The property of a replay's table that is being removed: some of it may be gone.
pub const DISCARDING: &str = "tabletopic.discarding";

/// The property of the tables beside a replay's table: the name that each of them was made under.
pub const BESIDE: &str = "tabletopic.beside-replay";

/// Of a newer one nothing is known.
const VERSION: u32 = 1;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    version: u32,
    /// Its own name, `namespace.name`: a table that somebody has renamed, or made of it, is no replay any more.
    table: String,
    /// The table that it is a replay of, likewise.
    pub of: String,
    /// Milliseconds since the Unix epoch.
    pub made_at: Millis,
    /// For how long after its last change it stays, in milliseconds; `None`: for good.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ttl_ms: Option<Millis>,
    /// Where its tables lie in folders that no other table will ever have, the end of these folders' names. Otherwise the
    /// catalog chooses locations by the tables' names, and a later replay may get the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub folder: Option<String>,
    /// The words of the command that decide what is read and how: who goes on has to say the same.
    pub words: String,
    pub jobs: BTreeMap<String, NotedJob>,
}

/// What is read of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedJob {
    pub topic: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub topic_id: Option<String>,
    /// First offset, and the first one that is not read, by partition.
    pub ranges: BTreeMap<i32, (Offset, Offset)>,
    /// Those of them that the history which is read had declared lost, by partition, likewise.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub lost: BTreeMap<i32, Vec<(Offset, Offset)>>,
}

impl NotedJob {
    /// `lost` is what the history has declared lost, by partition.
    pub fn new(
        topic: &TopicIdentity,
        ranges: &BTreeMap<i32, OffsetRange>,
        lost: &BTreeMap<i32, RangeSet>,
    ) -> Self {
        let lost = ranges.iter().filter_map(|(number, range)| {
            let inside = lost.get(number)?.intersection(&[*range].into_iter().collect());
            let pairs = inside.ranges().iter().map(|range| (range.start, range.end));
            (!inside.is_empty()).then(|| (*number, pairs.collect()))
        });
        let lost = lost.collect();
        let ranges = ranges.iter();
        Self {
            topic: topic.topic.to_string(),
            cluster_id: topic.cluster_id.clone(),
            topic_id: topic.topic_id.clone(),
            ranges: ranges
                .map(|(number, range)| (*number, (range.start, range.end)))
                .collect(),
            lost,
        }
    }

    pub fn identity(&self) -> TopicIdentity {
        TopicIdentity {
            cluster_id: self.cluster_id.clone(),
            topic: self.topic.as_str().into(),
            topic_id: self.topic_id.clone(),
        }
    }

    pub fn ranges(&self) -> BTreeMap<i32, OffsetRange> {
        let ranges = self.ranges.iter();
        ranges
            .map(|(number, (start, end))| (*number, OffsetRange::new(*start, *end)))
            .collect()
    }

    pub fn lost(&self) -> BTreeMap<i32, RangeSet> {
        let sets = self.lost.iter().map(|(number, pairs)| {
            let ranges = pairs.iter().map(|(start, end)| OffsetRange::new(*start, *end));
            (*number, ranges.collect())
        });
        sets.collect()
    }
}

impl Note {
    pub fn new(
        table: &TableIdent,
        of: &TableIdent,
        made_at: Millis,
        ttl_ms: Option<Millis>,
        words: String,
    ) -> Self {
        Self {
            version: VERSION,
            table: table.to_string(),
            of: of.to_string(),
            made_at,
            ttl_ms,
            folder: None,
            words,
            jobs: BTreeMap::new(),
        }
    }

    pub fn job(&self, id: &JobId) -> Option<&NotedJob> {
        self.jobs.get(id.as_str())
    }

    /// What the history that it is read from had lost.
    pub fn lost(&self) -> LostInHistory {
        let jobs = self.jobs.iter();
        jobs.flat_map(|(id, job)| {
            let id = JobId::new(id.as_str());
            let sets = job.lost().into_iter();
            sets.map(move |(partition, lost)| ((id.clone(), partition), lost))
        })
        .collect()
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
            VERSION => Ok(Some(note).filter(|note| note.table == table.to_string())),
            other => Err(unreadable(format!("its version is {other}"))),
        }
    }
}
