//! A schema registry that belongs to one test, which may have it hang.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::readers::python;

/// A real registry, in memory. It ends when it is dropped.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
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
        let certificates = TempDir::new().expect("a folder can be made");
        let made = Command::new(python())
            .arg(part("certificates.py"))
            .arg(certificates.path())
            .status();
        assert!(made.expect("python runs").success(), "it says why above");
        let mut registry = Self::start_with(&["--tls".as_ref(), certificates.path().as_ref()]);
        let url = line(&mut registry.said);
        BehindTls {
            registry,
            url,
            certificates,
        }
    }

    fn start_with(arguments: &[&OsStr]) -> Self {
        let mut child = Command::new("python3")
            .arg(part("registry.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let orders = child.stdin.take().expect("it is piped");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
        let url = line(&mut said);
        assert!(
            url.starts_with("http://"),
            "registry.py did not start; it says why above"
        );
        Self {
            child,
            orders,
            said,
            url,
        }
    }

    /// Of Apicurio's own API.
    pub fn apicurio_url(&self) -> String {
        self.url.replace("/apis/ccompat/v7", "/apis/registry/v2")
    }

    /// From here on it answers nobody, though connections to it are accepted.
    pub fn pause(&mut self) {
        self.order("pause");
    }

    pub fn resume(&mut self) {
        self.order("resume");
    }

    fn order(&mut self, word: &str) {
        writeln!(self.orders, "{word}").expect("it listens");
        assert_eq!(line(&mut self.said), word);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It ends its registry and then itself.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn part(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/parts")
        .join(name)
}

fn line(said: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    said.read_line(&mut line).expect("it speaks UTF-8");
    line.trim().to_owned()
}
