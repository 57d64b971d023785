//! What a client is told before anything else.

use http::StatusCode;
use serde_json::json;

use super::RestCatalog;
use super::endpoint::LISTED;
use super::error::Refusal;
use super::idempotency::LIFETIME;
use super::reply::Reply;
use super::request::Asked;

impl RestCatalog {
    /// `GET /v1/config`. A client that asks for another warehouse is not given this one.
    pub(super) fn config(&self, asked: &Asked) -> Result<Reply, Refusal> {
        let warehouse = asked.query("warehouse").unwrap_or_default();
        let name = self.catalog.name();
        if !["", name, &self.warehouse].contains(&warehouse.trim_end_matches('/')) {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "NoSuchWarehouseException",
                format!("Warehouse does not exist: {warehouse}; this catalog's is {name}"),
            ));
        }
        Reply::json(&json!({
            "defaults": {},
            "overrides": {},
            "endpoints": LISTED,
            "idempotency-key-lifetime": LIFETIME.iso,
        }))
    }
}
