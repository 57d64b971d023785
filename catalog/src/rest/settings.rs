//! The properties of a REST catalog as they are written: by name, as text. Names are those of Iceberg's own clients.

use std::collections::BTreeMap;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use tabletopic_http::Tls;

use crate::unknown_property;

/// All that there are. A name that ends with a dot begins the names of as many as one likes.
const KNOWN: [&str; 18] = [
    "token",
    "credential",
    "scope",
    "audience",
    "resource",
    "oauth2-server-uri",
    "prefix",
    SIGV4,
    SIGNING_NAME,
    SIGNING_REGION,
    ACCESS_KEY,
    SECRET_KEY,
    SESSION_TOKEN,
    HEADER,
    PROXY_HOST,
    PROXY_PORT,
    PROXY_USER,
    PROXY_PASSWORD,
];

pub(super) const HEADER: &str = "header.";
const ACCESS_DELEGATION: HeaderName = HeaderName::from_static("x-iceberg-access-delegation");
const DELEGATION: &str = "vended-credentials,remote-signing";
const SIGV4: &str = "rest.sigv4-enabled";
const SIGNING_NAME: &str = "rest.signing-name";
const SIGNING_REGION: &str = "rest.signing-region";
const ACCESS_KEY: &str = "rest.access-key-id";
const SECRET_KEY: &str = "rest.secret-access-key";
const SESSION_TOKEN: &str = "rest.session-token";
const PROXY_HOST: &str = "rest.client.proxy.hostname";
const PROXY_PORT: &str = "rest.client.proxy.port";
const PROXY_USER: &str = "rest.client.proxy.username";
const PROXY_PASSWORD: &str = "rest.client.proxy.password";

/// Those of other clients' that would be taken for a part of the connection: said by a request itself.
const OWN_HEADERS: [&str; 5] = [
    "authorization",
    "host",
    "content-length",
    "content-type",
    "connection",
];

/// Where a catalog is, and how to speak to it. Plain data; secrets in it are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RestSettings {
    /// What the specification's paths are under, without a slash at its end.
    pub(super) uri: Url,
    /// Asked for by this name, where a server has several.
    pub(super) warehouse: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) login: Login,
    /// Sent with every request.
    pub(super) headers: HeaderMap,
    pub(super) proxy: Option<Proxy>,
    pub(super) tls: Tls,
}

/// What a request shows to be let in.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    Nothing,
    Token(String),
    /// OAuth2 client credentials, for which there are tokens that end.
    Credential(Credential),
    /// AWS's signatures.
    Aws(AwsLogin),
}

/// Whose requests are signed, and for what.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsLogin {
    /// As signatures name it: `glue`, `s3tables`.
    pub service: String,
    /// `None`: that of the environment.
    pub region: Option<String>,
    /// `None`: where clients of AWS look for them.
    pub keys: Option<AwsKeys>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct AwsKeys {
    pub key_id: String,
    pub secret: String,
    pub token: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) id: Option<String>,
    pub(super) secret: String,
    /// Where tokens are given out.
    pub(super) server: Url,
    /// `scope`, `audience` and `resource`.
    pub(super) more: Vec<(&'static str, String)>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) url: Url,
    pub(super) login: Option<(String, String)>,
}

/// What is wrong with a property, and what to write instead. Values are never in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PropertyError {
    /// `None` where it is the catalog's URI.
    pub property: Option<String>,
    pub message: String,
}

impl PropertyError {
    fn of(property: &str, message: impl Into<String>) -> Self {
        Self {
            property: Some(property.to_owned()),
            message: message.into(),
        }
    }
}

impl fmt::Debug for RestSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestSettings")
            .field("uri", &self.uri.as_str())
            .field("warehouse", &self.warehouse)
            .finish_non_exhaustive()
    }
}

impl RestSettings {
    /// # Errors
    /// What is wrong with the URI, or with one of the properties.
    pub fn new(
        uri: &str,
        warehouse: Option<&str>,
        properties: &BTreeMap<String, String>,
        tls: Tls,
    ) -> Result<Self, PropertyError> {
        for (name, value) in properties {
            check(name, value)?;
        }
        let uri = parse(uri).map_err(|message| PropertyError {
            property: None,
            message,
        })?;
        Ok(Self {
            login: Login::new(&uri, properties)?,
            headers: headers(properties)?,
            proxy: Proxy::new(properties)?,
            prefix: properties.get("prefix").cloned(),
            warehouse: warehouse.map(str::to_owned),
            uri,
            tls,
        })
    }

    /// Where the catalog is, for a person.
    pub fn uri(&self) -> &str {
        shown(&self.uri)
    }

    /// Whose signatures the server wants, if it wants any.
    pub fn aws(&self) -> Option<&AwsLogin> {
        match &self.login {
            Login::Aws(login) => Some(login),
            Login::Nothing | Login::Token(_) | Login::Credential(_) => None,
        }
    }

    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme() == "https"
    }
}

impl Login {
    fn new(uri: &Url, properties: &BTreeMap<String, String>) -> Result<Self, PropertyError> {
        if let Some(aws) = AwsLogin::new(properties)? {
            return Ok(Self::Aws(aws));
        }
        let of_credential = ["scope", "audience", "resource", "oauth2-server-uri"];
        let more = of_credential.iter().find(|name| properties.contains_key(**name));
        let login = match (properties.get("token"), properties.get("credential"), more) {
            (None, None, None) => Self::Nothing,
            (Some(token), None, None) => Self::Token(token.clone()),
            (None, Some(credential), _) => Self::Credential(Credential::new(uri, credential, properties)?),
            (Some(_), Some(_), _) => {
                let message = "stands beside a credential; write one of the two";
                return Err(PropertyError::of("token", message));
            }
            (_, None, Some(name)) => {
                let message =
                    "is for a credential, and there is none; write credential = \"ID:SECRET\", or remove it";
                return Err(PropertyError::of(name, message));
            }
        };
        Ok(login)
    }
}

impl AwsLogin {
    /// `None` where nothing is to be signed.
    fn new(properties: &BTreeMap<String, String>) -> Result<Option<Self>, PropertyError> {
        let more = [
            SIGNING_NAME,
            SIGNING_REGION,
            ACCESS_KEY,
            SECRET_KEY,
            SESSION_TOKEN,
        ];
        match properties.get(SIGV4).map(String::as_str) {
            Some("true") => {}
            None | Some("false") => {
                return match more.into_iter().find(|name| properties.contains_key(*name)) {
                    None => Ok(None),
                    Some(name) => {
                        let message = format!("is for signed requests; write {SIGV4} = true, or remove it");
                        Err(PropertyError::of(name, message))
                    }
                };
            }
            Some(_) => {
                return Err(PropertyError::of(
                    SIGV4,
                    "is neither true nor false; write one of them",
                ));
            }
        }
        if let Some(name) = ["token", "credential"]
            .into_iter()
            .find(|name| properties.contains_key(*name))
        {
            let message = format!("stands beside {SIGV4}; write one of the two");
            return Err(PropertyError::of(name, message));
        }
        let said = |name: &str| properties.get(name).cloned();
        let keys = match (said(ACCESS_KEY), said(SECRET_KEY), said(SESSION_TOKEN)) {
            (None, None, None) => None,
            (Some(key_id), Some(secret), token) => Some(AwsKeys {
                key_id,
                secret,
                token,
            }),
            (key_id, ..) => {
                let one = if key_id.is_some() { ACCESS_KEY } else { SECRET_KEY };
                let message = format!("is one of two; write {ACCESS_KEY} and {SECRET_KEY}, or neither");
                return Err(PropertyError::of(one, message));
            }
        };
        let service = said(SIGNING_NAME).ok_or_else(|| {
            let message =
                format!("needs the service's name; write {SIGNING_NAME} = \"glue\" or \"s3tables\"");
            PropertyError::of(SIGV4, message)
        })?;
        Ok(Some(Self {
            service,
            region: said(SIGNING_REGION),
            keys,
        }))
    }
}

impl Credential {
    fn new(
        uri: &Url,
        credential: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<Self, PropertyError> {
        let (id, secret) = match credential.split_once(':') {
            Some((id, secret)) => (Some(id.to_owned()), secret),
            None => (None, credential),
        };
        if secret.is_empty() {
            let message = "has no secret; write it as ID:SECRET, or the secret alone";
            return Err(PropertyError::of("credential", message));
        }
        let server = match properties.get("oauth2-server-uri") {
            Some(server) => {
                parse(server).map_err(|message| PropertyError::of("oauth2-server-uri", message))?
            }
            None => under(uri, "v1/oauth/tokens"),
        };
        let scope = properties.get("scope").map_or("catalog", String::as_str);
        let mut more = vec![("scope", scope.to_owned())];
        for name in ["audience", "resource"] {
            more.extend(properties.get(name).map(|value| (name, value.clone())));
        }
        Ok(Self {
            id,
            secret: secret.to_owned(),
            server,
            more,
        })
    }
}

impl Proxy {
    fn new(properties: &BTreeMap<String, String>) -> Result<Option<Self>, PropertyError> {
        let [host, port, user, password] =
            [PROXY_HOST, PROXY_PORT, PROXY_USER, PROXY_PASSWORD].map(|name| properties.get(name));
        let (Some(host), Some(port)) = (host, port) else {
            let said = [
                (PROXY_HOST, host),
                (PROXY_PORT, port),
                (PROXY_USER, user),
                (PROXY_PASSWORD, password),
            ];
            return match said.into_iter().find(|(_, value)| value.is_some()) {
                None => Ok(None),
                Some((name, _)) => {
                    let message = format!("is not enough for a proxy; write {PROXY_HOST} and {PROXY_PORT}");
                    Err(PropertyError::of(name, message))
                }
            };
        };
        let port: u16 = port
            .parse()
            .map_err(|_| PropertyError::of(PROXY_PORT, "is no port; write a number such as 3128"))?;
        let url = Url::parse(&format!("http://{host}:{port}")).ok();
        let url = url.filter(|url| url.path() == "/" && url.username().is_empty());
        let url = url.ok_or_else(|| {
            PropertyError::of(
                PROXY_HOST,
                "is no host; write its name or address alone, such as \"proxy\"",
            )
        })?;
        let login = match (user, password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            (user, _) => {
                let one = if user.is_some() {
                    PROXY_USER
                } else {
                    PROXY_PASSWORD
                };
                let message = format!("is one of two; write {PROXY_USER} and {PROXY_PASSWORD}, or neither");
                return Err(PropertyError::of(one, message));
            }
        };
        Ok(Some(Self { url, login }))
    }
}

/// The headers that properties ask for, and that credentials for the tables' files are welcome, or else signatures.
fn headers(properties: &BTreeMap<String, String>) -> Result<HeaderMap, PropertyError> {
    let mut headers = HeaderMap::from_iter([(ACCESS_DELEGATION, HeaderValue::from_static(DELEGATION))]);
    for (property, value) in properties {
        let Some(name) = property.strip_prefix(HEADER) else {
            continue;
        };
        let name =
            HeaderName::try_from(name).map_err(|_| PropertyError::of(property, "is no name of a header"))?;
        if OWN_HEADERS.contains(&name.as_str()) {
            let message = "is a header that each request has by itself; to log in, write token or credential";
            return Err(PropertyError::of(property, message));
        }
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| PropertyError::of(property, "is no value of a header, which is one line of text"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// A URL under which there are paths. It has no slash at its end.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim_end_matches('/')).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url.filter(|url| url.query().is_none() && url.fragment().is_none()) else {
        return Err("is not a URL; write one such as \"https://catalog.example.com/api/catalog\"".to_owned());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a password, and URLs are shown; write credential or token instead".to_owned());
    }
    Ok(url)
}

/// Without the slash that a URL has where it has no path.
pub(super) fn shown(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// `path` below `url`.
pub(super) fn under(url: &Url, path: &str) -> Url {
    let mut below = url.clone();
    below.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
    below
}

fn check(name: &str, value: &str) -> Result<(), PropertyError> {
    if let Some(message) = unknown_property(name, &KNOWN) {
        return Err(PropertyError::of(name, message));
    }
    match value.is_empty() {
        true => Err(PropertyError::of(name, "is empty; write a value, or remove it")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(uri: &str, properties: &[(&str, &str)]) -> Result<RestSettings, PropertyError> {
        let properties = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        RestSettings::new(uri, None, &properties.collect(), Tls::default())
    }

    #[test]
    fn what_is_wrong_is_said_with_the_property_and_without_its_value() {
        for (properties, property, words) in [
            (&[(SIGV4, "s3cret")][..], SIGV4, "neither true nor false"),
            (&[(SIGV4, "true")], SIGV4, "the service's name"),
            (
                &[(SIGNING_REGION, "s3cret")],
                SIGNING_REGION,
                "for signed requests",
            ),
            (
                &[(SIGV4, "true"), (SIGNING_NAME, "glue"), (ACCESS_KEY, "s3cret")],
                ACCESS_KEY,
                "one of two",
            ),
            (
                &[(SIGV4, "true"), (SIGNING_NAME, "glue"), ("token", "s3cret")],
                "token",
                "one of the two",
            ),
            (&[("tokn", "s3cret")][..], "tokn", "did you mean token?"),
            (&[("headers", "s3cret")], "headers", "did you mean header.NAME?"),
            (&[("token", "")], "token", "is empty"),
            (
                &[("token", "s3cret"), ("credential", "a:s3cret")],
                "token",
                "one of the two",
            ),
            (&[("scope", "s3cret")], "scope", "is for a credential"),
            (
                &[("token", "s3cret"), ("audience", "s3cret")],
                "audience",
                "is for a credential",
            ),
            (&[("credential", "id:")], "credential", "no secret"),
            (
                &[("credential", "a:s3cret"), ("oauth2-server-uri", "s3cret")],
                "oauth2-server-uri",
                "not a URL",
            ),
            (
                &[("header.Authorization", "s3cret")],
                "header.Authorization",
                "write token",
            ),
            (&[("header.a b", "s3cret")], "header.a b", "no name of a header"),
            (&[("header.a", "s3cret\n")], "header.a", "one line"),
            (&[(PROXY_USER, "s3cret")], PROXY_USER, "not enough for a proxy"),
            (
                &[(PROXY_HOST, "h"), (PROXY_PORT, "s3cret")],
                PROXY_PORT,
                "no port",
            ),
            (
                &[(PROXY_HOST, "h/s3cret"), (PROXY_PORT, "1")],
                PROXY_HOST,
                "no host",
            ),
            (
                &[(PROXY_HOST, "h"), (PROXY_PORT, "1"), (PROXY_USER, "s3cret")],
                PROXY_USER,
                "one of two",
            ),
        ] {
            let refused = settings("http://c", properties).unwrap_err();
            assert_eq!(refused.property.as_deref(), Some(property));
            assert!(refused.message.contains(words), "{refused}");
            assert!(!refused.message.contains("s3cret"), "{refused}");
        }
        for uri in ["", "catalog", "ftp://c", "http://c?a=b", "http://c#a"] {
            let refused = settings(uri, &[]).unwrap_err();
            assert!(
                refused.property.is_none() && refused.message.contains("not a URL"),
                "{refused}"
            );
        }
        let refused = settings("http://a:s3cret@c", &[]).unwrap_err();
        assert!(refused.message.contains("holds a password"), "{refused}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let properties = [
            ("credential", "id:s3cret"),
            ("header.X-Key", "s3cret"),
            (PROXY_HOST, "proxy"),
            (PROXY_PORT, "3128"),
            (PROXY_USER, "user"),
            (PROXY_PASSWORD, "s3cret"),
        ];
        let shown = format!("{:?}", settings("https://c/api/", &properties).unwrap());
        assert!(
            shown.contains("https://c/api\"") && !shown.contains("s3cret"),
            "{shown}"
        );
    }

    #[test]
    fn tokens_are_asked_for_where_the_catalog_is_unless_it_is_said() {
        let server = |properties: &[(&str, &str)]| match settings("https://c/api/", properties).unwrap().login
        {
            Login::Credential(credential) => credential.server.to_string(),
            _ => panic!("{properties:?}"),
        };
        assert_eq!(server(&[("credential", "a:b")]), "https://c/api/v1/oauth/tokens");
        let elsewhere = [
            ("credential", "a:b"),
            ("oauth2-server-uri", "https://id.example.com/token"),
        ];
        assert_eq!(server(&elsewhere), "https://id.example.com/token");
    }
}
