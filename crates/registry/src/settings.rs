//! Where a registry is, and how to speak to it.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use tabletopic_http::{ClientError, Tls};
use thiserror::Error;

/// Which API a registry speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// Confluent's, which others serve too.
    #[default]
    Confluent,
    /// Apicurio's own, of the version that the URLs say.
    Apicurio,
}

/// Plain data; [`super::client`] checks it.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    pub api: Api,
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
    #[error("the URL holds a password, and URLs are shown; write it as `password` instead")]
    Password,
    #[error(
        "`{0}` does not end as the URLs of Apicurio's own API do, with /apis/registry/v2 or /apis/registry/v3"
    )]
    NotApicurio(String),
    #[error("the URLs lead to different versions of Apicurio's API; write those of one")]
    SeveralVersions,
    #[error(transparent)]
    Client(#[from] ClientError),
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
        match self.api {
            Api::Confluent => self.parsed_urls().map(drop),
            Api::Apicurio => self.apicurio_version().map(drop),
        }
    }

    /// Of Apicurio's API, as the paths of its URLs say it.
    ///
    /// # Errors
    /// They do not, or differ.
    pub fn apicurio_version(&self) -> Result<ApicurioVersion, SettingsError> {
        let mut versions = Vec::new();
        for url in self.parsed_urls()? {
            versions.push(match url.path().trim_end_matches('/').rsplit('/').next() {
                Some("v2") => ApicurioVersion::V2,
                Some("v3") => ApicurioVersion::V3,
                _ => return Err(SettingsError::NotApicurio(url.to_string())),
            });
        }
        versions.dedup();
        match versions[..] {
            [version] => Ok(version),
            _ => Err(SettingsError::SeveralVersions),
        }
    }
}

/// Of Apicurio's own API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApicurioVersion {
    V2,
    V3,
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
