//! `docs/sql.md` is true: its names can be asked for, its queries run, and it leaves no metadata table out.

use std::collections::BTreeSet;

use crate::lake::lake;

const PAGE: &str = include_str!("../../docs/sql.md");

#[test]
fn every_metadata_table_is_on_the_page_and_can_be_asked_for() {
    let on_page: BTreeSet<&str> = PAGE
        .split('`')
        .filter_map(|code| code.strip_prefix("\"orders$")?.strip_suffix('"'))
        .collect();
    let said = lake().refuses("SELECT * FROM \"orders$\"");
    let (_, known) = said.split_once("there are: ").unwrap();
    assert_eq!(
        on_page,
        known.split(", ").collect(),
        "the page, and what there is"
    );
    for name in on_page {
        let columns = lake().rows(&format!("DESCRIBE \"orders${name}\""));
        assert!(!columns.is_empty(), "{name}");
    }
}

#[test]
fn the_queries_of_the_page_run() {
    let mut queries = 0;
    for block in PAGE.split("```sql\n").skip(1) {
        let (query, _) = block.split_once("```").unwrap();
        let answer = lake().prints(query, "table");
        assert!(answer.contains("files_pruned"), "{answer}");
        queries += 1;
    }
    for command in PAGE.lines().filter(|line| line.starts_with("tabletopic sql -c")) {
        let query = command.split('\'').nth(1).unwrap();
        lake().prints(query, "table");
        queries += 1;
    }
    assert_eq!(queries, 2);
}
