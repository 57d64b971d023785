//! A request, taken apart.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, Method, Request};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::error::Refusal;

/// What a client asks.
#[derive(Debug)]
pub struct Asked {
    pub method: Method,
    /// The path's names, decoded. Iceberg's Java client writes a space as `+` there, as forms do; others write `%20`,
    /// and all of them write a `+` as `%2B`.
    pub path: Vec<String>,
    query: Vec<(String, String)>,
    parts: Parts,
    body: Bytes,
}

impl Asked {
    pub fn new(request: Request<Bytes>) -> Self {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().trim_start_matches('/').split('/');
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Self {
            method: parts.method.clone(),
            path: path.map(decode).collect(),
            query: query.into_owned().collect(),
            parts,
            body,
        }
    }

    /// The value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        let mut found = self.query.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// A query parameter that is `true` or `false`.
    pub fn is_true(&self, name: &str) -> Result<bool, Refusal> {
        match self.query(name) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(Refusal::bad_request(format!(
                "{name} is `true` or `false`, not {text:?}"
            ))),
        }
    }

    /// A header's value, if it is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Path and query, as they were sent.
    pub fn target(&self) -> &str {
        self.parts
            .uri
            .path_and_query()
            .map_or("", |target| target.as_str())
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body, which has to be JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad_request(format!("Cannot parse the request's body: {error}")))
    }
}

/// One name of a path. What is no UTF-8 becomes replacement characters, which no name has that was ever created.
fn decode(name: &str) -> String {
    let spaces = name.replace('+', " ");
    percent_decode_str(&spaces).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_path_are_decoded_as_all_clients_write_them() {
        let uri = "/v1/namespaces/a%20b%1Fc+d%2Be/tables/x%2Fy?pageToken=&pageSize=3&parent=a%1Fb";
        let request = Request::get(uri).body(Bytes::new()).unwrap();
        let asked = Asked::new(request);
        assert_eq!(
            asked.path,
            ["v1", "namespaces", "a b\u{1f}c d+e", "tables", "x/y"]
        );
        assert_eq!(asked.query("pageToken"), Some(""));
        assert_eq!(asked.query("pageSize"), Some("3"));
        assert_eq!(asked.query("parent"), Some("a\u{1f}b"));
        assert_eq!(asked.query("absent"), None);
        assert!(!asked.is_true("absent").unwrap());
        assert!(asked.is_true("pageSize").is_err());
    }
}
