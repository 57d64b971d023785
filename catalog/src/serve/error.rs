//! Requests that are not carried out, in the specification's error model: status, type and message. Clients decide by
//! the status what to do next, and some of Iceberg's own tests by the message, so that both are those of its Java
//! implementation wherever it has them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::{CatalogError, Entry};

/// Why a request is not carried out.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: StatusCode,
    /// The name of an exception of Iceberg's.
    pub kind: &'static str,
    pub message: String,
    /// Nothing was done, and the very same request may be sent again after so many seconds.
    pub retry_after: Option<u32>,
}

impl Refusal {
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            retry_after: None,
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
    }

    /// One of the requirements does not hold, or the table has moved on: load it, and build another commit.
    pub fn commit_failed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "CommitFailedException", message)
    }

    /// The specification has it, and this server does not.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "UnsupportedOperationException",
            message,
        )
    }

    /// Nothing was done, because of something that passes.
    pub fn try_again(message: impl Into<String>) -> Self {
        let refusal = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailableException",
            message,
        );
        Self {
            retry_after: Some(1),
            ..refusal
        }
    }

    /// The answer's body.
    pub fn body(&self) -> Value {
        json!({ "error": { "message": self.message, "type": self.kind, "code": self.status.as_u16() } })
    }
}

/// The reason of [`CatalogError::Corrupt`] for a metadata file that is not there.
pub const NO_FILE: &str = "the file does not exist";

impl From<CatalogError> for Refusal {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::NotFound {
                entry: Entry::Namespace(namespace),
                ..
            } => Self::new(
                StatusCode::NOT_FOUND,
                "NoSuchNamespaceException",
                format!("Namespace does not exist: {namespace}"),
            ),
            CatalogError::NotFound {
                entry: Entry::Table(table),
                ..
            } => Self::new(
                StatusCode::NOT_FOUND,
                "NoSuchTableException",
                format!("Table does not exist: {table}"),
            ),
            CatalogError::AlreadyExists { entry, .. } => Self::new(
                StatusCode::CONFLICT,
                "AlreadyExistsException",
                match entry {
                    Entry::Namespace(namespace) => format!("Namespace already exists: {namespace}"),
                    Entry::Table(table) => format!("Table already exists: {table}"),
                },
            ),
            CatalogError::NotEmpty { entry, .. } => Self::new(
                StatusCode::CONFLICT,
                "NamespaceNotEmptyException",
                match entry {
                    Entry::Namespace(namespace) => format!("Namespace {namespace} is not empty"),
                    Entry::Table(table) => format!("Table {table} is not empty"),
                },
            ),
            CatalogError::Rejected { reason, .. } => Self::bad_request(reason),
            CatalogError::Corrupt { location, reason, .. } if reason == NO_FILE => Self::new(
                StatusCode::NOT_FOUND,
                "NotFoundException",
                format!("Failed to open input stream for file: {location}: {reason}"),
            ),
            // Whether something was done is open: clients may repeat what changes nothing, and no more.
            CatalogError::Unavailable { .. } => Self {
                retry_after: None,
                ..Self::try_again(error.to_string())
            },
            CatalogError::Corrupt { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerError",
                error.to_string(),
            ),
        }
    }
}
