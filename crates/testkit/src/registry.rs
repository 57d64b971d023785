//! A schema registry that belongs to one test, which may have it hang.

use std::ffi::OsStr;
use std::path::Path;

use tempfile::TempDir;

use crate::part::Part;
use crate::secured::certificates;

/// A real registry, in memory. It ends when it is dropped.
#[derive(Debug)]
pub struct Registry {
    part: Part,
    /// Of Confluent's API.
    pub url: String,
}

/// The same registry behind TLS, for clients that show a certificate.
#[derive(Debug)]
pub struct BehindTls {
    pub registry: Registry,
    pub url: String,
    /// `ca.pem`, `client.pem` and `client-key.pem`, among others.
    pub certificates: TempDir,
}

impl Default for Registry {
    fn default() -> Self {
        Self::start()
    }
}

impl Registry {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Also answers at another URL, by TLS.
    pub fn start_behind_tls() -> BehindTls {
        let certificates = certificates();
        let mut registry = Self::start_with(&["--tls".as_ref(), certificates.path().as_ref()]);
        let url = registry.part.line();
        BehindTls {
            registry,
            url,
            certificates,
        }
    }

    fn start_with(arguments: &[&OsStr]) -> Self {
        let mut part = Part::start(Path::new("python3"), "registry.py", arguments);
        let url = part.line();
        assert!(
            url.starts_with("http://"),
            "registry.py did not start; it says why above"
        );
        Self { part, url }
    }

    /// Of Apicurio's own API.
    pub fn apicurio_url(&self) -> String {
        self.url.replace("/apis/ccompat/v7", "/apis/registry/v2")
    }

    /// From here on it answers nobody, though connections to it are accepted.
    pub fn pause(&mut self) {
        self.part.order("pause");
    }

    pub fn resume(&mut self) {
        self.part.order("resume");
    }
}
