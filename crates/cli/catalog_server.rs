//! The catalog server of `catalog serve` and of `run --serve-catalog`, from its configuration.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use prometheus::Registry;
use tabletopic_catalog::RestCatalog;
use tabletopic_clock::SystemClock;
use tabletopic_server::{CatalogServer, Token, bind_catalog};
use tabletopic_table::storage::{RequestCounts, Store};

use crate::config::Config;
use crate::{catalogs, parts};

/// Begins to answer, and says where. Its requests to the store are added to `requests`.
pub async fn start(
    config: &Config,
    registry: Registry,
    requests: Arc<RequestCounts>,
) -> anyhow::Result<CatalogServer> {
    let serve = &config.catalog.serve;
    let token = serve.token.as_ref().map(|token| Token::new(token.reveal()));
    let (catalog, Store { file_io, .. }) = catalogs::served(config, requests).await?;
    let listener = bind_catalog(serve.listen).await?;
    let warehouse = parts::warehouse_uri(&config.catalog)?.context("it has a warehouse")?;
    let locations = serve.locations.iter().map(|location| uri(location));
    let rest = RestCatalog::new(
        catalog,
        &warehouse,
        locations.collect::<anyhow::Result<_>>()?,
        file_io,
        Arc::new(SystemClock),
    );
    let server = CatalogServer::start(listener, token.transpose()?, registry, Arc::new(rest))?;
    tracing::info!("catalog {} at http://{}/", config.catalog.name, server.address());
    Ok(server)
}

/// A place as table metadata writes it.
fn uri(location: &str) -> anyhow::Result<String> {
    if location.contains("://") {
        return Ok(location.to_owned());
    }
    let path = std::path::absolute(Path::new(location))
        .with_context(|| format!("cannot tell where {location} is"))?;
    Ok(format!("file://{}", path.display()))
}
