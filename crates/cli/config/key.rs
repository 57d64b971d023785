//! `[topic.key]`: how the keys of a topic are decoded, if they are.

use std::ops::Range;
use std::path::PathBuf;

use tabletopic_decode::Format;
use tabletopic_decode::kafka_columns::RESERVED_PREFIX;

use super::document::Document;
use super::error::Problem;
use super::formats::has_schemas;
use super::raw;
use super::reference::References;
use super::topic::schema_file;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The struct that the key's fields are in.
    pub column: String,
    pub format: Format,
    /// A file with the schema of every key; else each key names its own in the registry.
    pub schema_file: Option<PathBuf>,
    /// Which message of a Protobuf `schema_file` the keys are; `None` if it has only one.
    pub message: Option<String>,
}

impl Key {
    /// `None` where keys stay bytes. `no_registry` says that there is none to look schemas up in.
    pub fn validate(
        raw: raw::Key,
        section: Option<Range<usize>>,
        no_registry: bool,
        document: &Document<'_>,
        references: &References<'_>,
    ) -> Result<Option<Self>, Problem> {
        let format = raw.format.unwrap_or(Format::Raw);
        let (file, message) = schema_file(document, raw.file, raw.message, format, references)?;
        if format == Format::Raw {
            return Ok(None);
        }
        if has_schemas(format) && file.is_none() && no_registry {
            return Err(document.problem_in(
                section,
                "topic.key.file",
                "is missing; where no file says the schema, add [registry] with urls = [\"http://localhost:8081\"]"
                    .to_owned(),
            ));
        }
        if let Some(column) = &raw.column {
            let name = column.get_ref();
            let problem = if name.is_empty() || name.contains('.') {
                "is no name of a column; write one without dots"
            } else if name.to_lowercase().starts_with(RESERVED_PREFIX) {
                "begins with _kafka_, which is reserved; write another name"
            } else {
                ""
            };
            if !problem.is_empty() {
                return Err(document.problem_at(column.span(), format!("`{name}` {problem}")));
            }
        }
        Ok(Some(Self {
            column: raw
                .column
                .map_or_else(|| "key".to_owned(), toml::Spanned::into_inner),
            format,
            schema_file: file,
            message,
        }))
    }

    /// Whether a column of the records' is the key's, in whatever case it is written.
    pub fn is_column(&self, name: &str) -> bool {
        name.to_lowercase() == self.column.to_lowercase()
    }
}
