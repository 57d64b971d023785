//! What the server grants of its tables' files: settings of stores, and credentials that end (`config` and
//! `storage-credentials` of the specification).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use iceberg::TableIdent;
use tabletopic_clock::{Clock, Millis};
use tokio::sync::Mutex;

use super::RestClient;
use super::bodies::{StorageCredential, StorageCredentials};
use super::signing::SigningConfig;
use crate::{CatalogError, Entry, FileAccess, Granted, Signature, StoreRequest};

/// What the names of properties about stores begin with.
const OF_STORES: [&str; 5] = ["s3.", "gcs.", "adls.", "client.region", "signer."];

/// What says when temporary credentials end, in milliseconds since the Unix epoch. Behind the last one stands an account.
const ENDS: [&str; 3] = [
    "s3.session-token-expires-at-ms",
    "gcs.oauth2.token-expires-at",
    "adls.sas-token-expires-at-ms.",
];

/// Credentials are renewed so long before they end, because an upload has to come to its end with them; but not in the
/// first half of what was left of their life.
const MARGIN: Millis = 300_000;

/// Places of which something is remembered: the last ones by name give way.
const MOST_GRANTS: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Grants {
    clock: Arc<dyn Clock>,
    defaults: BTreeMap<String, String>,
    overrides: BTreeMap<String, String>,
    /// By their prefixes, which end with a slash.
    grants: RwLock<BTreeMap<String, Grant>>,
    /// One asks for new credentials, and the others wait for it.
    asking: Mutex<()>,
}

#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) table: TableIdent,
    /// Of the table.
    location: String,
    pub(super) granted: Arc<Granted>,
    pub(super) signing: Arc<SigningConfig>,
    /// When its credentials are renewed, and when they end.
    lasts: Option<(Millis, Millis)>,
}

/// What a server says with a table of how its files are reached.
#[derive(Default)]
pub(super) struct Said {
    pub(super) config: BTreeMap<String, String>,
    pub(super) credentials: Vec<StorageCredential>,
    pub(super) signing: Arc<SigningConfig>,
}

impl Grants {
    /// `defaults` and `overrides` are the server's, of all tables.
    pub(super) fn new(
        defaults: BTreeMap<String, String>,
        overrides: BTreeMap<String, String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            clock,
            defaults: of_stores(defaults),
            overrides: of_stores(overrides),
            grants: RwLock::default(),
            asking: Mutex::default(),
        }
    }

    /// Remembers what came with a table.
    pub(super) fn note(&self, table: &TableIdent, location: &str, said: Said) {
        let Said {
            config,
            mut credentials,
            signing,
        } = said;
        let mut of_table = self.overrides.clone();
        of_table.extend(of_stores(config));
        // Of several that are good for one place, the longest prefix counts.
        credentials.sort_by_key(|credential| credential.prefix.len());
        let mut elsewhere = Vec::new();
        for StorageCredential { prefix, config } in credentials {
            match location.starts_with(prefix.trim_end_matches('/')) {
                true => of_table.extend(of_stores(config)),
                false => elsewhere.push((prefix, config)),
            }
        }
        if !(self.defaults.is_empty() && of_table.is_empty()) {
            self.insert(table, location, location, of_table.clone(), &signing);
        }
        for (prefix, config) in elsewhere {
            let mut properties = of_table.clone();
            properties.extend(of_stores(config));
            self.insert(table, location, &prefix, properties, &signing);
        }
    }

    fn insert(
        &self,
        table: &TableIdent,
        location: &str,
        prefix: &str,
        properties: BTreeMap<String, String>,
        signing: &Arc<SigningConfig>,
    ) {
        let now = self.clock.now();
        let ends = end(&properties);
        let prefix = folder(prefix);
        let grant = Grant {
            table: table.clone(),
            location: location.to_owned(),
            lasts: ends.map(|ends| (ends - MARGIN.min((ends - now).max(0) / 2), ends)),
            granted: Arc::new(Granted {
                prefix: prefix.clone(),
                defaults: self.defaults.clone(),
                properties,
            }),
            signing: signing.clone(),
        };
        let mut grants = self.grants.write().unwrap_or_else(PoisonError::into_inner);
        grants.insert(prefix, grant);
        while grants.len() > MOST_GRANTS {
            grants.pop_last();
        }
    }

    /// The grant of the nearest folder around `location` that has one.
    fn around(&self, location: &str) -> Option<Grant> {
        let grants = self.grants.read().unwrap_or_else(PoisonError::into_inner);
        let mut folders = location.rmatch_indices('/').map(|(slash, _)| &location[..=slash]);
        folders.find_map(|folder| grants.get(folder).cloned())
    }

    fn at(&self, prefix: &str) -> Option<Grant> {
        let grants = self.grants.read().unwrap_or_else(PoisonError::into_inner);
        grants.get(prefix).cloned()
    }

    /// Whether nothing has to be asked for yet.
    fn is_good(&self, grant: &Grant) -> bool {
        grant.lasts.is_none_or(|(renewed, _)| self.clock.now() < renewed)
    }
}

#[async_trait]
impl FileAccess for RestClient {
    fn granted(&self, location: &str) -> Option<Arc<Granted>> {
        self.grants.around(location).map(|grant| grant.granted)
    }

    async fn renewed(&self, prefix: &str) -> Result<Arc<Granted>, CatalogError> {
        let grant = self.grant_at(prefix)?;
        if self.grants.is_good(&grant) {
            return Ok(grant.granted);
        }
        let _one = self.grants.asking.lock().await;
        let grant = self.grant_at(prefix)?;
        if self.grants.is_good(&grant) {
            return Ok(grant.granted);
        }
        let asked = self.ask_for_credentials(&grant).await;
        match (asked, grant.lasts) {
            (Ok(()), _) => Ok(self.grant_at(prefix)?.granted),
            (Err(error), Some((_, ends))) if self.grants.clock.now() < ends => {
                tracing::warn!("going on with credentials for {prefix} that end soon: {error}");
                Ok(grant.granted)
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn sign(&self, prefix: &str, request: &StoreRequest) -> Result<Signature, CatalogError> {
        self.signature(prefix, request).await
    }
}

impl RestClient {
    /// New ones for a table, which are noted.
    async fn ask_for_credentials(&self, grant: &Grant) -> Result<(), CatalogError> {
        if !self.gives_credentials {
            // All of it: they come with the table.
            return self.load_since(&grant.table, None).await.map(drop);
        }
        let operation = format!("get credentials for {}", Entry::Table(grant.table.clone()));
        let path = self.path(self.paths.table(&grant.table), &operation)?;
        let answer = self.connection.read(&format!("{path}/credentials"), None).await;
        let given: Result<StorageCredentials, _> = answer.and_then(|answer| answer.json());
        let given = given.map_err(|failure| self.failed(failure, operation))?;
        // What else was said of the table's files stays.
        let said = Said {
            config: grant.granted.properties.clone(),
            credentials: given.storage_credentials,
            signing: grant.signing.clone(),
        };
        self.grants.note(&grant.table, &grant.location, said);
        Ok(())
    }

    pub(super) fn grant_at(&self, prefix: &str) -> Result<Grant, CatalogError> {
        self.grants.at(prefix).ok_or_else(|| {
            self.rejected(
                format!("reach files in {prefix}"),
                "the catalog has granted nothing there".to_owned(),
            )
        })
    }

    /// The grant of this prefix that came after `known`: one that others got meanwhile, or else one that is asked for now.
    pub(super) async fn granted_since(&self, known: &Grant, prefix: &str) -> Result<Grant, CatalogError> {
        let _one = self.grants.asking.lock().await;
        let grant = self.grant_at(prefix)?;
        if !Arc::ptr_eq(&grant.granted, &known.granted) {
            return Ok(grant);
        }
        // All of it: what comes with a table does not come with the answer that it has not changed.
        self.load_since(&known.table, None).await?;
        self.grant_at(prefix)
    }
}

/// When the first of the credentials ends, if one does.
fn end(properties: &BTreeMap<String, String>) -> Option<Millis> {
    let is_end = |name: &str| {
        ENDS.iter()
            .any(|known| name == *known || (known.ends_with('.') && name.starts_with(known)))
    };
    let ends = properties.iter().filter(|(name, _)| is_end(name));
    ends.filter_map(|(_, end)| end.parse().ok()).min()
}

fn of_stores(properties: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let known = |name: &String| OF_STORES.iter().any(|prefix| name.starts_with(prefix));
    properties.into_iter().filter(|(name, _)| known(name)).collect()
}

fn folder(location: &str) -> String {
    format!("{}/", location.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use tabletopic_clock::ManualClock;

    use super::*;

    fn map(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    fn credential(prefix: &str, key: &str) -> StorageCredential {
        StorageCredential {
            prefix: prefix.to_owned(),
            config: map(&[("s3.access-key-id", key)]),
        }
    }

    #[test]
    fn the_longest_prefix_counts_and_what_is_said_of_a_table_more_than_what_is_said_of_all() {
        let defaults = map(&[("s3.region", "default"), ("token", "s3cret")]);
        let overrides = map(&[("s3.endpoint", "http://all")]);
        let grants = Grants::new(defaults, overrides, Arc::new(ManualClock::at(0)));
        let table = TableIdent::from_strs(["shop", "orders"]).unwrap();
        let credentials = vec![
            credential("s3://bucket/shop/orders/", "table"),
            credential("s3://bucket", "bucket"),
            credential("s3://bucket/shop/orders/data/hot", "part"),
            credential("s3://other/", "other"),
        ];
        let config = map(&[("s3.endpoint", "http://one"), ("write.x", "no")]);
        let said = Said {
            config,
            credentials,
            ..Said::default()
        };
        grants.note(&table, "s3://bucket/shop/orders", said);
        for (location, key) in [
            ("s3://bucket/shop/orders/metadata/1.json", Some("table")),
            ("s3://bucket/shop/orders/data/hot/1.parquet", Some("part")),
            ("s3://bucket/shop/orders/data/hotter/1.parquet", Some("table")),
            ("s3://other/x", Some("other")),
            ("s3://bucket/shop/orders2/x", None),
        ] {
            let granted = grants.around(location).map(|grant| grant.granted);
            let found = granted
                .as_ref()
                .and_then(|granted| granted.properties.get("s3.access-key-id"));
            assert_eq!(found.map(String::as_str), key, "{location}");
            if let Some(granted) = granted {
                assert_eq!(granted.properties["s3.endpoint"], "http://one");
                assert_eq!(granted.defaults, map(&[("s3.region", "default")]));
                assert!(!granted.properties.contains_key("write.x"));
            }
        }
    }

    #[test]
    fn credentials_are_good_until_shortly_before_they_end() {
        let clock = Arc::new(ManualClock::at(0));
        let grants = Grants::new(map(&[]), map(&[]), clock.clone());
        let table = TableIdent::from_strs(["shop", "orders"]).unwrap();
        let note = |ends: &str| {
            let said = Said {
                config: map(&[(ENDS[0], ends)]),
                ..Said::default()
            };
            grants.note(&table, "s3://b/t", said);
        };
        note("3600000");
        let good = |now: Millis| {
            clock.advance(now - clock.now());
            grants.is_good(&grants.at("s3://b/t/").unwrap())
        };
        assert!(good(3_299_999) && !good(3_300_000));
        clock.advance(-clock.now());
        note("60000");
        assert!(good(29_999) && !good(30_000));
        note("tomorrow");
        assert!(good(Millis::MAX));
    }

    #[test]
    fn each_store_s_credentials_end_by_a_name_of_their_own() {
        for (names, expected) in [
            (&[("s3.session-token-expires-at-ms", "5")][..], Some(5)),
            (&[("gcs.oauth2.token-expires-at", "5")], Some(5)),
            (&[("adls.sas-token-expires-at-ms.shop", "5")], Some(5)),
            (
                &[
                    ("adls.sas-token-expires-at-ms.shop.dfs.core.windows.net", "7"),
                    ("adls.sas-token-expires-at-ms.other", "6"),
                ],
                Some(6),
            ),
            (
                &[("gcs.oauth2.token-expires-at.x", "5"), ("gcs.oauth2.token", "5")],
                None,
            ),
        ] {
            assert_eq!(end(&map(names)), expected, "{names:?}");
        }
    }
}
