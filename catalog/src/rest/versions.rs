//! The version of each table that was seen last, with the tag that the server knows it by (`ETag` and `If-None-Match` of
//! the specification): a table that has not changed since is not sent again. Whether it has is the server's answer, each
//! time it is asked.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use iceberg::TableIdent;

use crate::LoadedTable;

/// Bytes of the answers whose tables are kept, all together. Which was asked for longest ago gives way.
const MOST_BYTES: usize = 16 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Versions(Mutex<Held>);

/// A table as it was, and the tag of that.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) etag: HeaderValue,
    pub(super) table: LoadedTable,
    /// Bytes of the answer that it was in.
    pub(super) bytes: usize,
}

#[derive(Debug, Default)]
struct Held {
    versions: HashMap<TableIdent, (Version, Use)>,
    bytes: usize,
    uses: Use,
}

/// Counts what is asked for, so that the older of two is the lower one.
type Use = u64;

impl Versions {
    pub(super) fn of(&self, table: &TableIdent) -> Option<Version> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        let now = held.uses;
        let (version, used) = held.versions.get_mut(table)?;
        *used = now;
        Some(version.clone())
    }

    /// In the place of the version before it.
    pub(super) fn keep(&self, version: Version) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&version.table.ident);
        if version.bytes > MOST_BYTES {
            return;
        }
        held.uses += 1;
        held.bytes += version.bytes;
        let now = held.uses;
        held.versions.insert(version.table.ident.clone(), (version, now));
        while held.bytes > MOST_BYTES {
            let oldest = held.versions.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(table, _)| table.clone()) else {
                break;
            };
            held.remove(&oldest);
        }
    }
}

impl Held {
    fn remove(&mut self, table: &TableIdent) {
        if let Some((version, _)) = self.versions.remove(table) {
            self.bytes -= version.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
    use iceberg::{NamespaceIdent, TableCreation};
    use uuid::Uuid;

    use super::*;

    fn version(name: &str, bytes: usize) -> Version {
        let id = NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long));
        let creation = TableCreation::builder()
            .name(name.to_owned())
            .location(format!("memory:///{name}"))
            .schema(Schema::builder().with_fields([id.into()]).build().unwrap())
            .build();
        Version {
            etag: HeaderValue::from_static("\"1\""),
            table: LoadedTable {
                ident: TableIdent::new(NamespaceIdent::new("shop".to_owned()), name.to_owned()),
                metadata_location: format!("memory:///{name}/1.json"),
                metadata: crate::change::create(creation, Uuid::nil(), 0).unwrap().into(),
            },
            bytes,
        }
    }

    #[test]
    fn those_asked_for_longest_ago_give_way() {
        let versions = Versions::default();
        let third = MOST_BYTES / 3;
        let names = ["a", "b", "c", "d"];
        let all = names.map(|name| version(name, third));
        for version in &all[..3] {
            versions.keep(version.clone());
        }
        assert!(versions.of(&all[0].table.ident).is_some());
        versions.keep(all[3].clone());
        let kept = all
            .each_ref()
            .map(|version| versions.of(&version.table.ident).is_some());
        assert_eq!(kept, [true, false, true, true]);
        // One in the place of itself takes no more room.
        versions.keep(all[0].clone());
        assert!(versions.of(&all[2].table.ident).is_some());
        // What has no room is not kept, and what it was before neither.
        versions.keep(version("c", MOST_BYTES + 1));
        assert!(versions.of(&all[2].table.ident).is_none());
        let held = versions.0.lock().unwrap();
        assert_eq!((held.versions.len(), held.bytes), (2, 2 * third));
    }
}
