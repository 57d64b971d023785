//! What can go wrong with a statement in Trino. What it had done by then stays done.

use tabletopic_http::ClientError;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum TrinoError {
    /// It may hold a password, so that it is not shown.
    #[error("--trino-url: {0}")]
    Url(String),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("Trino at {url}: {why}; it was tried for {seconds} s")]
    Unreachable { url: String, why: String, seconds: u64 },
    /// An answer that no gateway gives for a server that is busy.
    #[error("Trino at {url} answers {status}: {words}")]
    Refused { url: String, status: u16, words: String },
    #[error("what answers at {url} is no Trino: {why}")]
    NotTrino { url: String, why: String },
    /// Credentials do not go to another host.
    #[error(
        "Trino at {url} wants to be asked at {next}; write that as --trino-url, or have its proxy say which host was \
         asked (http-server.process-forwarded)"
    )]
    Elsewhere { url: String, next: String },
    #[error("Trino's query {query_id} failed: {statement}: {message}")]
    Query {
        query_id: String,
        statement: String,
        message: String,
    },
    #[error("stopped; {}", match .query_id {
        Some(query_id) => format!("Trino's query {query_id} is cancelled"),
        None => "nothing was begun, unless Trino shows it".to_owned(),
    })]
    Stopped { query_id: Option<String> },
}

impl TrinoError {
    /// Whether it may pass by itself.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether the command line is to be corrected.
    pub fn is_misuse(&self) -> bool {
        match self {
            Self::Url(_) | Self::Client(_) | Self::Elsewhere { .. } | Self::NotTrino { .. } => true,
            Self::Refused { status, .. } => matches!(status, 401 | 403),
            Self::Unreachable { .. } | Self::Query { .. } | Self::Stopped { .. } => false,
        }
    }
}
