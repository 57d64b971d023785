//! Whether the schema registry answers.

use tabletopic_records::SchemaId;
use tabletopic_registry::client;

use super::finding::Finding;
use crate::config::Config;
use crate::exit::Exit;

/// `None` if no registry is configured.
pub async fn look(config: &Config) -> Option<Finding> {
    let registry = config.registry.as_ref()?;
    let subject = "schema registry";
    let client = match client(&registry.settings()) {
        Ok(client) => client,
        Err(error) => return Some(Finding::fail(Exit::Configuration, subject, error.to_string())),
    };
    // Whether it has this one says nothing; that it can tell does.
    Some(match client.schema(SchemaId::Number(1)).await {
        Ok(_) => Finding::ok(subject, format!("{} answers", registry.urls.join(", or "))),
        Err(outage) => Finding::fail(Exit::Later, subject, outage.to_string()),
    })
}
