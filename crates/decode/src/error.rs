//! What is wrong with a job's decoding as a whole, as opposed to one record.

/// Each of these needs a person: the configuration or the table must change.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("topic {topic}: {problem}")]
    Settings { topic: String, problem: String },
    #[error("topic {topic}: column {column} of the table: {problem}")]
    Column {
        topic: String,
        column: String,
        problem: String,
    },
    #[error("topic {topic}: the table's schema: {source}")]
    Schema {
        topic: String,
        source: Box<iceberg::Error>,
    },
    #[error("topic {topic}: building the Arrow batch: {source}")]
    Arrow {
        topic: String,
        source: arrow::error::ArrowError,
    },
}
