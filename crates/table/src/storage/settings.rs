//! Which store a warehouse is in, and what is configured for it: checked, and not opened yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::io::FileIO;
use object_store::ObjectStore;
use object_store::{Attribute, Attributes, TagSet};

use super::adls::AdlsSettings;
use super::counting::RequestCounts;
use super::gcs::GcsSettings;
use super::listing::Listing;
use super::object_storage::{Locate, ObjectStorage, OneStore, OpenStore, WriteOptions};
use super::properties::{Properties, SettingsError};
use super::s3::{AbandonedUploads, S3Settings};
use super::vended::Vended;
use super::{DurableLocal, file_io_of, open_store};

/// A variable of the process's environment.
pub type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageSettings {
    /// A file system, local or mounted.
    Local,
    S3(S3Settings),
    Gcs(GcsSettings),
    Adls(AdlsSettings),
}

/// Why a store cannot be opened. Nothing was sent to it yet.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub(super) String);

impl OpenError {
    /// The catalog decides where tables are.
    pub fn no_warehouse() -> Self {
        Self("there is no warehouse here: the catalog says of each table where its files are".to_owned())
    }

    /// Requests to AWS cannot be signed.
    pub fn no_region() -> Self {
        Self(
            "the region of the catalog is not known; write rest.signing-region, or set AWS_REGION".to_owned(),
        )
    }
}

impl From<object_store::Error> for OpenError {
    fn from(error: object_store::Error) -> Self {
        Self(error.to_string())
    }
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    pub file_io: FileIO,
    pub listing: Arc<dyn Listing>,
    /// Of a store that keeps what a process that died has sent of a file.
    pub abandoned: Option<AbandonedUploads>,
}

impl Store {
    pub(super) fn of(places: Arc<dyn Locate>, abandoned: Option<AbandonedUploads>) -> Self {
        let storage = ObjectStorage::new(places);
        Self {
            file_io: file_io_of(&storage),
            listing: Arc::new(storage),
            abandoned,
        }
    }
}

impl StorageSettings {
    /// `warehouse` is `file://…`, `s3://bucket/…`, `gs://bucket/…` or `abfss://container@account.dfs.core.windows.net/…`.
    ///
    /// # Errors
    /// What is wrong with the URI, or with one of the properties.
    pub fn new(warehouse: &str, properties: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let Some((scheme, rest)) = warehouse.split_once("://") else {
            return Err(SettingsError::of_warehouse(format!(
                "{warehouse:?} is no URI; write one such as file:///lake or s3://bucket/lake"
            )));
        };
        let properties = |prefix| Properties::new(properties, prefix);
        match scheme {
            "file" => properties(None).map(|_| Self::Local),
            "s3" => S3Settings::new(Place::new(rest)?, &properties(Some("s3."))?).map(Self::S3),
            "gs" => GcsSettings::new(Place::new(rest)?, &properties(Some("gcs."))?).map(Self::Gcs),
            "abfss" => AdlsSettings::new(Place::new(rest)?, &properties(Some("adls."))?).map(Self::Adls),
            _ => Err(SettingsError::of_warehouse(format!(
                "{scheme}:// is no store that is known; write a path on this machine, or \"s3://bucket/lake\", \
                 \"gs://bucket/lake\" or \"abfss://container@account.dfs.core.windows.net/lake\""
            ))),
        }
    }

    /// Makes the clients of the store, and sends nothing. `counts` are of what is asked later.
    ///
    /// # Errors
    /// Where it lacks credentials, or has wrong ones, so far as can be told without asking.
    pub fn open(
        &self,
        environment: &Environment<'_>,
        counts: Arc<RequestCounts>,
    ) -> Result<Store, OpenError> {
        let (store, abandoned) = self.open_store(None, environment, counts)?;
        Ok(Store::of(Arc::new(OneStore(store)), abandoned))
    }

    /// Credentials that are `vended` stand in the place of those that the settings and the environment lead to.
    pub(super) fn open_store(
        &self,
        vended: Option<&Vended>,
        environment: &Environment<'_>,
        counts: Arc<RequestCounts>,
    ) -> Result<(Arc<OpenStore>, Option<AbandonedUploads>), OpenError> {
        let opened = |store: Arc<dyn ObjectStore>, root: &str, write: WriteOptions| {
            open_store(store, root, counts.clone(), write)
        };
        Ok(match self {
            Self::Local => {
                let store = Arc::new(DurableLocal::new());
                (opened(store, "file:///", WriteOptions::default()), None)
            }
            Self::S3(settings) => {
                let (store, abandoned) = settings.open(vended, environment, counts.clone())?;
                (
                    opened(store, &settings.root(), settings.write.clone()),
                    Some(abandoned),
                )
            }
            Self::Gcs(settings) => {
                let store = settings.open(vended, environment, counts.clone())?;
                (opened(store, &settings.root(), settings.write.clone()), None)
            }
            Self::Adls(settings) => {
                let store = settings.open(vended, environment, counts.clone())?;
                (opened(store, &settings.root(), settings.write.clone()), None)
            }
        })
    }
}

/// What a URI names after its scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The bucket, or container and account.
    pub(super) authority: String,
    /// The folder in it, without slashes around it; empty for all of it.
    pub(super) prefix: String,
}

impl Place {
    fn new(rest: &str) -> Result<Self, SettingsError> {
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() {
            let message = "names no bucket; write one such as \"s3://bucket/lake\"";
            return Err(SettingsError::of_warehouse(message));
        }
        let prefix = prefix.trim_end_matches('/');
        // Readers disagree on what other characters stand for in a URI.
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '=');
        let names_are_safe = prefix
            .split('/')
            .all(|name| !name.is_empty() && name.chars().all(safe) && name != "." && name != "..");
        if !prefix.is_empty() && !names_are_safe {
            let message = "has a folder that not all engines would read the same way; write letters, digits, _, -, \
                           . and = only, between single slashes";
            return Err(SettingsError::of_warehouse(message));
        }
        Ok(Self {
            authority: authority.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl WriteOptions {
    pub(super) fn new(storage_class: Option<&'static str>, tags: &[(String, String)]) -> Self {
        let mut attributes = Attributes::new();
        if let Some(class) = storage_class {
            attributes.insert(Attribute::StorageClass, class.into());
        }
        let mut set = TagSet::default();
        for (name, value) in tags {
            set.push(name, value);
        }
        Self {
            attributes,
            tags: set,
        }
    }
}
