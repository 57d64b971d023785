//! Namespaces and their properties.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::RestCatalog;
use super::error::Refusal;
use super::names::{joined, namespace};
use super::paging::Page;
use super::reply::Reply;
use super::request::Asked;
use crate::{CatalogError, Entry, NamespaceChange};

/// What the columns of an SQL catalog hold.
const LONGEST_KEY: usize = 255;
const LONGEST_VALUE: usize = 1000;

#[derive(Deserialize)]
struct Create {
    namespace: Vec<String>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Update {
    #[serde(default)]
    removals: BTreeSet<String>,
    #[serde(default)]
    updates: BTreeMap<String, String>,
}

impl RestCatalog {
    /// Those directly in the parent; without one, those at the top.
    pub(super) async fn list_namespaces(&self, asked: &Asked) -> Result<Reply, Refusal> {
        let page = Page::of(asked)?;
        let all = self.catalog.list_namespaces().await?;
        let parent = asked.query("parent").filter(|parent| !parent.is_empty());
        let parent = parent.map(joined).transpose()?;
        if let Some(parent) = &parent
            && !all.contains(parent)
        {
            return Err(self.no_namespace(parent.clone()));
        }
        let above = parent.as_deref().unwrap_or_default();
        let here = all.into_iter();
        let here = here.filter(|one| one.len() == above.len() + 1 && one.starts_with(above));
        let (namespaces, next) = page.cut(here.collect(), |namespace| namespace.join("\u{1f}"));
        let namespaces: Vec<Vec<String>> = namespaces.into_iter().map(|one| one.inner()).collect();
        Reply::json(&json!({ "namespaces": namespaces, "next-page-token": next }))
    }

    pub(super) async fn create_namespace(&self, asked: &Asked) -> Result<Reply, Refusal> {
        let Create {
            namespace: levels,
            properties,
        } = asked.json()?;
        let created = namespace(levels)?;
        check_properties(&properties)?;
        self.catalog
            .create_namespace_with(&created, properties.clone())
            .await?;
        Reply::json(&json!({ "namespace": created.inner(), "properties": properties }))
    }

    pub(super) async fn load_namespace(&self, name: &str) -> Result<Reply, Refusal> {
        let namespace = joined(name)?;
        let properties = self.catalog.namespace_properties(&namespace).await?;
        Reply::json(&json!({ "namespace": namespace.inner(), "properties": properties }))
    }

    pub(super) async fn namespace_exists(&self, name: &str) -> Result<Reply, Refusal> {
        let namespace = joined(name)?;
        match self.catalog.list_namespaces().await?.contains(&namespace) {
            true => Ok(Reply::Done),
            false => Err(self.no_namespace(namespace)),
        }
    }

    pub(super) async fn drop_namespace(&self, name: &str) -> Result<Reply, Refusal> {
        self.catalog.drop_namespace(&joined(name)?).await?;
        Ok(Reply::Done)
    }

    pub(super) async fn update_namespace(&self, name: &str, asked: &Asked) -> Result<Reply, Refusal> {
        let namespace = joined(name)?;
        let Update { removals, updates } = asked.json()?;
        check_properties(&updates)?;
        if let Some(both) = removals.iter().find(|key| updates.contains_key(*key)) {
            return Err(Refusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "UnprocessableEntityException",
                format!("The property {both} is to be set and to be removed"),
            ));
        }
        let change = NamespaceChange {
            updates: updates.clone(),
            removals: removals.clone(),
        };
        let removed = self.catalog.change_namespace(&namespace, change).await?;
        let missing: Vec<&String> = removals.difference(&removed).collect();
        let updated: Vec<&String> = updates.keys().collect();
        Reply::json(&json!({ "updated": updated, "removed": removed, "missing": missing }))
    }

    fn no_namespace(&self, namespace: iceberg::NamespaceIdent) -> Refusal {
        let catalog = self.catalog.name().to_owned();
        let entry = Entry::Namespace(namespace);
        CatalogError::NotFound { catalog, entry }.into()
    }
}

fn check_properties(properties: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let too_long = |text: &str, longest: usize| text.chars().count() > longest;
    for (key, value) in properties {
        if too_long(key, LONGEST_KEY) || too_long(value, LONGEST_VALUE) {
            return Err(Refusal::bad_request(format!(
                "a property of a namespace has at most {LONGEST_KEY} characters in its name and {LONGEST_VALUE} in its \
                 value"
            )));
        }
    }
    Ok(())
}
