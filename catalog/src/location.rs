//! Where a catalog of our own puts a table and its metadata files.

use std::str::FromStr;

use iceberg::spec::TableMetadata;
use iceberg::{MetadataLocation, TableIdent};
use uuid::Uuid;

/// `<warehouse>/<namespace levels>/<table>`, as Iceberg's own catalogs have it.
///
/// Readers disagree on whether a location is percent-decoded, so that only characters which mean the same
/// either way are used. A name that holds others is written with `_` in their place, and the table's UUID
/// keeps it apart from a namesake.
pub(crate) fn table_location(warehouse: &str, ident: &TableIdent, table_uuid: Uuid) -> String {
    let names = || ident.namespace.iter().chain([&ident.name]);
    let folders: Vec<String> = names().map(|name| folder(name)).collect();
    let location = format!("{warehouse}/{}", folders.join("/"));
    if names().eq(&folders) {
        location
    } else {
        format!("{location}-{table_uuid}")
    }
}

fn folder(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let folder: String = name.chars().map(|c| if safe(c) { c } else { '_' }).collect();
    // `.` and `..` are not names, and a leading dot hides a folder from many readers.
    if folder.starts_with('.') {
        folder.replacen('.', "_", 1)
    } else {
        folder
    }
}

/// A new metadata file, `<table>/metadata/<version>-<uuid>.metadata.json`: the version follows that of the
/// file before it, for people; the UUID makes the name unique, so that no file is ever overwritten.
pub(crate) fn metadata_file(
    metadata: &TableMetadata,
    previous: Option<&str>,
    uuid: Uuid,
) -> iceberg::Result<MetadataLocation> {
    let version = previous.map_or(0, |previous| version(previous) + 1);
    let file = format!(
        "{}/metadata/{version:05}-{uuid}.metadata.json",
        metadata.location()
    );
    Ok(MetadataLocation::from_str(&file)?.with_new_metadata(metadata))
}

/// The version in a metadata file's name; 0 in a name of another form, which a table may have been
/// registered with.
fn version(metadata_location: &str) -> i32 {
    let file = metadata_location.rsplit('/').next().unwrap_or_default();
    let digits = file
        .trim_start_matches('v')
        .split(['-', '.'])
        .next()
        .unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use iceberg::NamespaceIdent;

    use super::*;

    fn location(levels: &[&str], name: &str) -> String {
        let namespace = NamespaceIdent::from_strs(levels).unwrap();
        table_location(
            "file:///lake",
            &TableIdent::new(namespace, name.to_owned()),
            Uuid::nil(),
        )
    }

    #[test]
    fn plain_names_are_folders() {
        assert_eq!(
            location(&["shop", "eu"], "orders.v-2_x"),
            "file:///lake/shop/eu/orders.v-2_x"
        );
    }

    #[test]
    fn odd_names_are_written_plainly_and_kept_apart() {
        let nil = Uuid::nil();
        assert_eq!(
            location(&["shop"], "a b/#%?é"),
            format!("file:///lake/shop/a_b_____-{nil}")
        );
        assert_eq!(location(&["shop"], ".."), format!("file:///lake/shop/_.-{nil}"));
        assert_eq!(location(&["sh op"], "t"), format!("file:///lake/sh_op/t-{nil}"));
    }

    #[test]
    fn versions_count_on_from_any_writer_s_names() {
        assert_eq!(version("file:///t/metadata/00041-8a2e.metadata.json"), 41);
        assert_eq!(version("file:///t/metadata/v7.metadata.json"), 7);
        assert_eq!(version("file:///t/metadata/v7.gz.metadata.json"), 7);
        assert_eq!(version("file:///t/metadata/current.json"), 0);
    }
}
