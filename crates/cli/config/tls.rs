//! `ca`, `certificate` and `key`: the files of a connection by TLS.

use std::ops::Range;

use tabletopic_http::{ClientCertificate, Tls};
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::raw;
use super::reference::References;

/// Where the section says something, if it does.
pub fn said(raw: Option<&Spanned<raw::Tls>>) -> Option<Range<usize>> {
    let raw = raw?.get_ref();
    [&raw.ca, &raw.certificate, &raw.key]
        .into_iter()
        .flatten()
        .map(Spanned::span)
        .next()
}

pub fn validate(raw: raw::Tls, document: &Document<'_>, references: &References<'_>) -> Result<Tls, Problem> {
    let path = |file: &str| references.folder.join(file);
    let client = match (raw.certificate, raw.key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(ClientCertificate {
            certificate: path(certificate.get_ref()),
            key: path(key.get_ref()),
        }),
        (Some(one), None) | (None, Some(one)) => {
            let message = "write certificate and key, each the path of a PEM file, or neither";
            return Err(document.problem_at(one.span(), message.to_owned()));
        }
    };
    Ok(Tls {
        ca: raw.ca.map(|ca| path(ca.get_ref())),
        client,
    })
}
