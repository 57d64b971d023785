//! Tokens for client credentials (OAuth 2.0, RFC 6749, 4.4), each asked for before the one in use ends.

use std::sync::Arc;

use form_urlencoded::Serializer;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use reqwest::Client;
use serde::Deserialize;
use tabletopic_clock::{Clock, Millis};
use tabletopic_http::{body, explain};
use tokio::sync::Mutex;

use super::failure::{Failure, Refused};
use super::login::bearer;
use super::settings::Credential;

/// Bytes of an answer.
const LONGEST_ANSWER: usize = 1 << 20;

/// A token is renewed so long before it ends, or a tenth of its life, whichever is longer; but not in the first half of it.
const MARGIN: Millis = 60_000;

/// The tokens of one client. Whoever needs one while another is being asked for waits for that.
pub(super) struct Tokens {
    credential: Credential,
    client: Client,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Held>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.credential.server)
    }
}

struct Held {
    header: HeaderValue,
    /// When it is renewed, and when it ends. `None`: when the catalog refuses it.
    lasts: Option<(Millis, Millis)>,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: String,
    /// Seconds.
    expires_in: Option<Millis>,
}

/// RFC 6749, 5.2.
#[derive(Deserialize)]
struct NotGiven {
    error: String,
    error_description: Option<String>,
}

impl Tokens {
    pub(super) fn new(credential: Credential, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            credential,
            client,
            clock,
            held: Mutex::new(None),
        }
    }

    /// A token that is good for a while.
    pub(super) async fn current(&self) -> Result<HeaderValue, Failure> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        let good_until = match &*held {
            Some(Held { header, lasts: None }) => return Ok(header.clone()),
            Some(Held {
                header,
                lasts: Some((renewed, _)),
            }) if now < *renewed => return Ok(header.clone()),
            Some(Held {
                lasts: Some((_, end)),
                ..
            }) => *end,
            None => Millis::MIN,
        };
        match (self.ask().await, &*held) {
            (Ok(given), _) => Ok(held.insert(given).header.clone()),
            (Err(failure), Some(old)) if now < good_until => {
                tracing::warn!("going on with the catalog's token that ends soon: {failure}");
                Ok(old.header.clone())
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// A token in the place of one that the catalog has refused.
    pub(super) async fn instead_of(&self, refused: &HeaderValue) -> Result<HeaderValue, Failure> {
        let mut held = self.held.lock().await;
        match &*held {
            // Somebody else was told before.
            Some(newer) if newer.header != refused => Ok(newer.header.clone()),
            _ => {
                let given = self.ask().await?;
                Ok(held.insert(given).header.clone())
            }
        }
    }

    async fn ask(&self) -> Result<Held, Failure> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let failure = match self.ask_once().await {
                Ok(given) => return Ok(given),
                Err(failure) => failure,
            };
            match failure.pause(attempt) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(self.without_token(&failure)),
            }
        }
    }

    /// For whoever needed the token.
    fn without_token(&self, failure: &Failure) -> Failure {
        let refused = match failure {
            Failure::NoToken { refused, .. } => *refused,
            _ => false,
        };
        Failure::NoToken {
            words: format!("{} gives no token: {failure}", self.credential.server),
            refused,
        }
    }

    /// What the endpoint is sent.
    fn form(&self) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(id) = &self.credential.id {
            form.append_pair("client_id", id);
        }
        form.append_pair("client_secret", &self.credential.secret);
        form.extend_pairs(&self.credential.more);
        form.finish()
    }

    async fn ask_once(&self) -> Result<Held, Failure> {
        let asked = self.clock.now();
        let request = self.client.post(self.credential.server.clone());
        let request = request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(self.form());
        let response = request
            .send()
            .await
            .map_err(|error| Failure::NotSent(explain(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = body(response, LONGEST_ANSWER)
            .await
            .map_err(Failure::Unanswered)?;
        match status.is_success() {
            true => held(&body, asked),
            false => Err(not_given(status, &headers, &body)),
        }
    }
}

fn held(body: &[u8], asked: Millis) -> Result<Held, Failure> {
    let odd = |words: &str| Failure::NoToken {
        words: words.to_owned(),
        refused: false,
    };
    let given: Given = serde_json::from_slice(body)
        .map_err(|_| odd("its answer is none of OAuth2's; correct oauth2-server-uri"))?;
    if !given.token_type.eq_ignore_ascii_case("bearer") {
        return Err(odd("its tokens are of another type than bearer tokens"));
    }
    let lasts = given.expires_in.filter(|seconds| *seconds > 0).map(|seconds| {
        let life = seconds.saturating_mul(1000);
        let margin = MARGIN.max(life / 10).min(life / 2);
        let end = asked.saturating_add(life);
        (end - margin, end)
    });
    Ok(Held {
        header: bearer(&given.access_token).map_err(|words| odd(&words))?,
        lasts,
    })
}

/// Either in OAuth2's words, or in the catalog's.
fn not_given(status: http::StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    match serde_json::from_slice(body) {
        Ok(NotGiven {
            error,
            error_description,
        }) if status.is_client_error() => {
            let words = format!("{error}: {}", error_description.unwrap_or_default());
            let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
            Failure::NoToken {
                words: format!(
                    "it answers {status}, {}; correct credential and scope",
                    plain.take(500).collect::<String>()
                ),
                refused: true,
            }
        }
        _ => Failure::Refused(Refused::new(status, headers, body)),
    }
}
