//! Files wherever tables say that they are: where a catalog decides on the tables' places, the store of a location is
//! opened when the first file in it is asked for, as the catalog and the configuration say.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use iceberg::{Error, ErrorKind};
use object_store::path::Path;
use tabletopic_catalog::{FileAccess, Granted};

use super::counting::RequestCounts;
use super::hidden::Hidden;
use super::object_storage::{Locate, OpenStore};
use super::properties::{SettingsError, check_known};
use super::settings::{StorageSettings, Store};
use super::uri;
use super::vended::Vended;

/// A variable of the process's environment.
pub type Lookup = fn(&str) -> Option<String>;

/// Properties that say who asks. Where the catalog gives out credentials, none of them counts.
const LOGIN: [&str; 4] = [
    "s3.access-key-id",
    "s3.secret-access-key",
    "s3.session-token",
    "s3.profile-name",
];

/// What is configured for stores of any kind: checked, and none opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoresSettings(BTreeMap<String, Hidden>);

impl StoresSettings {
    /// # Errors
    /// What is wrong with one of the properties.
    pub fn new(properties: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        for name in properties.keys() {
            check_known(name)?;
        }
        // Of any store of each kind, so that what is wrong is said before one is needed.
        for root in [
            "s3://bucket",
            "gs://bucket",
            "abfss://c@account.dfs.core.windows.net",
        ] {
            settings(root, properties)?;
        }
        let hidden = properties
            .iter()
            .map(|(name, value)| (name.clone(), Hidden::new(value)));
        Ok(Self(hidden.collect()))
    }

    /// Opens no store yet. `counts` are of what is asked later.
    pub fn open(
        &self,
        environment: Lookup,
        access: Arc<dyn FileAccess>,
        counts: Arc<RequestCounts>,
    ) -> Store {
        let stores = Stores {
            settings: self.clone(),
            environment,
            access,
            counts,
            open: RwLock::default(),
        };
        Store::of(Arc::new(stores), None)
    }

    /// The store at `root`, as it is configured and as the catalog has `granted` it.
    fn of(&self, root: &str, granted: Option<&Granted>) -> Result<StorageSettings, SettingsError> {
        let mut merged = granted
            .map(|granted| known(&granted.defaults))
            .unwrap_or_default();
        merged.extend(
            self.0
                .iter()
                .map(|(name, value)| (name.clone(), value.reveal().to_owned())),
        );
        if let Some(granted) = granted {
            let said = known(&granted.properties);
            if said.contains_key(LOGIN[0]) {
                merged.retain(|name, _| !LOGIN.contains(&name.as_str()));
            }
            merged.extend(said);
        }
        settings(root, &merged)
    }
}

/// The store at `root`, by those of the properties that are for its kind.
fn settings(root: &str, properties: &BTreeMap<String, String>) -> Result<StorageSettings, SettingsError> {
    let prefix = match root.split_once(':') {
        Some(("s3", _)) => "s3.",
        Some(("gs", _)) => "gcs.",
        Some(("abfss", _)) => "adls.",
        _ => return StorageSettings::new(root, &BTreeMap::new()),
    };
    let of_kind = properties.iter().filter(|(name, _)| name.starts_with(prefix));
    let of_kind = of_kind.map(|(name, value)| (name.clone(), value.clone()));
    StorageSettings::new(root, &of_kind.collect())
}

/// What is known of what a catalog says. It says more, to other clients.
fn known(said: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let named = said.iter().map(|(name, value)| match name.as_str() {
        "client.region" => ("s3.region", value),
        name => (name, value),
    });
    let known = named.filter(|(name, value)| check_known(name).is_ok() && !value.is_empty());
    known
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

/// What the catalog has granted a store for, if it has, and the store's root.
type Key = (Option<String>, String);

/// See the module. Stores stay open as long as the process.
struct Stores {
    settings: StoresSettings,
    environment: Lookup,
    access: Arc<dyn FileAccess>,
    counts: Arc<RequestCounts>,
    open: RwLock<HashMap<Key, Arc<OpenStore>>>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_tuple("Stores").field(&open.keys()).finish()
    }
}

impl Stores {
    fn store(&self, root: &str, granted: Option<Arc<Granted>>) -> Result<Arc<OpenStore>, String> {
        let prefix = granted.as_ref().map(|granted| granted.prefix.clone());
        let key = (prefix, root.to_owned());
        if let Some(store) = self.open.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(store.clone());
        }
        let settings = self
            .settings
            .of(root, granted.as_deref())
            .map_err(|error| match error.property {
                Some(property) => format!("{property} {}", error.message),
                None => error.message,
            })?;
        let vended = granted.map(|granted| Vended {
            access: self.access.clone(),
            granted,
        });
        let opened = settings.open_store(vended.as_ref(), &self.environment, self.counts.clone());
        let (store, _) = opened.map_err(|error| error.to_string())?;
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        Ok(open.entry(key).or_insert(store).clone())
    }
}

impl Locate for Stores {
    fn locate(&self, location: &str) -> iceberg::Result<(Arc<OpenStore>, Path)> {
        let root = uri::root(location).ok_or_else(|| {
            let words = format!("location {location:?} is in no store: it is not an absolute URI");
            Error::new(ErrorKind::DataInvalid, words)
        })?;
        let granted = self.access.granted(location);
        let store = self.store(&root, granted).map_err(|problem| {
            let words = format!("cannot open the store {root}, which holds {location}: {problem}");
            Error::new(ErrorKind::Unexpected, words)
        })?;
        let path = store.base.path(location)?;
        Ok((store, path))
    }
}
