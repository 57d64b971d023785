//! `[registry]`: where the schemas are that records name.

use std::time::Duration;

use serde::Deserialize;
use tabletopic_decode::{self as decode, ApicurioIds};
use tabletopic_registry::{Api, ApicurioVersion, Credentials, RegistrySettings, Tls};
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::reference::References;
use super::secret::Secret;
use super::units::Interval;
use super::{raw, tls};

/// How records name their schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    Confluent,
    ConfluentHeader,
    Apicurio,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    pub api: Api,
    /// How the records of its serializers name their schemas.
    pub framing: decode::Framing,
    /// Not empty; [`RegistrySettings`] accepts them.
    pub urls: Vec<String>,
    pub login: Option<Login>,
    pub tls: Tls,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    Basic { username: String, password: Secret },
    Bearer(Secret),
}

impl Registry {
    /// `None` where no URL is named.
    pub fn validate(
        raw: raw::Registry,
        document: &Document<'_>,
        references: &References<'_>,
    ) -> Result<Option<Self>, Problem> {
        let secret = [&raw.password, &raw.token].into_iter().flatten().next();
        let login = raw
            .username
            .as_ref()
            .map(Spanned::span)
            .or(secret.map(Spanned::span));
        let urls = raw.urls.filter(|urls| !urls.get_ref().is_empty());
        let Some(urls) = urls else {
            return match login {
                None => Ok(None),
                Some(span) => Err(document.problem_at(
                    span,
                    "there is no registry to log in to; add urls = [\"http://localhost:8081\"]".to_owned(),
                )),
            };
        };
        let login = match (raw.username, raw.password, raw.token) {
            (None, None, None) => None,
            (Some(username), Some(password), None) => Some(Login::Basic {
                username: username.into_inner(),
                password: password.into_inner(),
            }),
            (None, None, Some(token)) => Some(Login::Bearer(token.into_inner())),
            _ => {
                let message = "write username and password, or a token alone";
                return Err(document.problem_at(login.unwrap_or(urls.span()), message.to_owned()));
            }
        };
        let encrypted = urls.get_ref().iter().any(|url| url.starts_with("https:"));
        let tls = match raw.tls {
            Some(tls) if !encrypted => {
                let message = "none of `urls` begins with https://, so tls has no meaning; remove it";
                return Err(document.problem_at(tls.span(), message.to_owned()));
            }
            Some(tls) => tls::validate(tls.into_inner(), document, references)?,
            None => Tls::default(),
        };
        let api = raw.api.unwrap_or_default();
        let registry = Self {
            api,
            framing: decode::Framing::default(),
            urls: urls.get_ref().clone(),
            login,
            tls,
            timeout: raw
                .timeout
                .map_or(Duration::from_secs(10), |Interval(timeout)| timeout),
        };
        match registry.settings().validate() {
            Ok(()) => Ok(Some(Self {
                framing: framing(&registry.settings(), raw.framing, raw.ids, document)?,
                ..registry
            })),
            Err(error) => Err(document.problem_at(urls.span(), error.to_string())),
        }
    }

    pub fn settings(&self) -> RegistrySettings {
        RegistrySettings {
            api: self.api,
            urls: self.urls.clone(),
            credentials: self.login.as_ref().map(|login| match login {
                Login::Basic { username, password } => Credentials::Basic {
                    username: username.clone(),
                    password: password.reveal().to_owned(),
                },
                Login::Bearer(token) => Credentials::Bearer(token.reveal().to_owned()),
            }),
            tls: self.tls.clone(),
            timeout: self.timeout,
        }
    }
}

/// How records name their schemas: as the serializers of this kind of registry do it, unless it is said.
fn framing(
    registry: &RegistrySettings,
    framing: Option<Spanned<Framing>>,
    ids: Option<Spanned<ApicurioIds>>,
    document: &Document<'_>,
) -> Result<decode::Framing, Problem> {
    let usual = match registry.api {
        Api::Confluent => Framing::Confluent,
        Api::Apicurio => Framing::Apicurio,
    };
    let said = framing.as_ref().map_or(usual, |framing| *framing.get_ref());
    if let Some(framing) =
        framing.filter(|_| said == Framing::ConfluentHeader && registry.api == Api::Apicurio)
    {
        let message =
            "has GUIDs of Confluent's, which Apicurio's API does not know; write api = \"confluent\"";
        return Err(document.problem_at(framing.span(), message.to_owned()));
    }
    let problem =
        |ids: &Spanned<ApicurioIds>, message: &str| Err(document.problem_at(ids.span(), message.to_owned()));
    match (said, &ids) {
        (Framing::Confluent, None) => Ok(decode::Framing::Confluent),
        (Framing::ConfluentHeader, None) => Ok(decode::Framing::ConfluentHeader),
        (Framing::Confluent | Framing::ConfluentHeader, Some(ids)) => {
            problem(ids, "is for framing = \"apicurio\"; remove it")
        }
        (Framing::Apicurio, Some(ids))
            if registry.api == Api::Confluent && *ids.get_ref() == ApicurioIds::Global =>
        {
            problem(
                ids,
                "Confluent's API knows no global ids; write api = \"apicurio\" and the URLs of Apicurio's own API",
            )
        }
        (Framing::Apicurio, Some(ids)) => Ok(decode::Framing::Apicurio(*ids.get_ref())),
        (Framing::Apicurio, None) => Ok(decode::Framing::Apicurio(match registry.api {
            Api::Apicurio if registry.apicurio_version() == Ok(ApicurioVersion::V2) => ApicurioIds::Global,
            Api::Apicurio | Api::Confluent => ApicurioIds::Content,
        })),
    }
}
