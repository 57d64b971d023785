//! An object store that speaks Google's dialect, and belongs to one test.

use std::path::Path;

use crate::part::Part;
use crate::s3::environment;

/// A server with one bucket, `lake`. It ends when it is dropped, and its objects with it.
#[derive(Debug)]
pub struct Gcs {
    _part: Part,
    /// For the service under test.
    pub endpoint: String,
    /// Of the same bucket in S3's dialect: for readers.
    as_s3: String,
}

impl Gcs {
    /// It lets in those who have the token.
    pub fn start(token: &str) -> Self {
        let mut part = Part::start(Path::new("python3"), "gcs.py", &[token.as_ref()]);
        let (endpoint, as_s3) = (part.line(), part.line());
        Self {
            _part: part,
            endpoint,
            as_s3,
        }
    }

    /// Variables of the environment that have readers find the server.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let mut variables = environment(&self.as_s3);
        variables.push(("LAKE_IN_GCS".to_owned(), "true".to_owned()));
        variables
    }
}
