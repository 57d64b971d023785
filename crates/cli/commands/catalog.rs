//! `catalog serve`: the catalog as an Iceberg REST catalog, for engines.

use std::io;
use std::path::Path;
use std::sync::Arc;

use prometheus::Registry;
use tabletopic_ingest::observe::StoreRequests;
use tabletopic_table::storage::RequestCounts;
use tokio::signal::unix::{SignalKind, signal};

use super::{environment, runtime};
use crate::args::{Catalog, CatalogCommand};
use crate::config::Config;
use crate::exit::Exit;
use crate::{catalog_server, logging};

pub fn run(file: &Path, catalog: &Catalog) -> anyhow::Result<Exit> {
    let CatalogCommand::Serve = catalog.command;
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, io::stderr);
    runtime()?.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<Exit> {
    let (registry, requests) = (Registry::new(), Arc::new(RequestCounts::default()));
    registry.register(Box::new(StoreRequests::new(requests.clone())?))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = catalog_server::start(&config, registry, requests).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("answering what was asked; then leaving");
    server.stop().await;
    Ok(Exit::Done)
}
