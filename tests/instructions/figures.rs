//! The figures, those that are stored, and what is said of differences.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter, Write as _};

use serde::{Deserialize, Serialize};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions/stored.json");

/// The part of a stored figure that may be missing, or be more. Two runs differ by half a thousandth at most, since hash maps
/// are seeded anew by each process; the rest is room for what the compiler makes of changes elsewhere. One more check of a
/// record's UTF-8, a tenth of what decoding JSON costs in a release, is 2.8 % here.
const TOLERANCE: f64 = 0.02;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub made_with: BTreeMap<String, String>,
    /// By the names of the stages.
    pub instructions_per_record: BTreeMap<String, f64>,
}

impl Figures {
    pub fn stored() -> Self {
        let text = std::fs::read_to_string(FILE).expect("it is in the repository");
        serde_json::from_str(&text).expect("it is as it was stored")
    }

    pub fn store(&self) {
        let text = serde_json::to_string_pretty(self).unwrap();
        std::fs::write(FILE, text + "\n").unwrap();
    }

    /// What to say when `found` is not what is stored; `None` when it is.
    pub fn differences(&self, found: &Self) -> Option<String> {
        let (before, now) = (&self.instructions_per_record, &found.instructions_per_record);
        let stages: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let mut lines = String::new();
        for stage in stages {
            let _ = match (before.get(stage), now.get(stage)) {
                (Some(before), Some(now)) if (now / before - 1.0).abs() <= TOLERANCE => Ok(()),
                (Some(before), Some(now)) => {
                    let percent = (now / before - 1.0) * 100.0;
                    writeln!(lines, "{stage:<20} {before:>10.2} {now:>10.2} {percent:>+8.1} %")
                }
                (Some(before), None) => writeln!(lines, "{stage:<20} {before:>10.2}   is no stage any more"),
                (None, Some(now)) => writeln!(lines, "{stage:<20} {:>10} {now:>10.2}   is new", ""),
                (None, None) => Ok(()),
            };
        }
        if lines.is_empty() {
            return None;
        }
        let mut text = format!(
            "instructions per record are not those of tests/instructions/stored.json, within {:.0} %:\n\n\
             {:<20} {:>10} {:>10} {:>10}\n{lines}\n",
            TOLERANCE * 100.0,
            "stage",
            "stored",
            "found",
            "change"
        );
        if let Some(others) = self.other_tools(found) {
            let _ = writeln!(text, "{others}That alone may be it.");
        }
        Some(text)
    }

    /// What else was used than for the stored figures; `None` if nothing was.
    pub fn other_tools(&self, found: &Self) -> Option<String> {
        let mut text = String::new();
        for (what, stored) in &self.made_with {
            let here = found.made_with.get(what).map_or("unknown", String::as_str);
            if here != stored {
                let _ = writeln!(text, "{what}: stored with {stored}, found with {here}.");
            }
        }
        (!text.is_empty()).then_some(text)
    }
}

impl Display for Figures {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "instructions per record:")?;
        let mut figures = self.instructions_per_record.iter();
        figures.try_for_each(|(stage, figure)| writeln!(f, "{stage:<20} {figure:>10.2}"))
    }
}

fn figures(rustc: &str, of_stages: &[(&str, f64)]) -> Figures {
    let of_stages = of_stages
        .iter()
        .map(|(stage, figure)| ((*stage).to_owned(), *figure));
    Figures {
        made_with: BTreeMap::from([("rustc".to_owned(), rustc.to_owned())]),
        instructions_per_record: of_stages.collect(),
    }
}

#[test]
fn what_is_stored_is_found_within_the_tolerance() {
    let stored = figures("1.95", &[("decode", 1000.0), ("encode", 5000.0)]);
    assert_eq!(stored.differences(&stored), None);
    let near = figures("1.95", &[("decode", 1019.0), ("encode", 4901.0)]);
    assert_eq!(stored.differences(&near), None);
}

#[test]
fn gains_and_losses_are_named_and_nothing_else_is() {
    let stored = figures("1.95", &[("decode", 1000.0), ("encode", 5000.0), ("split", 4.0)]);
    let found = figures("1.95", &[("decode", 1250.0), ("encode", 4800.0), ("split", 4.05)]);
    let said = stored.differences(&found).unwrap();
    let lines: Vec<Vec<&str>> = said
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        lines.contains(&vec!["decode", "1000.00", "1250.00", "+25.0", "%"]),
        "{said}"
    );
    assert!(
        lines.contains(&vec!["encode", "5000.00", "4800.00", "-4.0", "%"]),
        "{said}"
    );
    assert!(!said.contains("split") && !said.contains("rustc"), "{said}");
}

#[test]
fn stages_that_come_and_go_are_stored_anew() {
    let stored = figures("1.95", &[("decode", 1000.0)]);
    let found = figures("1.95", &[("encode", 5000.0)]);
    let said = stored.differences(&found).unwrap();
    assert!(
        said.contains("no stage any more") && said.contains("is new"),
        "{said}"
    );
}

#[test]
fn another_compiler_is_said_to_be_one() {
    let stored = figures("1.95", &[("decode", 1000.0)]);
    let said = stored
        .differences(&figures("1.96", &[("decode", 900.0)]))
        .unwrap();
    assert!(
        said.contains("rustc: stored with 1.95, found with 1.96"),
        "{said}"
    );
}
