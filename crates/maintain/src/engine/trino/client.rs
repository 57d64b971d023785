//! Trino's client protocol: a statement is sent, and its answers are followed to the last
//! (<https://trino.io/docs/current/develop/client-protocol.html>).

use std::fmt;
use std::time::Duration;

use futures::future::{Either, select};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use tabletopic_http::{Tls, body, client, explain};
use tokio::time::{Instant, sleep};

use super::TrinoError;

/// Of one request: Trino holds an answer back for a second or so.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Between two tries, as the protocol says it.
const PAUSE: Duration = Duration::from_millis(100);
/// So long a statement is asked for that nobody answers for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of an answer at most: these statements answer with a few rows.
const LONGEST: usize = 16 << 20;
/// Characters of an answer that was not expected.
const SHOWN: usize = 300;

/// How a Trino is reached.
#[derive(Clone)]
pub struct Settings {
    /// Such as `https://trino.example.com:8443`.
    pub url: String,
    pub user: String,
    pub password: Option<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A client of one Trino.
#[derive(Debug)]
pub struct Connection {
    http: Client,
    url: Url,
    settings: Settings,
}

/// What is asked next.
enum Ask<'a> {
    Begin(&'a str),
    Next(Url),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    id: String,
    next_uri: Option<String>,
    error: Option<Failure>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    message: String,
}

impl Connection {
    /// # Errors
    /// A URL that is none, or would carry a password in plain text.
    pub fn new(settings: Settings) -> Result<Self, TrinoError> {
        let wrong = |why: &str| Err(TrinoError::Url(why.to_owned()));
        let url = match Url::parse(&settings.url) {
            Ok(url) => url,
            Err(error) => return wrong(&error.to_string()),
        };
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return wrong("write it as https://trino.example.com:8443");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("write the user as --trino-user, and the password into a file");
        }
        if settings.password.is_some() && url.scheme() != "https" {
            return wrong("a password is only sent over https://");
        }
        let http = client(&Tls::default(), None, TIMEOUT)?;
        Ok(Self { http, url, settings })
    }

    /// Runs a statement to its end, and answers the id of the query. When `stop` comes first, the query is cancelled.
    ///
    /// # Errors
    /// What Trino says of the query; those of reaching it.
    pub async fn run(
        &self,
        statement: &str,
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<String, TrinoError> {
        let mut ask = Ask::Begin(statement);
        let mut begun = None;
        loop {
            // What was stopped before begins nothing more.
            let answer = match select(&mut *stop, Box::pin(self.answer(&ask))).await {
                Either::Right((answer, _)) => answer?,
                Either::Left(((), _)) => {
                    if let Ask::Next(next) = &ask {
                        self.cancel(next.clone()).await;
                    }
                    return Err(TrinoError::Stopped { query_id: begun });
                }
            };
            if let Some(failure) = answer.error {
                return Err(TrinoError::Query {
                    query_id: answer.id,
                    statement: statement.to_owned(),
                    message: failure.message,
                });
            }
            let Some(next) = answer.next_uri else {
                return Ok(answer.id);
            };
            ask = Ask::Next(self.next(&next)?);
            begun = Some(answer.id);
        }
    }

    /// The next address, which has to be on the same host.
    fn next(&self, next: &str) -> Result<Url, TrinoError> {
        let url = Url::parse(next)
            .ok()
            .filter(|url| url.origin() == self.url.origin());
        url.ok_or_else(|| TrinoError::Elsewhere {
            url: self.settings.url.clone(),
            next: next.to_owned(),
        })
    }

    async fn answer(&self, ask: &Ask<'_>) -> Result<Answer, TrinoError> {
        let response = self.patiently(ask).await?;
        let no_trino = |why: String| TrinoError::NotTrino {
            url: self.settings.url.clone(),
            why,
        };
        let body = body(response, LONGEST).await.map_err(no_trino)?;
        serde_json::from_slice(&body).map_err(|error| no_trino(error.to_string()))
    }

    /// Repeats what a gateway in front of Trino refuses for now; and questions that got no answer, which can be asked
    /// twice, but no statement.
    async fn patiently(&self, ask: &Ask<'_>) -> Result<Response, TrinoError> {
        let began = Instant::now();
        loop {
            let why = match (self.request(ask).send().await, ask) {
                (Ok(response), _) if response.status() == StatusCode::OK => return Ok(response),
                (Ok(response), _) if is_busy(response.status()) => {
                    format!("it answers {}", response.status())
                }
                (Ok(response), _) => return Err(self.refused(response).await),
                (Err(error), Ask::Begin(_)) => return Err(self.unreachable(explain(&error), began)),
                (Err(error), Ask::Next(_)) => explain(&error),
            };
            if began.elapsed() > PATIENCE {
                return Err(self.unreachable(why, began));
            }
            tracing::debug!("Trino is asked again: {why}");
            sleep(PAUSE).await;
        }
    }

    fn request(&self, ask: &Ask<'_>) -> RequestBuilder {
        let request = match ask {
            Ask::Begin(statement) => {
                let mut url = self.url.clone();
                url.set_path(&format!("{}/v1/statement", url.path().trim_end_matches('/')));
                self.http.post(url).body((*statement).to_owned())
            }
            Ask::Next(next) => self.http.get(next.clone()),
        };
        self.by_us(request)
    }

    /// With who asks.
    fn by_us(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request
            .header("X-Trino-User", &self.settings.user)
            .header("X-Trino-Source", "tabletopic");
        match &self.settings.password {
            Some(password) => request.basic_auth(&self.settings.user, Some(password)),
            None => request,
        }
    }

    async fn cancel(&self, next: Url) {
        if let Err(error) = self.by_us(self.http.delete(next)).send().await {
            tracing::warn!("Trino could not be told to cancel the query: {}", explain(&error));
        }
    }

    async fn refused(&self, response: Response) -> TrinoError {
        let status = response.status().as_u16();
        let words = match body(response, LONGEST).await {
            Ok(body) => String::from_utf8_lossy(&body).chars().take(SHOWN).collect(),
            Err(why) => why,
        };
        let words = match status {
            401 | 403 => format!("correct --trino-user and --trino-password-file: {words}"),
            _ => words,
        };
        TrinoError::Refused {
            url: self.settings.url.clone(),
            status,
            words,
        }
    }

    fn unreachable(&self, why: String, since: Instant) -> TrinoError {
        TrinoError::Unreachable {
            url: self.settings.url.clone(),
            why,
            seconds: since.elapsed().as_secs(),
        }
    }
}

/// What a gateway says for a server that is busy or restarts; Trino itself does not.
fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}
