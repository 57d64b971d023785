//! A PostgreSQL server that belongs to a test, which may have it fail.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Mutex;

use tempfile::TempDir;

use crate::part::Part;
use crate::readers::unique;
use crate::secured::certificates;

/// Of the user `lake`, who owns the databases.
pub const POSTGRES_PASSWORD: &str = "lake's password";

/// A real server. It ends when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    part: Mutex<Part>,
    /// At 127.0.0.1.
    pub port: u16,
}

/// A server that speaks TLS.
#[derive(Debug)]
pub struct OverTls {
    pub postgres: Postgres,
    /// `ca.pem`, `client.pem` and `client-key.pem`, among others.
    pub certificates: TempDir,
}

impl Default for Postgres {
    fn default() -> Self {
        Self::start()
    }
}

impl Postgres {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_over_tls() -> OverTls {
        let certificates = certificates();
        let postgres = Self::start_with(&["--tls".as_ref(), certificates.path().as_ref()]);
        OverTls {
            postgres,
            certificates,
        }
    }

    fn start_with(arguments: &[&OsStr]) -> Self {
        let mut part = Part::start(Path::new("python3"), "postgres.py", arguments);
        let port = part.line();
        let port = port
            .parse()
            .expect("postgres.py did not start; it says why above");
        Self {
            part: Mutex::new(part),
            port,
        }
    }

    /// Makes a database of its own, which belongs to `lake`, and answers its name.
    pub fn create(&self, name: &str) -> String {
        let name = unique(name);
        self.order(&format!("create {name}"));
        name
    }

    /// A database as `lake` logs in to it, with [`POSTGRES_PASSWORD`], in plain text; `port` is the server's, or that of a
    /// way to it.
    pub fn uri(port: u16, database: &str) -> String {
        format!("postgres://lake@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// The same database for PyIceberg.
    pub fn sqlalchemy(&self, database: &str) -> String {
        format!(
            "postgresql+psycopg2://postgres@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// It is gone at once, as a machine that fails.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// A primary, whatever it was before.
    pub fn start_again(&self) {
        self.order("start");
    }

    /// From here on it is a standby, which only shows what it has.
    pub fn standby(&self) {
        self.order("standby");
    }

    fn order(&self, order: &str) {
        self.part.lock().expect("nobody has panicked").order(order);
    }
}
