//! `docs/configuration.md` against the parser: the same keys, the same defaults.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// One row of the page. `default` is as it stands in the table.
struct Row<'a> {
    key: &'a str,
    default: &'a str,
}

/// Each section's rows by its heading, such as `[kafka]` and `[[topic]]`, in the page's order.
fn sections() -> Vec<(&'static str, Vec<Row<'static>>)> {
    let mut sections = Vec::new();
    for chunk in PAGE.split("\n## `").skip(1) {
        let (heading, body) = chunk.split_once('`').unwrap();
        let rows = body.lines().filter(|line| line.starts_with("| `")).map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 4, "{line}");
            Row {
                key: cells[0].trim_matches('`'),
                default: cells[2],
            }
        });
        sections.push((heading, rows.collect()));
    }
    sections
}

/// The keys that the parser knows under `heading`: what it offers for one that it does not.
fn known(heading: &str) -> BTreeSet<String> {
    let parent = match heading {
        heading if heading.starts_with("[topic.") => "[[topic]]\n".to_owned(),
        // Keys of these are told apart by what comes later than the others' keys.
        "[storage]" => SMALLEST.to_owned(),
        "[catalog.properties]" => SMALLEST
            .replace("\"sqlite\"", "\"rest\"")
            .replace("\"lake/catalog.db\"", "\"http://c\""),
        _ => String::new(),
    };
    let message = parse(&format!("{parent}{heading}\n\"~~~~~~~~~~~~~~~~\" = 0")).unwrap_err();
    let (_, keys) = message
        .split_once("write one of ")
        .unwrap_or_else(|| panic!("{heading}: {message}"));
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_page_has_exactly_the_keys_of_the_parser() {
    let sections = sections();
    let headings: BTreeSet<&str> = sections.iter().map(|(heading, _)| *heading).collect();
    let name = |heading: &str| heading.trim_matches(['[', ']']).to_owned();

    let top: BTreeSet<String> = headings
        .iter()
        .map(|h| name(h))
        .filter(|name| !name.contains('.'))
        .collect();
    assert_eq!(top, known(""), "the page's sections");

    for (heading, rows) in &sections {
        for row in rows.iter().filter(|row| row.default == "section") {
            let inner = format!("[{}.{}]", name(heading), row.key);
            assert!(headings.contains(inner.as_str()), "{inner} has no heading");
        }
        // Its keys are librdkafka's.
        if *heading != "[kafka.properties]" {
            let keys: BTreeSet<String> = rows.iter().map(|row| row.key.to_owned()).collect();
            assert_eq!(keys.len(), rows.len(), "{heading} has a key twice");
            assert_eq!(keys, known(heading), "{heading}");
        }
    }
}

#[test]
fn the_defaults_of_the_page_written_out_change_nothing() {
    let required = BTreeMap::from([
        ("[kafka] bootstrap", "\"localhost:9092\""),
        ("[catalog] type", "\"sqlite\""),
        ("[catalog] uri", "\"lake/catalog.db\""),
        ("[catalog] warehouse", "\"lake/warehouse\""),
        ("[[topic]] name", "\"orders\""),
        ("[[topic]] table", "\"shop.orders\""),
        ("[[topic]] format", "\"json\""),
    ]);
    let mut written = String::new();
    let mut defaults = 0;
    for (heading, rows) in sections() {
        written.push_str(&format!("{heading}\n"));
        for Row { key, default } in rows {
            let value = match default {
                "required" => required[format!("{heading} {key}").as_str()],
                code if code.starts_with('`') => {
                    defaults += 1;
                    code.trim_matches('`')
                }
                // In words: `none`, `section`, or it depends on something else.
                _ => continue,
            };
            written.push_str(&format!("{key} = {value}\n"));
        }
    }
    assert_eq!(defaults, 49, "{written}");
    assert_eq!(parse(&written).unwrap(), parse(SMALLEST).unwrap(), "{written}");
}

#[test]
fn the_examples_of_the_page_and_of_the_repository_work() {
    let (_, block) = PAGE.split_once("```toml\n").unwrap();
    let (example, _) = block.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    std::fs::write(folder.path().join("secrets/kafka-password"), "x").unwrap();
    let references = References {
        env: &|name| (name == "HOSTNAME").then(|| "host-1".to_owned()),
        folder: folder.path(),
    };
    let config = Config::parse(example, &references, Changes::default()).unwrap();
    assert_eq!(config.kafka.instance_id.as_deref(), Some("host-1"));
    assert_eq!(config.topics.len(), 2);

    let local = parse(include_str!("../../../../examples/local/tabletopic.toml")).unwrap();
    assert_eq!(local.topics[0].table.to_string(), "shop.orders");

    let postgres = include_str!("../../../../examples/postgres-s3/tabletopic.toml");
    let password = |name: &str| (name == "DATABASE_PASSWORD").then(|| "x".to_owned());
    let postgres = parse_with(postgres, &password).unwrap().catalog;
    assert!(matches!(postgres.kind, CatalogKind::Postgres(_)));
    assert_eq!(
        postgres.warehouse,
        Warehouse::Uri("s3://my-lake/warehouse".to_owned())
    );

    let many = parse(include_str!("../../../../examples/many/tabletopic.toml")).unwrap();
    assert_eq!((many.topics.len(), many.patterns.len()), (1, 2));

    let login = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/login");
    for way in ["msk-iam", "mutual-tls", "password", "token"] {
        let config = Config::load(&login.join(way).with_extension("toml"), &|_| None).unwrap();
        assert!(config.kafka.properties.contains_key("security.protocol"), "{way}");
    }
    let kerberos = Config::load(&login.join("kerberos.toml"), &|_| None);
    assert_eq!(kerberos.is_ok(), cfg!(feature = "gssapi"));
}
