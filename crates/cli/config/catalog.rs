//! `[catalog]`: where tables are named and where their files go.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::reference::References;
use super::serve::Serve;
use super::{raw, required};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    pub kind: CatalogType,
    /// The catalog's name to other clients: PyIceberg and Iceberg's JDBC catalog must be given the same one.
    pub name: String,
    /// The SQLite file.
    pub uri: PathBuf,
    /// The folder below which every table has its own.
    pub warehouse: PathBuf,
    pub serve: Serve,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogType {
    Sqlite,
}

impl Catalog {
    pub fn validate(
        raw: Option<Spanned<raw::Catalog>>,
        document: &Document<'_>,
        references: &References<'_>,
    ) -> Result<Self, Problem> {
        let advice = "add [catalog] with type = \"sqlite\", uri = \"./lake/catalog.db\" and warehouse = \"./lake/warehouse\"";
        let raw = required(document, raw, None, "catalog", advice)?;
        let section = Some(raw.span());
        let raw = raw.into_inner();
        let kind = required(
            document,
            raw.kind,
            section.clone(),
            "catalog.type",
            "write type = \"sqlite\"",
        )?;
        let uri = required(
            document,
            raw.uri,
            section.clone(),
            "catalog.uri",
            "write the SQLite file such as uri = \"./lake/catalog.db\"",
        )?;
        let warehouse = required(
            document,
            raw.warehouse,
            section,
            "catalog.warehouse",
            "write the folder for the tables' files such as warehouse = \"./lake/warehouse\"",
        )?;
        Ok(Self {
            kind,
            name: raw
                .name
                .map_or_else(|| "tabletopic".to_owned(), Spanned::into_inner),
            uri: local_path(document, references, &uri, "a file such as \"./lake/catalog.db\"")?,
            warehouse: local_path(
                document,
                references,
                &warehouse,
                "a folder such as \"./lake/warehouse\"",
            )?,
            serve: Serve::validate(raw.serve, document, references)?,
        })
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
