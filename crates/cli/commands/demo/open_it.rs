//! How to open the demo's tables in other programs: commands that work as they are printed, in the folder where the
//! demo was started. A test runs them.

use std::path::Path;

use console::style;
use tabletopic_catalog::LoadedTable;

use super::folder::Folder;
use super::screen::{heading, say};
use crate::commands::word;

/// Prints the commands.
///
/// # Errors
/// A folder whose absolute path can't be told.
pub fn tell(folder: &Folder, orders: &LoadedTable) -> anyhow::Result<()> {
    say(&heading("Open it", "these work when pasted"));
    say(&shell(&folder.config()));
    say(&style("# pip install duckdb 'pyiceberg[sql-sqlite,pyarrow]'")
        .dim()
        .to_string());
    say(&duckdb(&metadata_file(folder, orders)?));
    say(&pyiceberg(&folder.lake().join("catalog.db")));
    Ok(())
}

/// By this very program, however it was found.
fn shell(config: &Path) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "tabletopic".to_owned());
    format!(
        "{}\n{} sql --config {}",
        style("# The SQL shell: \\d shows the tables, \\q leaves").cyan(),
        word(&program),
        word(&config.display().to_string())
    )
}

/// The table's newest metadata file, as a path that starts where the folder's own does.
fn metadata_file(folder: &Folder, table: &LoadedTable) -> anyhow::Result<String> {
    let location = table.metadata_location.trim_start_matches("file://");
    let absolute = std::path::absolute(folder.path())?;
    Ok(match Path::new(location).strip_prefix(&absolute) {
        Ok(inside) => folder.path().join(inside).display().to_string(),
        Err(_) => location.to_owned(),
    })
}

fn duckdb(metadata_file: &str) -> String {
    let file = metadata_file.replace('\'', "''");
    let query = format!(
        "\
SELECT created_at::DATE AS day, count(*) AS orders, round(sum(amount)) AS amount
FROM iceberg_scan('{file}')
GROUP BY day ORDER BY day"
    );
    python(
        "DuckDB: orders by day; late ones are in the day when they happened",
        &format!("import duckdb\nduckdb.sql({}).show()", literal(&query)),
    )
}

fn pyiceberg(catalog: &Path) -> String {
    let uri = literal(&format!("sqlite:///{}", catalog.display()));
    let program = format!(
        "\
from pyiceberg.catalog.sql import SqlCatalog
catalog = SqlCatalog(\"tabletopic\", uri={uri})
print(catalog.load_table(\"shop.orders\").scan().count(), \"rows\")
letters = catalog.load_table(\"shop.orders__dead_letters\").scan().to_arrow()
print(len(letters), \"dead letters, such as\")
for letter in letters.slice(0, 3).to_pylist():
    print(letter[\"partition\"], letter[\"offset\"], letter[\"reason\"], letter[\"value\"])"
    );
    python("PyIceberg: how many rows, and what was set aside", &program)
}

/// A program for the shell; within its quoted document the shell changes nothing.
fn python(title: &str, program: &str) -> String {
    format!(
        "{}\npython3 - <<'END'\n{program}\nEND",
        style(format!("# {title}")).cyan()
    )
}

/// A text of several lines as Python has it.
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    match escaped.contains('\n') {
        true => format!("\"\"\"\n{escaped}\"\"\""),
        false => format!("\"{escaped}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_in_a_path_stay_in_the_path() {
        assert!(duckdb("it's/v1.json").contains("iceberg_scan('it''s/v1.json')"));
        assert!(
            pyiceberg(Path::new("a \"b\"/catalog.db")).contains("uri=\"sqlite:///a \\\"b\\\"/catalog.db\"")
        );
    }
}
