//! `[catalog]` with `type = "rest"`: where the server is, and how to speak to it. Its properties are those of Iceberg's own
//! clients.

use std::collections::BTreeMap;
use std::ops::Range;

use tabletopic_catalog::{PropertyError, RestSettings};
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::reference::References;
use super::{raw, required, tls};

/// `warehouse` is the name that the server knows it by.
pub fn validate(
    raw: raw::Catalog,
    warehouse: Option<&str>,
    section: Range<usize>,
    document: &Document<'_>,
    references: &References<'_>,
) -> Result<RestSettings, Problem> {
    let uri = required(
        document,
        raw.uri,
        Some(section),
        "catalog.uri",
        "write where the server answers, such as uri = \"https://catalog.example.com/api/catalog\"",
    )?;
    if let Some(password) = &raw.password {
        let message = "is for databases; write token or credential in [catalog.properties]";
        return Err(document.problem_at(password.span(), message.to_owned()));
    }
    let place = raw.tls.as_ref().map(Spanned::span);
    let tls = raw.tls.map(Spanned::into_inner).unwrap_or_default();
    let tls = tls::validate(tls, document, references)?;
    let properties: BTreeMap<String, String> = raw
        .properties
        .0
        .iter()
        .map(|(name, value)| (name.clone(), value.get_ref().reveal().to_owned()))
        .collect();
    let settings = RestSettings::new(uri.get_ref(), warehouse, &properties, tls);
    let settings = settings.map_err(|PropertyError { property, message }| match property {
        Some(property) => {
            let span = raw.properties.0.get(&property).map(Spanned::span);
            document.problem_in(span, &format!("catalog.properties.{property}"), message)
        }
        None => document.problem_at(uri.span(), message),
    })?;
    match place {
        Some(place) if !settings.is_encrypted() => {
            let message = "`uri` does not begin with https://, so tls has no meaning; remove it";
            Err(document.problem_at(place, message.to_owned()))
        }
        _ => Ok(settings),
    }
}
