//! Where a registry is, and how to speak to it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use thiserror::Error;

use crate::tls::Tls;

/// Plain data; [`super::Confluent::new`] checks it.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Each leads to the same registry. The one that answered last is asked first.
    pub urls: Vec<String>,
    pub credentials: Option<Credentials>,
    pub tls: Tls,
    /// How long one request may take.
    pub timeout: Duration,
}

/// Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Basic { username: String, password: String },
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(***)",
            Self::Bearer(_) => "Bearer(***)",
        })
    }
}

/// Settings that no registry can be reached with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    #[error("name at least one URL, such as \"http://localhost:8081\"")]
    NoUrl,
    #[error("`{0}` is not a URL; write for example \"http://localhost:8081\"")]
    NotAUrl(String),
    #[error("{} cannot be read: {error}", .file.display())]
    Unreadable { file: PathBuf, error: String },
    #[error("{} has no {what} in PEM; it begins with a line like -----BEGIN {}-----", .file.display(), .what.to_uppercase())]
    NotPem { file: PathBuf, what: &'static str },
    #[error("the URL holds a password, and URLs are shown; write it as `password` instead")]
    Password,
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

impl RegistrySettings {
    /// The URLs, each as a folder that the API's paths are under.
    pub(crate) fn parsed_urls(&self) -> Result<Vec<Url>, SettingsError> {
        if self.urls.is_empty() {
            return Err(SettingsError::NoUrl);
        }
        self.urls.iter().map(|url| parse(url)).collect()
    }

    /// # Errors
    /// What is wrong with them.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.parsed_urls().map(drop)
    }
}

fn parse(text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text).map_err(|_| SettingsError::NotAUrl(text.to_owned()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SettingsError::Password);
    }
    match url.scheme() {
        "http" | "https" if url.has_host() && url.query().is_none() && url.fragment().is_none() => Ok(url),
        _ => Err(SettingsError::NotAUrl(text.to_owned())),
    }
}
