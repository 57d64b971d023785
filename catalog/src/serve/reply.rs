//! Answers.

use bytes::Bytes;
use form_urlencoded::byte_serialize;
use http::header::{CONTENT_TYPE, ETAG, RETRY_AFTER};
use http::{Response, StatusCode};
use iceberg::TableIdent;
use iceberg::spec::TableMetadata;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::Refusal;
use crate::LoadedTable;

/// What a request is answered with.
#[derive(Debug, Clone)]
pub enum Reply {
    /// 204.
    Done,
    /// 304: the client has this version.
    NotModified {
        etag: String,
    },
    Json(Bytes),
    /// A table's metadata.
    Table {
        /// `None`: the table is staged.
        ident: Option<TableIdent>,
        etag: Option<String>,
        json: Bytes,
    },
}

/// Which snapshots a client wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshots {
    All,
    /// Those that branches and tags point at.
    Refs,
}

impl Reply {
    pub fn json(body: &impl Serialize) -> Result<Self, Refusal> {
        Ok(Self::Json(bytes(body)?))
    }

    pub fn table(table: &LoadedTable, snapshots: Snapshots) -> Result<Self, Refusal> {
        let mut metadata = in_order(&table.metadata)?;
        if snapshots == Snapshots::Refs {
            keep_refs_only(&mut metadata);
        }
        let body =
            json!({ "metadata-location": table.metadata_location, "metadata": metadata, "config": {} });
        Ok(Self::Table {
            ident: Some(table.ident.clone()),
            etag: Some(etag(&table.metadata_location, snapshots)),
            json: bytes(&body)?,
        })
    }

    /// A table that is not there yet has no metadata file.
    pub fn staged(metadata: &TableMetadata) -> Result<Self, Refusal> {
        Ok(Self::Table {
            ident: None,
            etag: None,
            json: bytes(&json!({ "metadata": in_order(metadata)?, "config": {} }))?,
        })
    }
}

impl From<Reply> for Response<Bytes> {
    fn from(reply: Reply) -> Self {
        let (status, etag, body) = match reply {
            Reply::Done => (StatusCode::NO_CONTENT, None, None),
            Reply::NotModified { etag } => (StatusCode::NOT_MODIFIED, Some(etag), None),
            Reply::Json(json) => (StatusCode::OK, None, Some(json)),
            Reply::Table { etag, json, .. } => (StatusCode::OK, etag, Some(json)),
        };
        let mut response = match body {
            Some(json) => with_type(json),
            None => Response::new(Bytes::new()),
        };
        *response.status_mut() = status;
        // All of it is percent-encoded.
        if let Some(etag) = etag.and_then(|etag| etag.parse().ok()) {
            response.headers_mut().insert(ETAG, etag);
        }
        response
    }
}

impl From<Refusal> for Response<Bytes> {
    fn from(refusal: Refusal) -> Self {
        let mut response = with_type(refusal.body().to_string().into());
        *response.status_mut() = refusal.status;
        if let Some(seconds) = refusal.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn with_type(json: Bytes) -> Response<Bytes> {
    let mut response = Response::new(json);
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The name of what a client gets to see of one version of a table: metadata files are never written again.
pub fn etag(metadata_location: &str, snapshots: Snapshots) -> String {
    let location: String = byte_serialize(metadata_location.as_bytes()).collect();
    match snapshots {
        Snapshots::All => format!("\"{location}\""),
        Snapshots::Refs => format!("\"{location}.refs\""),
    }
}

/// Whether one of the tags in an `If-None-Match` is `etag`. Proxies that compress make tags weak.
pub fn is_among(etag: &str, if_none_match: &str) -> bool {
    let mut tags = if_none_match.split(',').map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// The metadata as JSON, with its lists in the order in which things were added, as clients have them who make their own
/// copy of the table. The `iceberg` crate has them in any order.
fn in_order(metadata: &TableMetadata) -> Result<Value, Refusal> {
    let mut json = serde_json::to_value(metadata).map_err(unwritable)?;
    for (list, keys) in [
        ("snapshots", ["sequence-number", "timestamp-ms"]),
        ("schemas", ["schema-id", ""]),
        ("partition-specs", ["spec-id", ""]),
        ("sort-orders", ["order-id", ""]),
    ] {
        if let Some(list) = list_of(&mut json, list) {
            list.sort_by_key(|one| keys.map(|key| one[key].as_i64()));
        }
    }
    Ok(json)
}

fn keep_refs_only(metadata: &mut Value) {
    let held: Vec<Value> = metadata["refs"]
        .as_object()
        .map(|refs| refs.values().map(|held| held["snapshot-id"].clone()).collect())
        .unwrap_or_default();
    if let Some(snapshots) = list_of(metadata, "snapshots") {
        snapshots.retain(|snapshot| held.contains(&snapshot["snapshot-id"]));
    }
}

/// Not by `[]`, which would write a null where there is no such list, and a table without snapshots has none of these.
fn list_of<'m>(metadata: &'m mut Value, name: &str) -> Option<&'m mut Vec<Value>> {
    metadata.get_mut(name)?.as_array_mut()
}

fn bytes(body: &impl Serialize) -> Result<Bytes, Refusal> {
    serde_json::to_vec(body).map(Bytes::from).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> Refusal {
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalServerError",
        format!("the answer cannot be written: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_others_also_weak() {
        let tag = etag("file:///lake/t/metadata/1,ö.json", Snapshots::All);
        assert!(
            tag.parse::<http::HeaderValue>().is_ok() && !tag.contains(','),
            "{tag}"
        );
        assert!(is_among(&tag, &tag));
        assert!(is_among(&tag, &format!("\"other\", W/{tag}")));
        assert!(is_among(&tag, "*"));
        for other in [
            "",
            "\"other\"",
            &etag("file:///lake/t/metadata/1,ö.json", Snapshots::Refs),
        ] {
            assert!(!is_among(&tag, other), "{other}");
        }
    }
}
