//! `[catalog.serve]`: where the catalog is served to engines.

use std::net::SocketAddr;

use tabletopic_server::Token;
use toml::Spanned;

use super::admin::reachable_by;
use super::document::Document;
use super::error::Problem;
use super::raw;
use super::reference::References;
use super::secret::Secret;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serve {
    pub listen: SocketAddr,
    /// Asked of everybody. Always there where others than this host's programs can ask; [`Token`] accepts it.
    pub token: Option<Secret>,
    /// Beside the warehouse, where engines may have tables: URIs, and paths.
    pub locations: Vec<String>,
}

/// Where Iceberg's REST catalogs are by custom.
const PREFERRED: &str = "127.0.0.1:8181";
const EXAMPLES: &str = "\"127.0.0.1:8181\", or \"[::1]:8181\"";

impl Serve {
    pub fn validate(
        raw: raw::Serve,
        document: &Document<'_>,
        references: &References<'_>,
    ) -> Result<Self, Problem> {
        if let Some(token) = &raw.token
            && let Err(weak) = Token::new(token.get_ref().reveal())
        {
            return Err(document.problem_at(token.span(), weak.to_string()));
        }
        let listen = raw
            .listen
            .unwrap_or_else(|| Spanned::new(0..0, PREFERRED.to_owned()));
        let listen = reachable_by(listen.get_ref(), raw.token.is_some(), EXAMPLES)
            .map_err(|message| document.problem_at(listen.span(), message))?;
        let mut locations = Vec::with_capacity(raw.locations.len());
        for location in raw.locations {
            locations.push(place(&location, document, references)?);
        }
        Ok(Self {
            listen,
            token: raw.token.map(Spanned::into_inner),
            locations,
        })
    }
}

/// A URI as it is, a path from the configuration's folder on.
fn place(
    location: &Spanned<String>,
    document: &Document<'_>,
    references: &References<'_>,
) -> Result<String, Problem> {
    let text = location.get_ref();
    if text.contains("://") {
        return Ok(text.clone());
    }
    let path = references.folder.join(text);
    match path.to_str().filter(|_| !text.is_empty()) {
        Some(path) => Ok(path.to_owned()),
        None => Err(document.problem_at(
            location.span(),
            "is no place; write a URI or a folder such as \"/data/lake\"".to_owned(),
        )),
    }
}
