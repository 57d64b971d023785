//! TLS: whom a client trusts, and who it says it is.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity};

use crate::ClientError;

/// PEM files. They are read when a client is made, or, of a database, a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// The certificate authorities that a server's certificate may come from: instead of those of the system, and for a
    /// database beside them.
    pub ca: Option<PathBuf>,
    /// What the client shows to a server that asks for it (mutual TLS).
    pub client: Option<ClientCertificate>,
}

/// The files of a certificate, with those between it and its authority behind it, and of its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Tls {
    /// # Errors
    /// A file that can't be read, or holds something else.
    pub(crate) fn apply(&self, mut client: ClientBuilder) -> Result<ClientBuilder, ClientError> {
        if let Some(ca) = &self.ca {
            let trusted = Certificate::from_pem_bundle(&read(ca)?)
                .ok()
                .filter(|trusted| !trusted.is_empty())
                .ok_or_else(|| not_pem(ca, "certificate"))?;
            client = client.tls_built_in_root_certs(false);
            client = trusted
                .into_iter()
                .fold(client, ClientBuilder::add_root_certificate);
        }
        if let Some(ClientCertificate { certificate, key }) = &self.client {
            let mut both = read(certificate)?;
            if Certificate::from_pem_bundle(&both).map_or(true, |found| found.is_empty()) {
                return Err(not_pem(certificate, "certificate"));
            }
            // A file need not end with its line.
            both.push(b'\n');
            both.extend(read(key)?);
            let identity = Identity::from_pem(&both).map_err(|_| not_pem(key, "private key"))?;
            client = client.identity(identity);
        }
        Ok(client)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, ClientError> {
    fs::read(file).map_err(|error| ClientError::Unreadable {
        file: file.to_owned(),
        error: error.to_string(),
    })
}

fn not_pem(file: &Path, what: &'static str) -> ClientError {
    ClientError::NotPem {
        file: file.to_owned(),
        what,
    }
}
