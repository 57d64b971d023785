//! `[catalog]`: where tables are named and where their files go.

use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;
use tabletopic_catalog::RestSettings;
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::postgres::Postgres;
use super::reference::References;
use super::serve::Serve;
use super::{raw, required, rest, tls};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// The catalog's name to other clients: PyIceberg and Iceberg's JDBC catalog must be given the same one.
    pub name: String,
    pub kind: CatalogKind,
    pub warehouse: Warehouse,
    pub serve: Serve,
}

/// What names the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogKind {
    /// A file.
    Sqlite(PathBuf),
    Postgres(Box<Postgres>),
    /// Somebody else's server.
    Rest(Box<RestSettings>),
}

/// Below what every table has its own folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warehouse {
    /// A folder of this machine, mounted ones included.
    Folder(PathBuf),
    /// In an object store: `s3://bucket/lake`. [`Storage`](super::Storage) says whether it is one that is known.
    Uri(String),
    /// Where the server of the catalog decides; it may have several, each with a name.
    OfCatalog(Option<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogType {
    Sqlite,
    Postgres,
    Rest,
}

impl Catalog {
    pub fn validate(
        raw: Option<Spanned<raw::Catalog>>,
        document: &Document<'_>,
        references: &References<'_>,
    ) -> Result<Self, Problem> {
        let advice = "add [catalog] with type = \"sqlite\", uri = \"./lake/catalog.db\" and warehouse = \"./lake/warehouse\"";
        let raw = required(document, raw, None, "catalog", advice)?;
        let section = raw.span();
        let mut raw = raw.into_inner();
        let kind = required(
            document,
            raw.kind,
            Some(section.clone()),
            "catalog.type",
            "write type = \"sqlite\", \"postgres\" or \"rest\"",
        )?;
        let name = raw.name.take().map(Spanned::into_inner);
        let serve = Serve::validate(std::mem::take(&mut raw.serve), document, references)?;
        let warehouse = raw.warehouse.take();
        let ours = |warehouse| Warehouse::required(document, references, warehouse, section.clone());
        let (kind, warehouse) = match kind {
            CatalogType::Sqlite => {
                let warehouse = ours(warehouse)?;
                let file = sqlite(raw, section.clone(), document, references)?;
                (CatalogKind::Sqlite(file), warehouse)
            }
            CatalogType::Postgres => {
                let warehouse = ours(warehouse)?;
                let postgres = Postgres::validate(raw, section.clone(), document, references)?;
                (CatalogKind::Postgres(postgres.into()), warehouse)
            }
            CatalogType::Rest => {
                let named = warehouse.map(Spanned::into_inner);
                let settings = rest::validate(raw, named.as_deref(), section.clone(), document, references)?;
                (CatalogKind::Rest(settings.into()), Warehouse::OfCatalog(named))
            }
        };
        Ok(Self {
            name: name.unwrap_or_else(|| "tabletopic".to_owned()),
            kind,
            warehouse,
            serve,
        })
    }

    /// Where tables are named, for a person.
    pub fn place(&self) -> String {
        match &self.kind {
            CatalogKind::Sqlite(file) => file.display().to_string(),
            CatalogKind::Postgres(postgres) => postgres.server.to_string(),
            CatalogKind::Rest(settings) => settings.uri().to_owned(),
        }
    }
}

/// The file.
fn sqlite(
    raw: raw::Catalog,
    section: Range<usize>,
    document: &Document<'_>,
    references: &References<'_>,
) -> Result<PathBuf, Problem> {
    let uri = required(
        document,
        raw.uri,
        Some(section),
        "catalog.uri",
        "write the SQLite file such as uri = \"./lake/catalog.db\"",
    )?;
    let password = raw.password.as_ref().map(Spanned::span);
    let properties = raw.properties.0.values().next().map(Spanned::span);
    if let Some(span) = password.or(properties).or(tls::said(raw.tls.as_ref())) {
        let message = "a file needs none; remove it, or write type = \"postgres\" or \"rest\"";
        return Err(document.problem_at(span, message.to_owned()));
    }
    local_path(document, references, &uri, "a file such as \"./lake/catalog.db\"")
}

impl Warehouse {
    fn required(
        document: &Document<'_>,
        references: &References<'_>,
        value: Option<Spanned<String>>,
        section: Range<usize>,
    ) -> Result<Self, Problem> {
        let value = required(
            document,
            value,
            Some(section),
            "catalog.warehouse",
            "write where the tables' files go, such as warehouse = \"./lake/warehouse\" or \"s3://bucket/lake\"",
        )?;
        Self::validate(document, references, &value)
    }

    fn validate(
        document: &Document<'_>,
        references: &References<'_>,
        value: &Spanned<String>,
    ) -> Result<Self, Problem> {
        let text = value.get_ref();
        if text.contains("://") && !text.starts_with("file://") {
            return Ok(Self::Uri(text.trim_end_matches('/').to_owned()));
        }
        let folder = local_path(
            document,
            references,
            value,
            "a folder such as \"./lake/warehouse\"",
        )?;
        Ok(Self::Folder(folder))
    }
}

/// A path on this machine; a `file://` URI is one, other URIs are refused.
fn local_path(
    document: &Document<'_>,
    references: &References<'_>,
    value: &Spanned<String>,
    example: &str,
) -> Result<PathBuf, Problem> {
    let text = value.get_ref().as_str();
    let path = match text.split_once("://") {
        Some(("file", path)) if path.starts_with('/') => path,
        Some((scheme, _)) => {
            return Err(document.problem_at(
                value.span(),
                format!("{scheme}:// is not supported here, only paths on this machine are; write {example}"),
            ));
        }
        None => text,
    };
    if path.is_empty() {
        return Err(document.problem_at(value.span(), format!("is empty; write {example}")));
    }
    Ok(references.folder.join(path))
}
