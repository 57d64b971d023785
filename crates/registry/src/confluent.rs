//! The Confluent Schema Registry's API, which others (Apicurio, Karapace, Redpanda) serve too.
//!
//! Nothing that comes back is believed before it has the shape of an answer: a proxy's error page is an outage, and
//! only the registry's own "schema not found" says that there is none.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::settings::{Credentials, RegistrySettings, SettingsError};
use crate::{Answer, Outage, ReferencedSchema, RegisteredSchema, Registry, Versioned};

/// Bytes of one answer.
const LONGEST_ANSWER: usize = 4 << 20;

/// Schemas that one refers to, directly or not.
const MOST_REFERENCES: usize = 200;

const CONNECT: Duration = Duration::from_secs(5);

/// The API's own codes.
const NO_SUBJECT: u32 = 40_401;
const NO_VERSION: u32 = 40_402;
const NO_SCHEMA: u32 = 40_403;

/// Versions that were deleted since are still what records were written with.
const DELETED: Option<&str> = Some("deleted=true");

/// See the module.
#[derive(Debug)]
pub struct Confluent {
    client: Client,
    /// Not empty.
    urls: Vec<Url>,
    credentials: Option<Credentials>,
    /// Which URL answered last.
    preferred: AtomicUsize,
}

impl Confluent {
    /// # Errors
    /// Settings that no registry can be reached with.
    pub fn new(settings: &RegistrySettings) -> Result<Self, SettingsError> {
        let client = Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(CONNECT)
            // What a redirect leads to was not configured, and would be sent the credentials.
            .redirect(redirect::Policy::none())
            .no_proxy();
        let client = settings
            .tls
            .apply(client)?
            .build()
            .map_err(|error| SettingsError::Client(cause(&error).to_string()))?;
        Ok(Self {
            client,
            urls: settings.parsed_urls()?,
            credentials: settings.credentials.clone(),
            preferred: AtomicUsize::new(0),
        })
    }

    /// Asks the URLs in turn for what is under `path`. It is not there if all that answer say so: one of several may
    /// be behind the others.
    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        absent: &[u32],
        query: Option<&str>,
    ) -> Result<Option<T>, Outage> {
        let first = self.preferred.load(Ordering::Relaxed);
        let (mut is_absent, mut outages) = (false, Vec::new());
        for turn in 0..self.urls.len() {
            let number = (first + turn) % self.urls.len();
            match self.get_from(&self.urls[number], path, absent, query).await {
                Ok(Some(found)) => {
                    self.preferred.store(number, Ordering::Relaxed);
                    return Ok(Some(found));
                }
                Ok(None) => is_absent = true,
                Err(Outage(message)) => outages.push(message),
            }
        }
        match is_absent {
            true => Ok(None),
            false => Err(Outage(outages.join("; "))),
        }
    }

    async fn get_from<T: DeserializeOwned>(
        &self,
        base: &Url,
        path: &[&str],
        absent: &[u32],
        query: Option<&str>,
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
        let body = body(response).await.map_err(outage)?;
        match status {
            StatusCode::OK => match serde_json::from_slice(&body) {
                Ok(answer) => Ok(Some(answer)),
                Err(_) => Err(outage(
                    "it answers what no schema registry answers; correct `urls`, or look at what is in between"
                        .to_owned(),
                )),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(outage(format!("it refuses the credentials ({status}); correct them")))
            }
            StatusCode::NOT_FOUND => match serde_json::from_slice::<ApiError>(&body) {
                Ok(error) if absent.contains(&error.error_code) => Ok(None),
                _ => Err(outage(
                    "there is no schema registry (404); correct the path in `urls`".to_owned(),
                )),
            },
            status => Err(outage(format!("it answers {status}"))),
        }
    }
}

#[async_trait]
impl Registry for Confluent {
    async fn schema(&self, id: u32) -> Result<Answer, Outage> {
        let number = id.to_string();
        let path = ["schemas", "ids", &number];
        match self.get::<Schema>(&path, &[NO_SCHEMA], DELETED).await? {
            Some(root) => self.whole(root).await,
            None => Ok(Answer::NoSuchId),
        }
    }

    async fn version(&self, subject: &str, version: Option<u32>) -> Result<Versioned, Outage> {
        let number = version.map(|version| version.to_string());
        let path = [
            "subjects",
            subject,
            "versions",
            number.as_deref().unwrap_or("latest"),
        ];
        // What was deleted is not what comes next.
        match self
            .get::<SubjectVersion>(&path, &[NO_SUBJECT, NO_VERSION], None)
            .await?
        {
            Some(found) => Ok(Versioned::Version(found.version, self.whole(found.schema).await?)),
            None => Ok(Versioned::NoSuchVersion),
        }
    }
}

impl Confluent {
    /// A schema with everything that it refers to.
    async fn whole(&self, root: Schema) -> Result<Answer, Outage> {
        let mut references = Vec::new();
        let mut known = BTreeSet::new();
        let mut left = VecDeque::from(root.references);
        while let Some(reference) = left.pop_front() {
            let Reference {
                name,
                subject,
                version,
            } = &reference;
            if known.contains(&reference) {
                continue;
            }
            if known.len() == MOST_REFERENCES {
                return Ok(Answer::Unusable(format!(
                    "it refers to more than {MOST_REFERENCES} schemas"
                )));
            }
            let number = version.to_string();
            let path = ["subjects", subject, "versions", &number];
            let Some(schema) = self
                .get::<Schema>(&path, &[NO_SUBJECT, NO_VERSION], DELETED)
                .await?
            else {
                let problem = format!(
                    "it refers to version {version} of subject {subject}, which the registry does not have"
                );
                return Ok(Answer::Unusable(problem));
            };
            references.push(ReferencedSchema {
                name: name.clone(),
                text: schema.schema,
            });
            known.insert(reference);
            left.extend(schema.references);
        }
        Ok(Answer::Schema(RegisteredSchema {
            kind: root.kind.unwrap_or_else(|| "AVRO".to_owned()),
            text: root.schema,
            references,
        }))
    }
}

#[derive(Deserialize)]
struct SubjectVersion {
    version: u32,
    #[serde(flatten)]
    schema: Schema,
}

#[derive(Deserialize)]
struct Schema {
    schema: String,
    #[serde(rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

#[derive(Deserialize)]
struct ApiError {
    error_code: u32,
}

async fn body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| explain(&error))? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(format!("its answer has more than {LONGEST_ANSWER} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// reqwest's own words name the URL and leave out the cause.
fn explain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    format!("it cannot be reached: {}", cause(error))
}

fn cause<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}
