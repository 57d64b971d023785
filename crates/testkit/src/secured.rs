//! A broker that clients can log in to in every way, and what they log in with.

use std::collections::BTreeMap;
use std::process::Command;

use tempfile::TempDir;

use crate::broker::{Broker, path};
use crate::part::{Part, file};
use crate::readers::python;

/// As `tests/parts/secured.py` has them.
pub const USER: &str = "lake";
pub const PASSWORD: &str = "correct-horse-battery";

/// What the token endpoint knows [`USER`] by.
pub const SECRET: &str = "staple-of-the-client";

/// See the module. Anybody may ask at its `broker.bootstrap`.
#[derive(Debug)]
pub struct Secured {
    pub broker: Broker,
    addresses: BTreeMap<String, String>,
    /// Of `tests/parts/certificates.py`.
    pub certificates: TempDir,
    endpoint: Part,
    /// Where tokens are given, over TLS.
    pub token_url: String,
}

impl Secured {
    /// Tokens live for so many seconds.
    pub fn start(token_life: u32) -> Self {
        Self::with_keys(certificates(), token_life)
    }

    /// In the folder is what the broker needs for its ways: certificates, and what `kdc.py` puts beside them.
    pub(crate) fn with_keys(certificates: TempDir, token_life: u32) -> Self {
        let life = token_life.to_string();
        let folder = certificates.path();
        let arguments = [folder.as_os_str(), "--secret".as_ref(), SECRET.as_ref()];
        let arguments = [arguments.as_slice(), &["--life".as_ref(), life.as_ref()]].concat();
        let mut endpoint = Part::start(&python(), "oidc.py", &arguments);
        let token_url = endpoint.line();
        assert!(
            token_url.starts_with("https://"),
            "oidc.py did not start; it says why above"
        );
        let (broker, said) = Broker::start_with(vec!["--secured".to_owned(), path(folder)]);
        let addresses = said.iter().filter_map(|line| line.split_once(' '));
        let addresses = addresses.map(|(way, address)| (way.to_owned(), address.to_owned()));
        Self {
            broker,
            addresses: addresses.collect(),
            certificates,
            endpoint,
            token_url,
        }
    }

    /// One of `WAYS` in `tests/parts/secured.py`.
    pub fn address(&self, way: &str) -> &str {
        self.addresses.get(way).expect("such an address")
    }

    /// A file of the certificates.
    pub fn file(&self, name: &str) -> String {
        path(&self.certificates.path().join(name))
    }

    /// From here on no tokens are given.
    pub fn refuse_tokens(&mut self) {
        self.endpoint.order("refuse");
    }

    pub fn give_tokens(&mut self) {
        self.endpoint.order("answer");
    }

    /// How many have been given.
    pub fn tokens_given(&mut self) -> usize {
        self.endpoint.order("count").parse().expect("a number")
    }
}

/// A folder that `certificates.py` has filled.
pub fn certificates() -> TempDir {
    let folder = TempDir::new().expect("a folder can be made");
    let made = Command::new(python())
        .arg(file("certificates.py"))
        .arg(folder.path())
        .status();
    assert!(made.expect("python runs").success(), "it says why above");
    folder
}
