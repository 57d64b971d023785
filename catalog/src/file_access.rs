//! What a catalog says of how its tables' files are reached.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;

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

impl Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("Granted")
            .field("prefix", &self.prefix)
            .field("properties", &names)
            .finish_non_exhaustive()
    }
}

/// A catalog that has a say in how files are reached.
#[async_trait]
pub trait FileAccess: Debug + Send + Sync {
    /// What was said of the files at `location`, by the longest prefix; `None` where nothing was.
    fn granted(&self, location: &str) -> Option<Arc<Granted>>;

    /// The grant of this prefix, with credentials that are good for a while: new ones, where the old ones soon end.
    async fn renewed(&self, prefix: &str) -> Result<Arc<Granted>, CatalogError>;
}
