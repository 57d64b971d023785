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
//! | `grants` | what the server says of the tables' files: settings, and credentials that end |

mod aws;
mod bodies;
mod commits;
mod connection;
mod failure;
mod grants;
mod login;
mod negotiation;
mod paths;
mod settings;
mod tables;
mod tokens;

use std::sync::Arc;

use tabletopic_clock::Clock;

use crate::CatalogError;
use connection::Connection;
use grants::Grants;
use paths::Paths;

pub use aws::AwsSigner;
pub use settings::{AwsKeys, AwsLogin, PropertyError, RestSettings};

/// A [`Catalog`](crate::Catalog) that a server keeps.
#[derive(Debug)]
pub struct RestClient {
    name: String,
    connection: Connection,
    paths: Paths,
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
            grants: Grants::new(agreed.defaults, agreed.overrides, clock),
            gives_credentials: agreed.gives_credentials,
        })
    }
}
