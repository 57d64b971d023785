//! `[catalog]` with `type = "postgres"`: the database, and how it is connected to.

use std::ops::Range;

use tabletopic_catalog::Server;
use tabletopic_http::Tls;
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::reference::References;
use super::secret::Secret;
use super::{raw, required, tls};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    pub server: Server,
    pub password: Option<Secret>,
    pub tls: Tls,
}

impl Postgres {
    pub fn validate(
        raw: raw::Catalog,
        section: Range<usize>,
        document: &Document<'_>,
        references: &References<'_>,
    ) -> Result<Self, Problem> {
        let uri = required(
            document,
            raw.uri,
            Some(section),
            "catalog.uri",
            "write user, host and database such as uri = \"postgres://lake@db.example.com:5432/lake\"",
        )?;
        let server =
            Server::parse(uri.get_ref()).map_err(|message| document.problem_at(uri.span(), message))?;
        if let Some(property) = raw.properties.0.values().next() {
            let message = "a database needs none; remove it, or write type = \"rest\"";
            return Err(document.problem_at(property.span(), message.to_owned()));
        }
        if let Some(span) = tls::said(raw.tls.as_ref()).filter(|_| !server.is_encrypted()) {
            let message = "with sslmode=disable in `uri` it has no meaning; remove one of the two";
            return Err(document.problem_at(span, message.to_owned()));
        }
        let tls = raw.tls.map(Spanned::into_inner).unwrap_or_default();
        if let Some(ca) = tls.ca.as_ref().filter(|_| !server.is_verified()) {
            let message = "nobody looks at it with sslmode=require in `uri`; write sslmode=verify-full there";
            return Err(document.problem_at(ca.span(), message.to_owned()));
        }
        let tls = tls::validate(tls, document, references)?;
        Ok(Self {
            server,
            password: raw.password.map(Spanned::into_inner),
            tls,
        })
    }
}
