//! An S3 server that belongs to one test, behind a proxy that makes the trouble the test asks for.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::part::Part;

/// A real server with one bucket, `lake`. It ends when it is dropped, and its objects with it.
#[derive(Debug)]
pub struct S3 {
    part: Part,
    /// Of the server itself: for readers.
    pub endpoint: String,
    /// Of the proxy: for the service under test.
    pub proxy: String,
    /// Where the server keeps the objects, a file each.
    pub folder: PathBuf,
}

/// What the server takes until it is told otherwise.
pub const S3_KEYS: (&str, &str) = ("test-key", "test-secret");

impl S3 {
    /// `seed` decides which requests go wrong.
    pub fn start(seed: u64) -> Self {
        let seed = seed.to_string();
        let mut part = Part::start(Path::new("python3"), "s3.py", &["--seed".as_ref(), seed.as_ref()]);
        Self {
            endpoint: part.line(),
            proxy: part.line(),
            folder: part.line().into(),
            part,
        }
    }

    /// The share of requests that goes wrong from now on.
    pub fn fail(&mut self, chance: f64) {
        self.order(&format!("fail {chance}"));
    }

    /// From now on no part of an upload is answered but the first.
    pub fn hold_parts(&mut self) {
        self.order("hold");
    }

    /// Waits until a part is held.
    pub fn holds_a_part(&mut self) {
        self.order("held");
    }

    /// Parts that come from now on are answered.
    pub fn release_parts(&mut self) {
        self.order("release");
    }

    pub fn stop(&mut self) {
        self.order("down");
    }

    pub fn start_again(&mut self) {
        self.order("up");
    }

    /// The server takes these keys from now on, and no others.
    pub fn change_keys(&mut self, key_id: &str, key: &str) {
        self.order(&format!("keys {key_id} {key}"));
    }

    /// How many requests of this kind the proxy has passed on.
    pub fn requests(&mut self, kind: &str) -> u64 {
        self.seen()["kinds"][kind].as_u64().unwrap_or(0)
    }

    /// The values that a header had in requests that write, with how often.
    pub fn header(&mut self, name: &str) -> Value {
        self.seen()["headers"][name].clone()
    }

    /// Variables of the environment that have clients find the server.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(&self.endpoint)
    }

    fn seen(&mut self) -> Value {
        serde_json::from_str(&self.part.order("seen")).expect("JSON")
    }

    fn order(&mut self, words: &str) {
        self.part.order(words);
    }
}

/// Of clients of a server at this endpoint, with [`S3_KEYS`].
pub(crate) fn environment(endpoint: &str) -> Vec<(String, String)> {
    let (key_id, key) = S3_KEYS;
    [
        ("AWS_ACCESS_KEY_ID", key_id),
        ("AWS_SECRET_ACCESS_KEY", key),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", endpoint),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
