//! Tables named by somebody else's server, by the Iceberg REST specification
//! (`open-api/rest-catalog-open-api.yaml` of Apache Iceberg): the client. The server is in `serve`.
//!
//! | file | what it is about |
//! |---|---|
//! | `settings` | the properties of a catalog, by the names that Iceberg's clients give them |
//! | `connection` | one request and its answer; which may be sent again |
//! | `login`, `tokens`, `aws` | what a request shows to be let in |
//! | `negotiation` | what the server says of itself before anything else |
//! | `paths`, `bodies` | how tables are named in requests, and what is in these |
//! | `failure` | what became of a request that was not answered well |
//! | `tables`, `commits` | the catalog proper |
//! | `keys` | what lets a commit be sent again |
//! | `versions` | what need not be sent again, because it has not changed |
//! | `grants` | what the server says of the tables' files: settings, and credentials that end |
//! | `signing` | requests to stores that the server signs |

mod aws;
mod bodies;
mod commits;
mod connection;
mod failure;
mod grants;
mod keys;
mod login;
mod negotiation;
mod paths;
mod settings;
mod signing;
mod tables;
mod tokens;
mod versions;

use std::sync::Arc;

use tabletopic_clock::{Clock, Entropy};

use crate::CatalogError;
use connection::Connection;
use grants::Grants;
use keys::Keys;
use paths::Paths;
use versions::Versions;

pub use aws::AwsSigner;
pub use settings::{AwsKeys, AwsLogin, PropertyError, RestSettings};

/// A [`Catalog`](crate::Catalog) that a server keeps.
#[derive(Debug)]
pub struct RestClient {
    name: String,
    connection: Connection,
    paths: Paths,
    /// Of commits, where the server takes them.
    keys: Option<Keys>,
    versions: Versions,
    grants: Grants,
    /// Whether there is an endpoint for new credentials of a table.
    gives_credentials: bool,
}

impl RestClient {
    /// Asks the server what it wants of its clients. `name` is for messages; `signer` signs requests where the settings
    /// say so.
    ///
    /// # Errors
    /// `Rejected` where the settings cannot be used, the server does not know the warehouse, or refuses the credentials;
    /// `Unavailable` where it does not answer.
    pub async fn open(
        name: &str,
        settings: &RestSettings,
        signer: Option<AwsSigner>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, CatalogError> {
        let rejected = |reason: String| CatalogError::Rejected {
            catalog: name.to_owned(),
            operation: "open".to_owned(),
            reason,
        };
        let connection =
            Connection::new(settings, signer, clock.clone()).map_err(|error| rejected(error.to_string()))?;
        let agreed = negotiation::negotiate(name, settings, &connection).await?;
        Ok(Self {
            name: name.to_owned(),
            connection: connection.agreed(agreed.base, agreed.headers),
            paths: agreed.paths,
            keys: agreed
                .key_lifetime
                .map(|lifetime| Keys::new(lifetime, clock.clone(), entropy)),
            versions: Versions::default(),
            grants: Grants::new(agreed.defaults, agreed.overrides, clock),
            gives_credentials: agreed.gives_credentials,
        })
    }
}
