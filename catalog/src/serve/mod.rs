//! A catalog as an Iceberg REST catalog, for engines: requests of the specification's
//! (`open-api/rest-catalog-open-api.yaml` of Apache Iceberg), answered from a [`ServedCatalog`]. Sockets, tokens and
//! bounds on connections are the matter of whoever passes the requests on.
//!
//! | file | what it answers |
//! |---|---|
//! | `endpoint` | which paths there are |
//! | `config`, `namespaces`, `tables`, `commits` | the endpoints, by subject |
//! | `requirements` | whether a commit still fits the table |
//! | `purge` | the files of a dropped table |
//! | `idempotency` | requests that are sent again |
//! | `request`, `names`, `paging`, `places` | what clients write, and what of it is let in |
//! | `reply`, `error` | what they read |

mod commits;
mod config;
mod endpoint;
mod error;
mod idempotency;
mod names;
mod namespaces;
mod paging;
mod places;
mod purge;
mod reply;
mod request;
mod requirements;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use iceberg::io::FileIO;
use tabletopic_clock::Clock;

use crate::ServedCatalog;
use endpoint::Endpoint;
pub(crate) use error::NO_FILE;
use error::Refusal;
use idempotency::Keys;
pub(crate) use names::Identifier;
use places::Places;
use reply::Reply;
use request::Asked;

/// A catalog that answers requests of the Iceberg REST specification.
#[derive(Debug)]
pub struct RestCatalog {
    catalog: Arc<dyn ServedCatalog>,
    warehouse: String,
    /// Reads and deletes the files of tables that are purged.
    file_io: FileIO,
    places: Places,
    keys: Keys,
    clock: Arc<dyn Clock>,
}

/// An answer, and which endpoint gave it (`POST /v1/{prefix}/tables/rename`).
#[derive(Debug)]
pub struct Answered {
    pub endpoint: &'static str,
    pub response: Response<Bytes>,
}

impl RestCatalog {
    /// `warehouse` is the absolute URI below which the catalog puts its tables; `further` are others below which clients
    /// may have them.
    pub fn new(
        catalog: Arc<dyn ServedCatalog>,
        warehouse: &str,
        further: Vec<String>,
        file_io: FileIO,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let warehouse = warehouse.trim_end_matches('/').to_owned();
        let places = Places::new(further.into_iter().chain([warehouse.clone()]));
        Self {
            catalog,
            warehouse,
            file_io,
            places,
            keys: Keys::default(),
            clock,
        }
    }

    /// Answers a request, whose body has been read. Whoever drops the answer before it is there leaves a change
    /// unfinished; nothing is half done for it.
    pub async fn answer(&self, request: Request<Bytes>) -> Answered {
        let asked = Asked::new(request);
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        let (endpoint, answered) = match Endpoint::of(&asked.method, &path) {
            Ok(endpoint) if endpoint.is_change() => {
                let change = self.reply(endpoint, &asked);
                (endpoint.name(), self.once(&asked, change).await)
            }
            Ok(endpoint) => (endpoint.name(), self.reply(endpoint, &asked).await),
            Err(refusal) => ("other", Err(refusal)),
        };
        let response = match answered {
            Ok(reply) => reply.into(),
            Err(refusal) => {
                if refusal.status.is_server_error() {
                    tracing::warn!(endpoint, status = refusal.status.as_u16(), "{}", refusal.message);
                }
                refusal.into()
            }
        };
        Answered { endpoint, response }
    }

    async fn reply(&self, endpoint: Endpoint<'_>, asked: &Asked) -> Result<Reply, Refusal> {
        match endpoint {
            Endpoint::Config => self.config(asked),
            Endpoint::ListNamespaces => self.list_namespaces(asked).await,
            Endpoint::CreateNamespace => self.create_namespace(asked).await,
            Endpoint::LoadNamespace(namespace) => self.load_namespace(namespace).await,
            Endpoint::NamespaceExists(namespace) => self.namespace_exists(namespace).await,
            Endpoint::DropNamespace(namespace) => self.drop_namespace(namespace).await,
            Endpoint::UpdateNamespace(namespace) => self.update_namespace(namespace, asked).await,
            Endpoint::ListTables(namespace) => self.list_tables(namespace, asked).await,
            Endpoint::CreateTable(namespace) => self.create_table(namespace, asked).await,
            Endpoint::RegisterTable(namespace) => self.register_table(namespace, asked).await,
            Endpoint::LoadTable(namespace, table) => self.load_table(namespace, table, asked).await,
            Endpoint::TableExists(namespace, table) => self.table_exists(namespace, table).await,
            Endpoint::CommitTable(namespace, table) => self.commit_table(namespace, table, asked).await,
            Endpoint::DropTable(namespace, table) => self.drop_table(namespace, table, asked).await,
            Endpoint::ReportMetrics(namespace, table) => self.report_metrics(namespace, table, asked).await,
            Endpoint::RenameTable => self.rename_table(asked).await,
            Endpoint::CommitTransaction => self.commit_transaction(asked).await,
        }
    }
}
