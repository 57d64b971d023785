//! The calls of Iceberg's procedures in Spark: pure. They are printed, for a job of the user's.

use chrono::DateTime;
use iceberg::TableIdent;
use tabletopic_clock::Millis;

use super::{Wanted, quoted};

/// The newest of `main` that stay whatever their age, as in `expire`.
const KEEP: u32 = 10;

/// Commits that one rewriting makes at most. Files of several groups go with each, and only those that lost a race with the
/// ingest are rewritten in vain.
const COMMITS: u32 = 10;

/// The calls for one table, in their order. `catalog` is its name in Spark; `now` is what ages are counted from.
pub fn statements(catalog: &str, wanted: &Wanted, now: Millis) -> Vec<String> {
    let table = text(&name(&wanted.table));
    let call = |procedure: &str, more: &[String]| {
        let arguments = [vec![format!("table => {table}")], more.to_vec()].concat();
        format!(
            "CALL {}.system.{procedure}({});",
            identifier(catalog),
            arguments.join(", ")
        )
    };
    let before = |age: Millis| format!("older_than => {}", timestamp(now.saturating_sub(age)));
    let mut expire = vec![format!("retain_last => {KEEP}")];
    expire.extend(wanted.older_than.map(before));
    let options = [
        ("target-file-size-bytes", wanted.target.to_string()),
        ("use-starting-sequence-number", "true".to_owned()),
        ("partial-progress.enabled", "true".to_owned()),
        ("partial-progress.max-commits", COMMITS.to_string()),
    ];
    let options = options.map(|(key, value)| format!("{}, {}", text(key), text(&value)));
    let options = format!("options => map({})", options.join(", "));
    let mut statements = vec![
        call("expire_snapshots", &expire),
        call("rewrite_data_files", &[options]),
        call("rewrite_position_delete_files", &[]),
        call("rewrite_manifests", &[]),
    ];
    statements.extend(
        wanted
            .orphans
            .map(|age| call("remove_orphan_files", &[before(age)])),
    );
    statements
}

fn name(table: &TableIdent) -> String {
    let parts = table.namespace().iter().chain([&table.name]);
    parts.map(|part| identifier(part)).collect::<Vec<_>>().join(".")
}

/// In backticks where it needs them.
fn identifier(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(plain) {
        true => name.to_owned(),
        false => quoted(name, '`'),
    }
}

/// A literal, with Spark's escapes.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

fn timestamp(at: Millis) -> String {
    let at = DateTime::from_timestamp_millis(at).unwrap_or_default();
    format!("TIMESTAMP '{} UTC'", at.format("%F %T%.3f"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(names: &[&str]) -> Wanted {
        Wanted {
            table: TableIdent::from_strs(names).unwrap(),
            target: 256 << 20,
            older_than: None,
            orphans: None,
        }
    }

    #[test]
    fn a_table_is_expired_merged_and_its_manifests_rewritten() {
        let expected = [
            "CALL lake.system.expire_snapshots(table => 'shop.orders', retain_last => 10);",
            "CALL lake.system.rewrite_data_files(table => 'shop.orders', options => \
             map('target-file-size-bytes', '268435456', 'use-starting-sequence-number', 'true', \
             'partial-progress.enabled', 'true', 'partial-progress.max-commits', '10'));",
            "CALL lake.system.rewrite_position_delete_files(table => 'shop.orders');",
            "CALL lake.system.rewrite_manifests(table => 'shop.orders');",
        ];
        assert_eq!(statements("lake", &wanted(&["shop", "orders"]), 0), expected);
    }

    #[test]
    fn ages_are_points_in_time_and_orphans_go_last() {
        let wanted = Wanted {
            older_than: Some(1_500),
            orphans: Some(86_400_000),
            ..wanted(&["shop", "orders"])
        };
        let told = statements("lake", &wanted, 86_401_500);
        assert_eq!(
            told[0],
            "CALL lake.system.expire_snapshots(table => 'shop.orders', retain_last => 10, older_than => TIMESTAMP \
             '1970-01-02 00:00:00.000 UTC');"
        );
        assert_eq!(
            told[4],
            "CALL lake.system.remove_orphan_files(table => 'shop.orders', older_than => TIMESTAMP '1970-01-01 \
             00:00:01.500 UTC');"
        );
    }

    #[test]
    fn names_that_are_no_words_are_quoted_for_spark() {
        let told = statements("my-lake", &wanted(&["shop", "a'b", "or`ders"]), 0);
        assert_eq!(
            told[3],
            r"CALL `my-lake`.system.rewrite_manifests(table => 'shop.`a\'b`.`or``ders`');"
        );
    }
}
