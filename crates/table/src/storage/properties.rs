//! Properties of a store as they are written: by name, as text. Names are those of Iceberg's own clients, where they
//! have one: `s3.endpoint`, `s3.path-style-access`, `gcs.oauth2.token`.

use std::collections::BTreeMap;
use std::time::Duration;

use tabletopic_catalog::unknown_property;

pub(super) const S3_TAGS: &str = "s3.write.tags.";
pub(super) const ADLS_TAGS: &str = "adls.write.tags.";

/// All that there are. A name that ends with a dot begins the names of as many as one likes.
const KNOWN: [&str; 24] = [
    "s3.endpoint",
    "s3.region",
    "s3.path-style-access",
    "s3.access-key-id",
    "s3.secret-access-key",
    "s3.session-token",
    "s3.profile-name",
    "s3.sse.type",
    "s3.sse.key",
    "s3.write.storage-class",
    S3_TAGS,
    "s3.multipart.abort-after",
    "gcs.service.host",
    "gcs.oauth2.token",
    "gcs.no-auth",
    "gcs.write.storage-class",
    "adls.endpoint",
    "adls.account-key",
    "adls.sas-token",
    "adls.tenant-id",
    "adls.client-id",
    "adls.client-secret",
    "adls.write.access-tier",
    ADLS_TAGS,
];

/// What is wrong with the settings of a store, and what to write instead. Values of properties are never in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingsError {
    /// `None` where it is the warehouse's URI.
    pub property: Option<String>,
    pub message: String,
}

impl SettingsError {
    pub(super) fn of(property: &str, message: impl Into<String>) -> Self {
        Self {
            property: Some(property.to_owned()),
            message: message.into(),
        }
    }

    pub(super) fn of_warehouse(message: impl Into<String>) -> Self {
        Self {
            property: None,
            message: message.into(),
        }
    }
}

/// The properties of one store.
pub(super) struct Properties<'a>(&'a BTreeMap<String, String>);

impl<'a> Properties<'a> {
    /// `prefix` is what the names of this store's properties begin with, such as `s3.`; `None` if it has none.
    pub(super) fn new(
        properties: &'a BTreeMap<String, String>,
        prefix: Option<&str>,
    ) -> Result<Self, SettingsError> {
        for name in properties.keys() {
            check_known(name)?;
            match prefix {
                Some(prefix) if name.starts_with(prefix) => {}
                Some(prefix) => {
                    let message =
                        format!("is not for this warehouse, whose properties begin with {prefix}; remove it");
                    return Err(SettingsError::of(name, message));
                }
                None => {
                    let message = "is for an object store, and the warehouse is a folder; remove it, or write a \
                                   warehouse such as \"s3://bucket/lake\"";
                    return Err(SettingsError::of(name, message));
                }
            }
        }
        Ok(Self(properties))
    }

    /// Text that is not empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, SettingsError> {
        match self.0.get(name).map(String::as_str) {
            Some("") => Err(SettingsError::of(name, "is empty; write a value, or remove it")),
            value => Ok(value),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, SettingsError> {
        match self.text(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(SettingsError::of(
                name,
                "is neither true nor false; write one of them",
            )),
        }
    }

    pub(super) fn one_of(
        &self,
        name: &str,
        values: &[&'static str],
    ) -> Result<Option<&'static str>, SettingsError> {
        let Some(value) = self.text(name)? else {
            return Ok(None);
        };
        let found = values.iter().find(|each| **each == value);
        found.copied().map(Some).ok_or_else(|| {
            SettingsError::of(
                name,
                format!(
                    "is not a value of this property; write one of {}",
                    values.join(", ")
                ),
            )
        })
    }

    /// A URL by HTTP or HTTPS without a slash at its end.
    pub(super) fn url(&self, name: &str) -> Result<Option<&'a str>, SettingsError> {
        let Some(url) = self.text(name)? else {
            return Ok(None);
        };
        let host = url.strip_prefix("https://").or(url.strip_prefix("http://"));
        match host {
            Some(host) if !host.is_empty() && !host.contains(['@', '?', '#', ' ']) => {
                Ok(Some(url.trim_end_matches('/')))
            }
            _ => Err(SettingsError::of(
                name,
                "is not the URL of a store; write one such as \"https://s3.example.com\", without a password in it",
            )),
        }
    }

    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, SettingsError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match humantime::parse_duration(text) {
            Ok(duration) if !duration.is_zero() => Ok(Some(duration)),
            _ => Err(SettingsError::of(
                name,
                "is not a duration above zero; write one such as \"24h\"",
            )),
        }
    }

    /// The tags whose names begin with `prefix`: ten of them at most, as stores have it.
    pub(super) fn tags(&self, prefix: &str) -> Result<Vec<(String, String)>, SettingsError> {
        const MOST: usize = 10;
        let tags = self.0.iter().filter_map(|(name, value)| {
            let tag = name.strip_prefix(prefix)?;
            Some((tag.to_owned(), value.clone()))
        });
        let tags: Vec<_> = tags.collect();
        match tags.get(MOST) {
            None => Ok(tags),
            Some((one, _)) => {
                let message = format!(
                    "is one of {} tags, and stores take {MOST}; remove some",
                    tags.len()
                );
                Err(SettingsError::of(&format!("{prefix}{one}"), message))
            }
        }
    }
}

pub(super) fn check_known(name: &str) -> Result<(), SettingsError> {
    match unknown_property(name, &KNOWN) {
        None => Ok(()),
        Some(message) => Err(SettingsError::of(name, message)),
    }
}
