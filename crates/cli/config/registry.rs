//! `[registry]`: where the schemas are that records name.

use std::time::Duration;

use tabletopic_registry::{ClientCertificate, Credentials, RegistrySettings, Tls};
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::raw;
use super::reference::References;
use super::secret::Secret;
use super::units::Interval;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
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
            Some(tls) => validate_tls(tls.into_inner(), document, references)?,
            None => Tls::default(),
        };
        let registry = Self {
            urls: urls.get_ref().clone(),
            login,
            tls,
            timeout: raw
                .timeout
                .map_or(Duration::from_secs(10), |Interval(timeout)| timeout),
        };
        match registry.settings().validate() {
            Ok(()) => Ok(Some(registry)),
            Err(error) => Err(document.problem_at(urls.span(), error.to_string())),
        }
    }

    pub fn settings(&self) -> RegistrySettings {
        RegistrySettings {
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

fn validate_tls(raw: raw::Tls, document: &Document<'_>, references: &References<'_>) -> Result<Tls, Problem> {
    let client = match (raw.certificate, raw.key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(ClientCertificate {
            certificate: references.folder.join(certificate.get_ref()),
            key: references.folder.join(key.get_ref()),
        }),
        (Some(one), None) | (None, Some(one)) => {
            let message = "write certificate and key, each the path of a PEM file, or neither";
            return Err(document.problem_at(one.span(), message.to_owned()));
        }
    };
    Ok(Tls {
        ca: raw.ca.map(|ca| references.folder.join(ca)),
        client,
    })
}
