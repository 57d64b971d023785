//! A gateway in front of a REST catalog: it loses answers and asks for logins.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;

use crate::part::Part;

/// See the module. It ends when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    part: Part,
    pub url: String,
}

impl Gateway {
    /// In front of the catalog at `url`; `arguments` are further ones of `tests/parts/gateway.py`.
    pub fn to(url: &str, arguments: &[&str]) -> Self {
        let arguments: Vec<&OsStr> = [&[url], arguments].concat().into_iter().map(OsStr::new).collect();
        let mut part = Part::start(Path::new("python3"), "gateway.py", &arguments);
        let url = part.line();
        Self { part, url }
    }

    /// What becomes of the next commits: `request`, `answer`, `late`, or a status.
    pub fn lose(&mut self, kinds: &[&str]) {
        self.part.order(&format!("lose {}", kinds.join(" ")));
    }

    /// How many of them are still to come.
    pub fn still_to_lose(&mut self) -> usize {
        self.part.order("left").parse().expect("a number")
    }

    /// The next requests that are no commits are refused for now.
    pub fn is_busy(&mut self, requests: usize) {
        self.part.order(&format!("busy {requests}"));
    }

    /// Tokens that were given so far are refused.
    pub fn expire_tokens(&mut self) {
        self.part.order("expire");
    }

    /// From now on tables come with these credentials for their files, which end after so many seconds.
    pub fn vend(&mut self, key_id: &str, key: &str, seconds: u32) {
        self.part.order(&format!("vend {key_id} {key} {seconds}"));
    }

    /// From now on tables come with the offer to sign each request for their files with these keys instead; what was
    /// offered before is refused. `way` is `endpoint` or `table`.
    pub fn sign(&mut self, key_id: &str, key: &str, way: &str) {
        self.part.order(&format!("sign {key_id} {key} {way}"));
    }

    /// Requests to the store whose URI has this in it are not signed from now on; `None`: all are.
    pub fn refuse_to_sign(&mut self, text: Option<&str>) {
        self.part.order(&format!("refuse {}", text.unwrap_or("-")));
    }

    /// How many requests to the store by this method were signed; `POST delete` are those that delete several files.
    pub fn signed(&mut self, method: &str) -> u64 {
        self.seen()["signed"][method].as_u64().unwrap_or(0)
    }

    pub fn tokens(&mut self) -> u64 {
        self.seen()["tokens"].as_u64().expect("a number")
    }

    /// Requests by method and path, answers by status, method and path, idempotency keys with how often each came, headers
    /// of the last request, the number of tokens that were given, and what was signed by method.
    pub fn seen(&mut self) -> Value {
        serde_json::from_str(&self.part.order("seen")).expect("JSON")
    }
}
