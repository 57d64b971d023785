//! The two tables of the JDBC catalog's layout, and how a namespace is written in them.

use iceberg::NamespaceIdent;

/// In the words of Iceberg's Java implementation, with the column that version 1 of the layout added.
pub(super) const CREATE: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS iceberg_tables (
        catalog_name VARCHAR(255) NOT NULL,
        table_namespace VARCHAR(255) NOT NULL,
        table_name VARCHAR(255) NOT NULL,
        metadata_location VARCHAR(1000),
        previous_metadata_location VARCHAR(1000),
        iceberg_type VARCHAR(5),
        PRIMARY KEY (catalog_name, table_namespace, table_name))",
    "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
        catalog_name VARCHAR(255) NOT NULL,
        namespace VARCHAR(255) NOT NULL,
        property_key VARCHAR(255) NOT NULL,
        property_value VARCHAR(1000),
        PRIMARY KEY (catalog_name, namespace, property_key))",
];

/// Which version of the layout a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Without `iceberg_type`: every row is a table. Java's default, and PyIceberg's before 0.12.
    V0,
    /// With `iceberg_type`: views share the table.
    V1,
}

impl Layout {
    /// The condition that keeps rows of tables.
    pub(super) fn is_table(self) -> &'static str {
        match self {
            Layout::V0 => "TRUE",
            Layout::V1 => "(iceberg_type = 'TABLE' OR iceberg_type IS NULL)",
        }
    }

    /// The condition that keeps the row of one table: catalog, namespace and name are `$1`, `$2` and `$3`.
    pub(super) fn one_table(self) -> String {
        format!(
            "catalog_name = $1 AND table_namespace = $2 AND table_name = $3 AND {}",
            self.is_table()
        )
    }

    /// Moves the table of [`one_table`](Self::one_table) from the metadata location `$4` to `$5`.
    pub(super) fn swap_table(self) -> String {
        format!(
            "UPDATE iceberg_tables SET metadata_location = $5, previous_metadata_location = $4
             WHERE {} AND metadata_location = $4",
            self.one_table()
        )
    }

    /// Inserts catalog, namespace, table and metadata location.
    pub(super) fn insert_table(self) -> &'static str {
        match self {
            Layout::V0 => {
                "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location)
                 VALUES ($1, $2, $3, $4)"
            }
            Layout::V1 => {
                "INSERT INTO iceberg_tables
                 (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
                 VALUES ($1, $2, $3, $4, 'TABLE')"
            }
        }
    }
}

/// The levels joined by dots. A level that is empty or holds a dot could not be read back: `None`.
pub(super) fn write_namespace(namespace: &NamespaceIdent) -> Option<String> {
    let writable = namespace
        .iter()
        .all(|level| !level.is_empty() && !level.contains('.'));
    writable.then(|| namespace.join("."))
}

/// The property that keeps the row of a namespace which has no others, as Iceberg's Java implementation has it.
pub(super) const EXISTS: &str = "exists";

/// The namespace and those it lies in: `a.b` is `a` and `a.b`, for other clients make no entry for `a`.
pub(super) fn read_namespace(written: &str) -> impl Iterator<Item = NamespaceIdent> {
    let levels: Vec<&str> = written.split('.').collect();
    (1..=levels.len()).filter_map(move |depth| NamespaceIdent::from_strs(&levels[..depth]).ok())
}
