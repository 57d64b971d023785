//! Verification beside `run`: `[verify]` in the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::TableIdent;
use tabletopic_audit::rounds::{Service, Settings, keep_verifying};
use tabletopic_audit::verify::{Conclusion, Means, Outcome, Progress, Verdict};
use tabletopic_ingest::observe::{Observed, Verified};
use tabletopic_maintain::pace::{Paced, Share};
use tabletopic_table::storage::RequestCounts;

use crate::aside::Aside;
use crate::commands::maintain::part;
use crate::commands::verify::brokers;
use crate::config::Config;
use crate::parts;

/// What bitmaps may take is this part of what they may take by hand: more windows, and less memory beside the ingest.
const PART: usize = 4;

/// `None`: the configuration wants none.
///
/// # Errors
/// Those of making a thread.
pub fn start(
    config: &Config,
    requests: Arc<RequestCounts>,
    observed: Arc<Observed>,
) -> std::io::Result<Option<Aside>> {
    let Some(wanted) = config.verify.clone() else {
        return Ok(None);
    };
    let config = config.clone();
    let work = async move || {
        let settings = Settings {
            every: wanted.every,
            whole_every: wanted.whole_every,
        };
        let share = Share {
            processor: wanted.processor,
            bytes_per_second: u64::MAX,
        };
        // Connections of its own: those that are opened here wait while there is something to decode.
        let lake = match parts::lake(&config, requests).await {
            Ok(lake) => lake,
            Err(error) => return tracing::warn!("tables are not verified: {error:#}"),
        };
        let means = Means {
            lake: &lake,
            brokers: brokers(&config).map_err(|error| format!("there is no client of the broker: {error:#}")),
            memory: part(&config) / PART,
            progress: &Quiet,
        };
        let running = Running(&observed);
        Paced::new(keep_verifying(&means, &settings, &running), share).await;
    };
    Aside::start("verification", work).map(Some)
}

/// Nobody looks on.
struct Quiet;

impl Progress for Quiet {
    fn done(&self, _what: &'static str, _done: u64, _all: u64) {}
}

/// The service whose tables they are.
struct Running<'a>(&'a Observed);

impl Service for Running<'_> {
    fn tables(&self) -> Vec<(TableIdent, i64)> {
        let tables = self.0.tables().into_iter();
        tables.map(|(table, seen)| (table, seen.snapshot_id)).collect()
    }

    fn judged(&self, table: &TableIdent, verdict: &Verdict) {
        match verdict.conclusion {
            Conclusion::Proven | Conclusion::Differs => self.0.verified(table, verified(verdict)),
            // A halt is told as one, and nothing else is known.
            Conclusion::Halted => {}
        }
    }
}

fn verified(verdict: &Verdict) -> Verified {
    let checks = verdict.checks.iter().map(|check| {
        let failed = |kind: &str| {
            let mut findings = check.findings.iter();
            findings.any(|finding| finding.kind == kind && finding.outcome == Outcome::Failed)
        };
        let counted = check.counted.iter().filter(|(kind, _)| failed(kind));
        (check.name.as_str(), counted.map(|(_, times)| times).sum())
    });
    Verified {
        says: verdict.says.clone(),
        findings: checks.collect::<BTreeMap<_, _>>(),
    }
}
