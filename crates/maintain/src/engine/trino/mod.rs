//! Trino: the statements, and the client that runs them.

mod client;
mod error;
#[cfg(test)]
mod talk;

use tabletopic_clock::Millis;

pub use client::{Connection, Settings};
pub use error::TrinoError;

use super::{Wanted, quoted};

const DAY: Millis = 24 * 60 * 60 * 1000;

/// What Trino's catalogs allow unless they are set otherwise (`iceberg.expire-snapshots.min-retention`).
const WEEK: Millis = 7 * DAY;

/// The statements for one table, in their order. `catalog` is its name in Trino.
pub fn statements(catalog: &str, wanted: &Wanted) -> Vec<String> {
    let schema = wanted.table.namespace().as_ref().join(".");
    let table = [catalog, &schema, &wanted.table.name].map(|part| quoted(part, '"'));
    let execute = |what: String| format!("ALTER TABLE {} EXECUTE {what}", table.join("."));
    let retention = |age: Millis| match age % DAY {
        0 => format!("retention_threshold => '{}d'", age / DAY),
        _ => format!("retention_threshold => '{age}ms'"),
    };
    // As `compact` does: files above three quarters of the target stay.
    let small = wanted.target / 4 * 3;
    let mut statements = vec![
        execute(format!(
            "expire_snapshots({})",
            retention(wanted.older_than.unwrap_or(WEEK))
        )),
        execute(format!("optimize(file_size_threshold => '{small}B')")),
        execute("optimize_manifests".to_owned()),
    ];
    let orphans = wanted.orphans;
    statements.extend(orphans.map(|age| execute(format!("remove_orphan_files({})", retention(age)))));
    statements
}

#[cfg(test)]
mod tests {
    use iceberg::TableIdent;

    use super::*;

    #[test]
    fn a_table_is_expired_merged_and_its_manifests_rewritten() {
        let mut wanted = Wanted {
            table: TableIdent::from_strs(["shop", "eu", "or\"ders"]).unwrap(),
            target: 512 << 20,
            older_than: None,
            orphans: None,
        };
        let table = r#"ALTER TABLE "lake"."shop.eu"."or""ders" EXECUTE"#;
        assert_eq!(
            statements("lake", &wanted),
            [
                format!("{table} expire_snapshots(retention_threshold => '7d')"),
                format!("{table} optimize(file_size_threshold => '402653184B')"),
                format!("{table} optimize_manifests"),
            ]
        );
        wanted.older_than = Some(1_500);
        wanted.orphans = Some(86_400_000);
        let told = statements("lake", &wanted);
        assert_eq!(
            told[0],
            format!("{table} expire_snapshots(retention_threshold => '1500ms')")
        );
        assert_eq!(
            told[3],
            format!("{table} remove_orphan_files(retention_threshold => '1d')")
        );
    }
}
