//! `ca`, `certificate` and `key`: the files of a connection by TLS.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::raw;
use super::reference::References;

/// Paths of PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    pub ca: Option<PathBuf>,
    /// The certificate that this client shows, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Where the section says something, if it does.
pub fn said(raw: Option<&Spanned<raw::Tls>>) -> Option<Range<usize>> {
    let raw = raw?.get_ref();
    [&raw.ca, &raw.certificate, &raw.key]
        .into_iter()
        .flatten()
        .map(Spanned::span)
        .next()
}

impl Tls {
    pub fn validate(
        raw: raw::Tls,
        document: &Document<'_>,
        references: &References<'_>,
    ) -> Result<Self, Problem> {
        let path = |file: &str| references.folder.join(file);
        let client = match (raw.certificate, raw.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((path(certificate.get_ref()), path(key.get_ref()))),
            (Some(one), None) | (None, Some(one)) => {
                let message = "write certificate and key, each the path of a PEM file, or neither";
                return Err(document.problem_at(one.span(), message.to_owned()));
            }
        };
        Ok(Self {
            ca: raw.ca.map(|ca| path(ca.get_ref())),
            client,
        })
    }
}
