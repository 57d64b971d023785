//! One question to a registry over HTTP, asked at each of its URLs until one answers.
//!
//! Nothing that comes back is believed before it has the shape of an answer: a proxy's error page is an outage, and
//! only the registry's own words say that there is no such thing.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::{Client, StatusCode, Url};
use serde::de::DeserializeOwned;
use tabletopic_http::{body, client, explain};

use crate::Outage;
use crate::settings::{Credentials, RegistrySettings, SettingsError};

/// Bytes of one answer.
const LONGEST_ANSWER: usize = 4 << 20;

/// The client of one registry.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    /// Not empty.
    urls: Vec<Url>,
    credentials: Option<Credentials>,
    /// Which URL answered last.
    preferred: AtomicUsize,
}

impl Http {
    /// # Errors
    /// Settings that no registry can be reached with.
    pub fn new(settings: &RegistrySettings) -> Result<Self, SettingsError> {
        Ok(Self {
            client: client(&settings.tls, None, settings.timeout)?,
            urls: settings.parsed_urls()?,
            credentials: settings.credentials.clone(),
            preferred: AtomicUsize::new(0),
        })
    }

    /// Asks the URLs in turn for what is under `path`, which `read` understands or not. It is not there if all that
    /// answer say so, in words that `is_absent` knows: one of several may be behind the others.
    pub async fn get<T>(
        &self,
        path: &[&str],
        query: Option<&str>,
        read: impl Fn(&[u8]) -> Option<T>,
        is_absent: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<T>, Outage> {
        // These are no names in a URL, however they are written: another path would be asked for.
        if path.iter().any(|name| matches!(*name, "." | "..")) {
            return Ok(None);
        }
        let first = self.preferred.load(Ordering::Relaxed);
        let (mut absent, mut outages) = (false, Vec::new());
        for turn in 0..self.urls.len() {
            let number = (first + turn) % self.urls.len();
            match self
                .get_from(&self.urls[number], path, query, &read, &is_absent)
                .await
            {
                Ok(Some(found)) => {
                    self.preferred.store(number, Ordering::Relaxed);
                    return Ok(Some(found));
                }
                Ok(None) => absent = true,
                Err(Outage(message)) => outages.push(message),
            }
        }
        match absent {
            true => Ok(None),
            false => Err(Outage(outages.join("; "))),
        }
    }

    async fn get_from<T>(
        &self,
        base: &Url,
        path: &[&str],
        query: Option<&str>,
        read: &impl Fn(&[u8]) -> Option<T>,
        is_absent: &impl Fn(&[u8]) -> bool,
    ) -> Result<Option<T>, Outage> {
        let outage = |problem: String| Outage(format!("registry {base}: {problem}"));
        let mut url = base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(path)),
            Err(()) => return Err(outage("its URL has no path".to_owned())),
        }
        url.set_query(query);
        let request = self.client.get(url);
        let request = match &self.credentials {
            None => request,
            Some(Credentials::Basic { username, password }) => request.basic_auth(username, Some(password)),
            Some(Credentials::Bearer(token)) => request.bearer_auth(token),
        };
        let response = request.send().await.map_err(|error| outage(explain(&error)))?;
        let status = response.status();
        let body = body(response, LONGEST_ANSWER).await.map_err(outage)?;
        match status {
            StatusCode::OK => match read(&body) {
                Some(answer) => Ok(Some(answer)),
                None => Err(outage(
                    "it answers what no schema registry answers; correct `urls`, or look at what is in between"
                        .to_owned(),
                )),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(outage(format!("it refuses the credentials ({status}); correct them")))
            }
            StatusCode::NOT_FOUND if is_absent(&body) => Ok(None),
            StatusCode::NOT_FOUND => Err(outage(
                "there is no schema registry (404); correct the path in `urls`".to_owned(),
            )),
            status => Err(outage(format!("it answers {status}"))),
        }
    }
}

/// What an API in JSON answers.
pub(crate) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}
