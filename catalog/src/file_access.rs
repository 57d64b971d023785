//! What a catalog says of how its tables' files are reached.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;

use crate::CatalogError;

/// What was said of the files below a place. Properties have the names that Iceberg's clients give them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// What the files' locations begin with.
    pub prefix: String,
    /// They count less than what is configured here.
    pub defaults: BTreeMap<String, String>,
    /// They count more, credentials among them.
    pub properties: BTreeMap<String, String>,
}

impl Granted {
    /// What was said of this name.
    pub fn property(&self, name: &str) -> Option<&str> {
        let said = self.properties.get(name).or_else(|| self.defaults.get(name));
        said.map(String::as_str)
    }
}

impl Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("Granted")
            .field("prefix", &self.prefix)
            .field("properties", &names)
            .finish_non_exhaustive()
    }
}

/// A request to a store that its catalog is to sign.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreRequest {
    /// Of the bucket.
    pub region: String,
    pub method: String,
    /// Absolute, with its query.
    pub uri: String,
    /// Those that are to be signed, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// Of a request that names files in it, as one does that deletes several.
    pub body: Option<String>,
}

/// What a store takes a request for. Whoever has it may send that request for some minutes, so that it is never shown.
#[derive(Clone)]
pub struct Signature {
    /// What the request is to be sent to: the same place, with another query where the signature is in that.
    pub uri: String,
    /// To be sent beside the request's own.
    pub headers: HeaderMap,
    /// The same request may be sent with it again.
    pub is_reusable: bool,
}

impl Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(***)")
    }
}

/// A catalog that has a say in how files are reached.
#[async_trait]
pub trait FileAccess: Debug + Send + Sync {
    /// What was said of the files at `location`, by the longest prefix; `None` where nothing was.
    fn granted(&self, location: &str) -> Option<Arc<Granted>>;

    /// The grant of this prefix, with credentials that are good for a while: new ones, where the old ones soon end.
    async fn renewed(&self, prefix: &str) -> Result<Arc<Granted>, CatalogError>;

    /// The catalog's signature under a request to the store that the grant of this prefix is for.
    ///
    /// # Errors
    /// `Unavailable` where it does not answer now, or does not know who asks; `Rejected` where it will not sign this.
    async fn sign(&self, prefix: &str, request: &StoreRequest) -> Result<Signature, CatalogError>;
}
