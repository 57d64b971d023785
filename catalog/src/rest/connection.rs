//! One request and its answer. What changes nothing is asked again when an answer is lost; what changes something is sent
//! once, and whoever sent it looks what has become of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Client, Url};
use serde::de::DeserializeOwned;
use tabletopic_clock::Clock;
use tabletopic_http::{ClientError, body, cause, client, explain};

use super::aws::AwsSigner;
use super::failure::{Failure, Refused};
use super::login::Badge;
use super::settings::{RestSettings, shown, under};

/// For a request with its answer. A server waits for its own store meanwhile.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of one answer: the metadata of a table with many thousand snapshots or columns.
const LONGEST_ANSWER: usize = 128 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    base: Url,
    headers: HeaderMap,
    badge: Badge,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Beside those of every request.
    pub(super) headers: HeaderMap,
    /// JSON.
    pub(super) body: Option<Bytes>,
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// # Errors
    /// It is not what the specification has there; whether it was carried out is not known.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::Unanswered(format!("its answer cannot be understood: {error}")))
    }
}

impl Connection {
    /// # Errors
    /// No client can be made with these settings.
    pub(super) fn new(
        settings: &RestSettings,
        signer: Option<AwsSigner>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let proxy = settings.proxy.as_ref().map(|proxy| {
            let through = reqwest::Proxy::all(proxy.url.clone())?;
            Ok(match &proxy.login {
                Some((user, password)) => through.basic_auth(user, password),
                None => through,
            })
        });
        let proxy: Result<_, reqwest::Error> = proxy.transpose();
        let proxy = proxy.map_err(|error| ClientError::Other(cause(&error).to_string()))?;
        let client = client(&settings.tls, proxy, TIMEOUT)?;
        Ok(Self {
            badge: Badge::new(&settings.login, signer, client.clone(), clock)?,
            client,
            base: settings.uri.clone(),
            headers: settings.headers.clone(),
        })
    }

    /// The same, as the server wants it: with its paths under `base`, and these headers.
    pub(super) fn agreed(self, base: Url, headers: HeaderMap) -> Self {
        Self {
            base,
            headers,
            ..self
        }
    }

    /// What its paths are below.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    pub(super) fn uri(&self) -> &str {
        shown(&self.base)
    }

    /// Both below the catalog's URI and encoded, the query without its question mark.
    pub(super) fn url(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = under(&self.base, path);
        url.set_query(query);
        url
    }

    /// Asks for something that is there, again and again for a while.
    pub(super) async fn read(&self, path: &str, query: Option<&str>) -> Result<Answer, Failure> {
        let asked = Asked {
            method: Method::GET,
            url: self.url(path, query),
            headers: HeaderMap::new(),
            body: None,
        };
        self.patiently(&asked).await
    }

    /// The same, of something whose version with the tag `known` need not be sent: where it still is that one, this is
    /// a failure that [says so](Failure::is_unchanged).
    pub(super) async fn read_since(
        &self,
        path: &str,
        known: Option<&HeaderValue>,
    ) -> Result<Answer, Failure> {
        let asked = Asked {
            method: Method::GET,
            url: self.url(path, None),
            headers: known
                .map(|etag| (IF_NONE_MATCH, etag.clone()))
                .into_iter()
                .collect(),
            body: None,
        };
        self.patiently(&asked).await
    }

    /// Sends what changes nothing, again and again for a while.
    pub(super) async fn patiently(&self, asked: &Asked) -> Result<Answer, Failure> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let failure = match self.send(asked).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match failure.pause(attempt) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failure),
            }
        }
    }

    /// Sends a request: once, or once more with a new token when the server takes the old one for ended.
    pub(super) async fn send(&self, asked: &Asked) -> Result<Answer, Failure> {
        let shown = self.badge.show().await?;
        match self.exchange(asked, shown.as_ref()).await {
            Err(Failure::Refused(refused)) if matches!(refused.status.as_u16(), 401 | 419) => {
                match self.badge.renew(shown.as_ref()).await? {
                    Some(fresh) => self.exchange(asked, Some(&fresh)).await,
                    None => Err(Failure::Refused(refused)),
                }
            }
            answered => answered,
        }
    }

    async fn exchange(&self, asked: &Asked, shown: Option<&HeaderValue>) -> Result<Answer, Failure> {
        let mut headers = self.headers.clone();
        if let Some(shown) = shown {
            headers.insert(AUTHORIZATION, shown.clone());
        }
        if asked.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.extend(asked.headers.clone());
        if let Badge::Aws(signer) = &self.badge {
            headers = signer
                .sign(&asked.method, &asked.url, &headers, asked.body.as_ref())
                .await?;
        }
        let request = self.client.request(asked.method.clone(), asked.url.clone());
        let request = request.headers(headers);
        let request = match &asked.body {
            Some(body) => request.body(body.clone()),
            None => request,
        };
        let response = request.send().await.map_err(|error| match error.is_connect() {
            true => Failure::NotSent(explain(&error)),
            false => Failure::Unanswered(explain(&error)),
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = body(response, LONGEST_ANSWER).await;
        match body {
            Ok(body) if status.is_success() => Ok(Answer { headers, body }),
            Ok(body) => Err(Failure::Refused(Refused::new(status, &headers, &body))),
            Err(words) if status.is_success() || status == StatusCode::CONFLICT => {
                Err(Failure::Unanswered(words))
            }
            Err(_) => Err(Failure::Refused(Refused::new(status, &headers, b""))),
        }
    }
}
