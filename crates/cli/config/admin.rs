//! `[admin]`: where the process answers operators, probes and collectors over HTTP.

use std::net::SocketAddr;

use tabletopic_server::{Listen, Token};
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::raw;
use super::secret::Secret;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Nowhere, if `None`.
    pub listen: Option<Listen>,
    /// Asked of everybody. Always there where others than this host's programs can ask; [`Token`] accepts it.
    pub token: Option<Secret>,
}

impl Admin {
    pub fn validate(raw: raw::Admin, document: &Document<'_>) -> Result<Self, Problem> {
        if let Some(token) = &raw.token
            && let Err(weak) = Token::new(token.get_ref().reveal())
        {
            return Err(document.problem_at(token.span(), weak.to_string()));
        }
        Ok(Self {
            listen: match raw.listen {
                None => Some(Listen::Preferred),
                Some(listen) => address(&listen, raw.token.is_some(), document)?,
            },
            token: raw.token.map(Spanned::into_inner),
        })
    }
}

fn address(
    listen: &Spanned<String>,
    token: bool,
    document: &Document<'_>,
) -> Result<Option<Listen>, Problem> {
    let text = listen.get_ref();
    if text == "off" {
        return Ok(None);
    }
    match reachable_by(text, token, "\"127.0.0.1:8484\", \"[::1]:8484\", or \"off\"") {
        Ok(address) => Ok(Some(Listen::At(address))),
        Err(message) => Err(document.problem_at(listen.span(), message)),
    }
}

/// An address, which others than this host may reach only with a token. Or what is wrong with it, and `examples`.
pub fn reachable_by(text: &str, token: bool, examples: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if token || address.ip().is_loopback() => Ok(address),
        Ok(_) => Err(format!(
            "other hosts can reach `{text}`; add a token, such as token = \"${{env:TABLETOPIC_TOKEN}}\", or listen on \
             127.0.0.1"
        )),
        Err(_) => Err(format!("`{text}` is no address; write for example {examples}")),
    }
}
