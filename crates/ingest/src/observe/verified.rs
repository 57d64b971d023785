//! What verification beside the ingest has said of each table.

use std::collections::BTreeMap;

use iceberg::TableIdent;
use tabletopic_clock::Millis;

use super::observed::{Observed, lock};
use super::report::VerifiedReport;

/// What came of verifying a table once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The verdict in a sentence.
    pub says: String,
    /// What is wrong, by check; every check is there.
    pub findings: BTreeMap<&'static str, u64>,
}

/// The newest verdict.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    at: Millis,
    /// When nothing was wrong last.
    proven_at: Option<Millis>,
    verified: Verified,
}

impl Observed {
    /// Notes a verdict.
    pub fn verified(&self, table: &TableIdent, verified: Verified) {
        let (at, name) = (self.clock.now(), table.to_string());
        for (check, findings) in &verified.findings {
            let gauge = self.metrics.verify_findings.with_label_values(&[&*name, check]);
            gauge.set(i64::try_from(*findings).unwrap_or(i64::MAX));
        }
        let proven = verified.findings.values().all(|findings| *findings == 0);
        if proven {
            let gauge = self.metrics.verify_last_proven.with_label_values(&[&*name]);
            gauge.set(at as f64 / 1000.0);
        }
        let mut all = lock(&self.verified);
        let before = all.get(table).and_then(|seen| seen.proven_at);
        let proven_at = if proven { Some(at) } else { before };
        all.insert(
            table.clone(),
            Seen {
                at,
                proven_at,
                verified,
            },
        );
    }

    pub(super) fn verified_report(&self, table: &TableIdent) -> Option<VerifiedReport> {
        let all = lock(&self.verified);
        let seen = all.get(table)?;
        Some(VerifiedReport {
            at: seen.at,
            proven_at: seen.proven_at,
            findings: seen.verified.findings.values().sum(),
            says: seen.verified.says.clone(),
        })
    }
}
