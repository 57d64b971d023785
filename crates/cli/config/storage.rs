//! `[storage]`: the object store that the warehouse is in. Its keys are properties, whose names the store's clients know.

use std::collections::BTreeMap;
use std::ops::Range;

use tabletopic_table::storage::{SettingsError, StorageSettings, StoresSettings};
use toml::Spanned;

use super::catalog::Warehouse;
use super::document::Document;
use super::error::Problem;
use super::secret::Secrets;

/// Where the tables' files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In the store of the warehouse.
    Warehouse(Box<StorageSettings>),
    /// Where the catalog says it of each table.
    OfCatalog(StoresSettings),
}

/// What is said of the store of `warehouse`, whose value is at `place`.
pub fn validate(
    raw: Secrets,
    warehouse: &Warehouse,
    place: Option<Range<usize>>,
    document: &Document<'_>,
) -> Result<Storage, Problem> {
    let properties: BTreeMap<String, String> = raw
        .0
        .iter()
        .map(|(name, value)| (name.clone(), value.get_ref().reveal().to_owned()))
        .collect();
    let of_warehouse = |settings: StorageSettings| Storage::Warehouse(settings.into());
    let storage = match warehouse {
        Warehouse::Folder(_) => StorageSettings::new("file:///", &properties).map(of_warehouse),
        Warehouse::Uri(uri) => StorageSettings::new(uri, &properties).map(of_warehouse),
        Warehouse::OfCatalog(_) => StoresSettings::new(&properties).map(Storage::OfCatalog),
    };
    storage.map_err(|SettingsError { property, message }| match property {
        Some(property) => {
            let span = raw.0.get(&property).map(Spanned::span);
            let key = format!("storage.{property}");
            Problem {
                key: Some(key.clone()),
                ..document.problem_in(span, &key, message)
            }
        }
        None => document.problem_in(place, "catalog.warehouse", message),
    })
}
