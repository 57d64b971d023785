//! Answers, and what became of those that never came.

use std::error::Error;

use bytes::Bytes;
use reqwest::Response;

/// All of an answer's body.
///
/// # Errors
/// In words: it broke off, or has more than `longest` bytes.
pub async fn body(mut response: Response, longest: usize) -> Result<Bytes, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| explain(&error))? {
        if body.len() + chunk.len() > longest {
            return Err(format!("its answer has more than {longest} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// reqwest's own words name the URL and leave out the cause.
pub fn explain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    format!("it cannot be reached: {}", cause(error))
}

/// What lies at the bottom of an error.
pub fn cause<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}
