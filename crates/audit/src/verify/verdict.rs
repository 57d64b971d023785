//! What a verdict says: of each check what came of it, what that rests on, and what was found.

use std::collections::BTreeMap;

use serde::Serialize;
use tabletopic_clock::Millis;

pub use super::findings::{Finding, Findings, TOLD};

/// The kind of finding of a table that stands still until somebody has looked.
pub const HALTED: &str = "halted";

/// The checks, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// The tag and the state are there, and our newest snapshot is in `main`.
    History,
    /// Every offset up to the progress is in one range of the ledger, and its counts are the state's.
    Ledger,
    /// Files are there, and what their entries say of them is true.
    Files,
    /// No offset is twice in the table, and none outside of the progress.
    Offsets,
    /// As many rows as were counted, by count and by the sum of their offsets.
    Rows,
    /// Dead letters, likewise.
    DeadLetters,
    /// What has no row is nothing that the broker still has.
    Broker,
}

impl Name {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Ledger => "ledger",
            Self::Files => "files",
            Self::Offsets => "offsets",
            Self::Rows => "rows",
            Self::DeadLetters => "dead-letters",
            Self::Broker => "broker",
        }
    }

    fn rests_on(self) -> RestsOn {
        match self {
            Self::Broker => RestsOn::Broker,
            Self::History | Self::Ledger | Self::Files | Self::Offsets | Self::Rows | Self::DeadLetters => {
                RestsOn::Table
            }
        }
    }
}

/// What came of a check, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    NotChecked,
    /// Something to know that is not wrong.
    Note,
    Failed,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Note => "note",
            Self::Failed => "failed",
        }
    }
}

/// Whom to believe for a claim to be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestsOn {
    Table,
    Broker,
}

impl RestsOn {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Broker => "broker",
        }
    }
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub name: Name,
    pub outcome: Outcome,
    pub rests_on: RestsOn,
    pub says: String,
    /// The first of each kind.
    pub findings: Vec<Finding>,
    /// All of them, by kind.
    pub counted: BTreeMap<&'static str, u64>,
}

impl Check {
    /// `says` is for a check in which nothing was found to be wrong.
    pub fn of(name: Name, says: impl Into<String>, findings: Findings) -> Self {
        let outcome = findings.worst.unwrap_or(Outcome::Ok);
        let says = match outcome {
            Outcome::Failed => failed(&findings),
            _ => says.into(),
        };
        Self {
            name,
            outcome,
            rests_on: name.rests_on(),
            says,
            findings: findings.told,
            counted: findings.counted,
        }
    }

    pub fn not_checked(name: Name, why: impl Into<String>) -> Self {
        Self {
            name,
            outcome: Outcome::NotChecked,
            rests_on: name.rests_on(),
            says: why.into(),
            findings: Vec::new(),
            counted: BTreeMap::new(),
        }
    }
}

fn failed(findings: &Findings) -> String {
    let kinds = findings.counted.iter();
    let words: Vec<String> = kinds.map(|(kind, times)| format!("{kind}: {times}")).collect();
    words.join(", ")
}

/// The snapshot that was judged.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    pub snapshot_id: i64,
    pub sequence_number: i64,
    /// Milliseconds since the Unix epoch.
    pub time: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// All that was checked is as it should be.
    Proven,
    Differs,
    /// The table stands still until somebody has looked.
    Halted,
}

/// What is to be said of a table.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    pub table: String,
    pub conclusion: Conclusion,
    /// One sentence.
    pub says: String,
    /// `None`: `main` has no snapshot.
    pub judged: Option<Judged>,
    /// What is younger than this snapshot was judged; what is older rests on its own verdict.
    pub since: Option<i64>,
    /// How often the snapshot that was read expired meanwhile, so that a newer one was read from the start.
    pub started_again: u32,
    pub checks: Vec<Check>,
}

impl Verdict {
    pub(super) fn of(
        table: String,
        judged: Option<Judged>,
        since: Option<i64>,
        mut checks: Vec<Check>,
    ) -> Self {
        checks.sort_by_key(|check| check.name);
        let failed = |check: &&Check| check.outcome == Outcome::Failed;
        let halted = checks.iter().any(|check| check.counted.contains_key(HALTED));
        let wrong: Vec<&str> = checks
            .iter()
            .filter(failed)
            .map(|check| check.name.as_str())
            .collect();
        let (conclusion, says) = if halted {
            (
                Conclusion::Halted,
                format!("{table} is halted: answer the halt, then verify it again"),
            )
        } else if !wrong.is_empty() {
            let says = format!("{table} is not as it should be: {}", wrong.join(", "));
            (Conclusion::Differs, says)
        } else {
            (Conclusion::Proven, proven(&table, &checks))
        };
        Self {
            table,
            conclusion,
            says,
            judged,
            since,
            started_again: 0,
            checks,
        }
    }

    /// Whether a file was gone that the snapshot needs.
    pub(super) fn misses_files(&self) -> bool {
        self.checks
            .iter()
            .any(|check| check.counted.contains_key(super::files::MISSING))
    }
}

fn proven(table: &str, checks: &[Check]) -> String {
    let find = |of: Name| checks.iter().find(|check| check.name == of);
    let made = |check: &&Check| matches!(check.outcome, Outcome::Ok | Outcome::Note);
    let by_table = find(Name::Rows).filter(made).is_some();
    let asked = |check: &&Check| {
        !["topic-gone", "not-asked"]
            .iter()
            .any(|kind| check.counted.contains_key(kind))
    };
    let by_broker = find(Name::Broker).filter(made).filter(asked).is_some();
    match (by_table, by_broker) {
        (true, true) => format!(
            "{table} holds each record exactly once: that rests on the table, and on the broker as far back as it goes"
        ),
        (true, false) => format!(
            "{table} holds what was counted, each offset once: that rests on the table alone, and what was counted on \
             whoever read it"
        ),
        (false, _) => format!("{table} has the files that it says it has; more was not checked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_kind_are_told_and_all_are_counted() {
        let mut findings = Findings::default();
        for _ in 0..TOLD + 5 {
            findings.add(Finding::failed("gap", "a gap"));
        }
        findings.add_many(Finding::note("other", "a note"), 7);
        let check = Check::of(Name::Ledger, "all is well", findings);
        assert_eq!(check.findings.len() as u64, TOLD + 1);
        assert_eq!(check.counted, BTreeMap::from([("gap", TOLD + 5), ("other", 7)]));
        assert_eq!(check.outcome, Outcome::Failed);
        assert_eq!(check.says, "gap: 25, other: 7");
    }

    #[test]
    fn a_note_or_what_was_not_checked_is_no_failure() {
        let mut findings = Findings::default();
        findings.add(Finding::note("deleted-by-others", "somebody deleted"));
        let checks = vec![
            Check::not_checked(Name::Broker, "left out"),
            Check::of(Name::Rows, "as counted", findings),
        ];
        let verdict = Verdict::of("t".to_owned(), None, None, checks);
        assert_eq!(verdict.conclusion, Conclusion::Proven);
        assert!(verdict.says.ends_with("whoever read it"), "{}", verdict.says);
    }
}
