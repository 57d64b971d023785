//! What the server says of itself before anything else: `GET /v1/config`. Its defaults count less than the settings, its
//! overrides more.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use serde::Deserialize;
use tabletopic_clock::Millis;

use super::connection::Connection;
use super::keys::duration;
use super::paths::{Paths, value};
use super::settings::{HEADER, RestSettings, parse};
use crate::CatalogError;

/// What is gone by from then on.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) base: Url,
    pub(super) headers: HeaderMap,
    pub(super) paths: Paths,
    pub(super) defaults: BTreeMap<String, String>,
    pub(super) overrides: BTreeMap<String, String>,
    pub(super) gives_credentials: bool,
    /// How long a key of a commit is good for; `None` where the server takes none.
    pub(super) key_lifetime: Option<Millis>,
}

/// As servers list it.
const CREDENTIALS: &str = "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials";

#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    defaults: BTreeMap<String, Option<String>>,
    #[serde(default)]
    overrides: BTreeMap<String, Option<String>>,
    #[serde(default)]
    endpoints: Vec<String>,
    #[serde(default, rename = "idempotency-key-lifetime")]
    key_lifetime: Option<String>,
}

impl Said {
    fn default(&self, name: &str) -> Option<&str> {
        self.defaults.get(name)?.as_deref()
    }

    fn wanted(&self, name: &str) -> Option<&str> {
        self.overrides.get(name)?.as_deref()
    }
}

pub(super) async fn negotiate(
    catalog: &str,
    settings: &RestSettings,
    connection: &Connection,
) -> Result<Agreed, CatalogError> {
    let rejected = |reason: String| CatalogError::Rejected {
        catalog: catalog.to_owned(),
        operation: "open".to_owned(),
        reason,
    };
    let query = settings
        .warehouse
        .as_deref()
        .map(|name| format!("warehouse={}", value(name)));
    let answer = connection.read("v1/config", query.as_deref()).await;
    let said: Said = match answer.and_then(|answer| answer.json()) {
        Ok(said) => said,
        // At the start, somebody is there to correct them.
        Err(failure) if failure.is_denial() || failure.is_absence() => {
            return Err(rejected(format!("{} refuses: {failure}", connection.uri())));
        }
        Err(failure) => return Err(failure.of(catalog, connection.uri(), "open".to_owned())),
    };
    let prefix = said
        .wanted("prefix")
        .or(settings.prefix.as_deref())
        .or(said.default("prefix"));
    let separator = said
        .wanted("namespace-separator")
        .or(said.default("namespace-separator"));
    Ok(Agreed {
        base: base(&settings.uri, said.wanted("uri")).map_err(rejected)?,
        headers: headers(settings, &said).map_err(rejected)?,
        paths: Paths::new(prefix, separator),
        gives_credentials: said.endpoints.iter().any(|endpoint| endpoint == CREDENTIALS),
        key_lifetime: said.key_lifetime.as_deref().and_then(duration),
        defaults: values(said.defaults),
        overrides: values(said.overrides),
    })
}

fn values(said: BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
    said.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Where the server wants to be asked. Another host would be sent the credentials: that has to be configured.
fn base(configured: &Url, wanted: Option<&str>) -> Result<Url, String> {
    let Some(wanted) = wanted else {
        return Ok(configured.clone());
    };
    let wanted =
        parse(wanted).map_err(|message| format!("the `uri` that it wants to be asked at {message}"))?;
    match wanted.origin() == configured.origin() {
        true => Ok(wanted),
        false => Err(format!(
            "it wants to be asked at {wanted}; if that is right, write it as `uri`"
        )),
    }
}

fn headers(settings: &RestSettings, said: &Said) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (names, replaces) in [(&said.defaults, false), (&said.overrides, true)] {
        for (name, value) in names {
            let (Some(name), Some(value)) = (name.strip_prefix(HEADER), value) else {
                continue;
            };
            let odd = || format!("it wants a header {name:?} that can't be sent");
            let name = HeaderName::try_from(name).map_err(|_| odd())?;
            let value = HeaderValue::try_from(value).map_err(|_| odd())?;
            if replaces || !settings.headers.contains_key(&name) {
                headers.insert(name, value);
            }
        }
    }
    for (name, value) in &settings.headers {
        if !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_go_where_a_server_points() {
        let configured = parse("https://c/api").unwrap();
        let there = base(&configured, Some("https://c/other/")).unwrap();
        assert_eq!(there.as_str(), "https://c/other");
        for elsewhere in ["https://d/api", "http://c/api", "https://c:8443/api", "nowhere"] {
            assert!(base(&configured, Some(elsewhere)).is_err(), "{elsewhere}");
        }
    }
}
