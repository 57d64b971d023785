//! What the log was told of a table: each round finds the same again, and says only what is news.

use std::collections::BTreeMap;

use iceberg::TableIdent;

use crate::verify::{Conclusion, Name, Outcome, Verdict, VerifyError};

/// What makes a finding the same in the next round: its words may count rows, which become more.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    check: Name,
    kind: &'static str,
    topic: Option<String>,
    partition: Option<i32>,
    offsets: Option<(i64, i64)>,
    files: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Told {
    /// What the last verdict found, with its words.
    findings: BTreeMap<Place, String>,
    /// Why there was no verdict.
    error: Option<String>,
}

impl Told {
    pub fn verdict(&mut self, table: &TableIdent, verdict: &Verdict) {
        self.error = None;
        // Its committer says that it stands still, and what answers it.
        if verdict.conclusion == Conclusion::Halted {
            return;
        }
        let found = findings(verdict);
        let news = found
            .iter()
            .filter(|(place, _)| !self.findings.contains_key(place));
        let news: Vec<&String> = news.map(|(_, words)| words).collect();
        for words in &news {
            tracing::error!(%table, "verify found {words}");
        }
        if !news.is_empty() {
            tracing::error!(%table, "{}; `tabletopic verify {table}` has all of it", verdict.says);
        } else if found.is_empty() && !self.findings.is_empty() {
            tracing::info!(%table, "verify finds nothing wrong any more: {}", verdict.says);
        } else {
            tracing::debug!(%table, "{}", verdict.says);
        }
        self.findings = found;
    }

    pub fn error(&mut self, table: &TableIdent, error: &VerifyError) {
        let words = error.to_string();
        if self.error.as_ref() != Some(&words) {
            tracing::warn!(%table, "it is not verified for now: {words}");
            self.error = Some(words);
        }
    }
}

/// What is wrong, as `verify` says it; of each kind the first.
fn findings(verdict: &Verdict) -> BTreeMap<Place, String> {
    let mut found = BTreeMap::new();
    for check in &verdict.checks {
        let failed = check
            .findings
            .iter()
            .filter(|finding| finding.outcome == Outcome::Failed);
        for finding in failed {
            let place = Place {
                check: check.name,
                kind: finding.kind,
                topic: finding.topic.clone(),
                partition: finding.partition,
                offsets: finding.offsets,
                files: finding.files.clone(),
            };
            let words = format!("{}: {}: {}", check.name.as_str(), finding.kind, finding.says);
            found.entry(place).or_insert(words);
        }
    }
    found
}
