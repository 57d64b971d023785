//! Requests to stores that the server signs, so that nobody here has keys for them (`signRequest` of the specification, and
//! `aws/src/main/resources/s3-signer-open-api.yaml` of Apache Iceberg, which it has come from).

use std::collections::BTreeMap;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::RestClient;
use super::bodies::json;
use super::connection::{Answer, Asked};
use super::failure::Failure;
use super::grants::Grant;
use super::settings::parse;
use crate::{CatalogError, Entry, Granted, Signature, StoreRequest};

/// Where a server signs that has a place of its own for it: a path, or a URL.
const ENDPOINT: [&str; 2] = ["signer.endpoint", "s3.signer.endpoint"];
/// What the path is below, if it is not the catalog's URI.
const URI: [&str; 2] = ["signer.uri", "s3.signer.uri"];

/// What has to be in each request for a signature (`RemoteSigningConfig` of the specification).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct SigningConfig {
    #[serde(default)]
    properties: BTreeMap<String, String>,
    #[serde(default)]
    headers: BTreeMap<String, Vec<String>>,
}

/// `RemoteSignRequest`
#[derive(Serialize)]
struct ToSign<'a> {
    provider: &'static str,
    region: &'a str,
    method: &'a str,
    uri: &'a str,
    headers: BTreeMap<&'a str, [&'a str; 1]>,
    properties: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
}

/// `RemoteSignResult`
#[derive(Deserialize)]
struct Signed {
    uri: String,
    headers: BTreeMap<String, Vec<String>>,
}

impl RestClient {
    /// The signature for one request to the store that the grant of this prefix is for.
    ///
    /// What a server grants may name a place that signs for a while only (Nessie: three hours). Where it refuses, the table
    /// is loaded anew, and what comes with it tried once.
    pub(super) async fn signature(
        &self,
        prefix: &str,
        request: &StoreRequest,
    ) -> Result<Signature, CatalogError> {
        let grant = self.grant_at(prefix)?;
        let entry = Entry::Table(grant.table.clone());
        let operation = format!("sign {} {} for {entry}", request.method, request.uri);
        let refused = match self.ask_for_signature(&grant, request).await {
            Ok(signature) => return Ok(signature),
            Err(failure) if failure.is_refusal() => failure,
            Err(failure) => return Err(self.failed(failure, operation)),
        };
        let fresh = self.granted_since(&grant, prefix).await?;
        if (&fresh.granted, &fresh.signing) == (&grant.granted, &grant.signing) {
            return Err(self.failed(refused, operation));
        }
        let signature = self.ask_for_signature(&fresh, request).await;
        signature.map_err(|failure| self.failed(failure, operation))
    }

    async fn ask_for_signature(&self, grant: &Grant, request: &StoreRequest) -> Result<Signature, Failure> {
        let headers = request.headers.iter();
        let to_sign = ToSign {
            provider: "s3",
            region: &request.region,
            method: &request.method,
            uri: &request.uri,
            headers: headers
                .map(|(name, value)| (name.as_str(), [value.as_str()]))
                .collect(),
            properties: &grant.signing.properties,
            body: request.body.as_deref(),
        };
        let asked = Asked {
            method: Method::POST,
            url: self.signer_of(grant).map_err(Failure::Unusable)?,
            headers: headers_of(&grant.signing.headers).map_err(Failure::Unusable)?,
            body: Some(json(&to_sign).map_err(Failure::Unusable)?),
        };
        let answer = self.connection.patiently(&asked).await?;
        signature(&answer)
    }

    fn signer_of(&self, grant: &Grant) -> Result<Url, String> {
        let endpoint = match said(&grant.granted, ENDPOINT) {
            Some(endpoint) => endpoint.to_owned(),
            None => format!("{}/sign", self.paths.table(&grant.table)?),
        };
        signer(self.connection.base(), said(&grant.granted, URI), &endpoint)
    }
}

fn said<'g>(granted: &'g Granted, names: [&str; 2]) -> Option<&'g str> {
    names.iter().find_map(|name| granted.property(name))
}

/// Where requests are signed: on the catalog's host, because its credentials are shown there.
fn signer(catalog: &Url, base: Option<&str>, endpoint: &str) -> Result<Url, String> {
    let odd = |_| "the place where it wants to sign requests is no URL".to_owned();
    let signer = match endpoint.starts_with("http://") || endpoint.starts_with("https://") {
        true => Url::parse(endpoint).map_err(odd)?,
        false => {
            let base = base.map_or_else(|| Ok(catalog.clone()), parse);
            let base = base.map_err(|words| format!("the signer.uri that it says {words}"))?;
            let (base, path) = (
                base.as_str().trim_end_matches('/'),
                endpoint.trim_start_matches('/'),
            );
            Url::parse(&format!("{base}/{path}")).map_err(odd)?
        }
    };
    match signer.origin() == catalog.origin() {
        true => Ok(signer),
        false => Err(format!(
            "it wants to sign requests at {}, where credentials for {catalog} do not go; write the `uri` of the catalog \
             as it is known there, or have it give out credentials for the files",
            signer.origin().ascii_serialization()
        )),
    }
}

fn headers_of(said: &BTreeMap<String, Vec<String>>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in said {
        let odd = || format!("it wants a header {name:?} that can't be sent");
        let header = HeaderName::try_from(name).map_err(|_| odd())?;
        for value in values {
            let mut value = HeaderValue::try_from(value).map_err(|_| odd())?;
            value.set_sensitive(true);
            headers.append(&header, value);
        }
    }
    Ok(headers)
}

fn signature(answer: &Answer) -> Result<Signature, Failure> {
    let signed: Signed = answer.json()?;
    let is_reusable = answer
        .headers
        .get(CACHE_CONTROL)
        .is_some_and(|value| value == "private");
    Ok(Signature {
        uri: signed.uri,
        headers: headers_of(&signed.headers).map_err(Failure::Unanswered)?,
        is_reusable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_signed_on_the_catalog_s_host_and_nowhere_else() {
        let catalog = parse("https://c/api/iceberg").unwrap();
        for (base, endpoint, expected) in [
            (
                None,
                "v1/aws/s3/sign",
                Some("https://c/api/iceberg/v1/aws/s3/sign"),
            ),
            (
                None,
                "/v1/sign?of=a%20b",
                Some("https://c/api/iceberg/v1/sign?of=a%20b"),
            ),
            (Some("https://c/"), "v1/sign", Some("https://c/v1/sign")),
            (Some("https://c/x/"), "v1/sign", Some("https://c/x/v1/sign")),
            (Some("https://d/"), "https://c/sign", Some("https://c/sign")),
            (Some("https://d/api/iceberg"), "v1/sign", None),
            (Some("http://c/api/iceberg"), "v1/sign", None),
            (Some("https://c:8443/"), "v1/sign", None),
            (Some("nowhere"), "sign", None),
            (None, "https://d/api/iceberg/sign", None),
        ] {
            let found = signer(&catalog, base, endpoint).ok();
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{base:?} {endpoint}");
        }
        let elsewhere = signer(&catalog, None, "https://d/a-secret").unwrap_err();
        assert!(
            elsewhere.contains("https://d,") && !elsewhere.contains("a-secret"),
            "{elsewhere}"
        );
    }

    #[test]
    fn what_is_reused_is_what_the_server_says_may_be() {
        let answer = |said: &'static str| Answer {
            headers: HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(said))]),
            body: r#"{"uri":"https://b/x","headers":{"Authorization":["AWS4 x"],"X-Amz-Date":["1"]}}"#.into(),
        };
        let private = signature(&answer("private")).unwrap();
        assert!(private.is_reusable);
        assert_eq!(private.uri, "https://b/x");
        assert_eq!(private.headers["authorization"], "AWS4 x");
        assert_eq!(private.headers["x-amz-date"], "1");
        assert!(!signature(&answer("no-cache")).unwrap().is_reusable);
        assert!(!format!("{private:?}").contains("AWS4"));
    }
}
