//! `[maintenance]`.

use super::*;

fn with(section: &str) -> Result<Option<Maintenance>, String> {
    parse(&format!("{SMALLEST}\n[maintenance]\n{section}\n")).map(|config| config.maintenance)
}

#[test]
fn it_is_there_unless_it_is_not_wanted() {
    let told = Maintenance {
        interval: Duration::from_secs(60),
        hot_for: Duration::from_secs(600),
        processor: 0.25,
        read_rate: 1 << 20,
        orphans: None,
    };
    assert_eq!(
        with("processor = 0.25\nread_rate = \"1MiB\"").unwrap(),
        Some(told)
    );
    assert_eq!(with("enabled = false").unwrap(), None);
}

#[test]
fn files_younger_than_a_day_are_no_orphans() {
    let kept = with("orphans = \"3d\"").unwrap().unwrap();
    assert_eq!(kept.orphans, Some(Duration::from_secs(3 * 24 * 60 * 60)));
    let said = with("orphans = \"23h\"").unwrap_err();
    assert!(
        said.contains("is too young") && said.contains("maintenance.orphans"),
        "{said}"
    );
}

#[test]
fn a_share_is_above_nothing_and_not_above_one() {
    for wrong in ["0.0", "1.5", "-1.0", "nan"] {
        let said = with(&format!("processor = {wrong}")).unwrap_err();
        assert!(
            said.contains("is no share of a processor") && said.contains("maintenance.processor"),
            "{said}"
        );
    }
}
