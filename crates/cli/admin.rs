//! The admin server of `run`, from its configuration.

use std::sync::Arc;

use prometheus::Registry;
use tabletopic_server::{Server, Token, Watched, bind};

use crate::config::Admin;

/// Begins to answer, and says where. `None`: it is off.
pub async fn start(
    admin: &Admin,
    registry: Registry,
    watched: Arc<dyn Watched>,
) -> anyhow::Result<Option<Server>> {
    let Some(listen) = admin.listen else {
        return Ok(None);
    };
    let token = admin
        .token
        .as_ref()
        .map(|token| Token::new(token.reveal()))
        .transpose()?;
    let server = Server::start(bind(listen).await?, token, registry, watched)?;
    tracing::info!("status page at http://{}/", server.address());
    Ok(Some(server))
}
