//! `[verify]`.

use super::*;

#[test]
fn tables_are_verified_where_it_says_how_often() {
    assert_eq!(parse(SMALLEST).unwrap().verify, None);
    let with =
        |section: &str| parse(&format!("{SMALLEST}\n[verify]\n{section}\n")).map(|config| config.verify);
    let told = Verify {
        every: Duration::from_secs(3600),
        whole_every: Duration::from_secs(24 * 3600),
        processor: 0.25,
    };
    assert_eq!(with("every = \"1h\"").unwrap(), Some(told));
    assert_eq!(with("processor = 0.5").unwrap(), None);
    for (wrong, words) in [
        ("every = \"0s\"", "is no time at all"),
        ("every = \"1h\"\nprocessor = 1.5", "is no share of a processor"),
    ] {
        let said = with(wrong).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
}
