//! The status page. All of it is made here, so that it can be read without scripts; the script only asks for it again
//! every few seconds and changes what has changed.
//!
//! What is wrong stands first, and only what waits for a person is red. Tables are cut to what a person can read;
//! `/status.json` has everything.

mod commits;
mod findings;
mod halts;
mod jobs;
mod partitions;
mod plot;
mod state;
mod words;

use maud::{DOCTYPE, Markup, html};
use tabletopic_ingest::observe::Report;

use crate::history::History;
use crate::trend::Trend;
use jobs::Job;
use words::{ago, clock};

pub const STYLE: &str = include_str!("page.css");
pub const SCRIPT: &str = include_str!("page.js");
pub const ICON: &str = include_str!("icon.svg");

/// The whole page. `missing` is what the service still waits for.
pub fn page(report: &Report, missing: &[String], history: &History) -> Markup {
    let mut jobs: Vec<Job<'_>> = report
        .jobs
        .iter()
        .map(|job| {
            let trend = Trend::of(history.of(&job.job));
            let state = state::of_job(job, &report.halts, trend);
            Job {
                report: job,
                table: report.tables.iter().find(|table| table.table == job.table),
                points: history.of(&job.job).collect(),
                trend,
                state,
            }
        })
        .collect();
    let states: Vec<_> = jobs.iter().map(|job| job.state.clone()).collect();
    let all = state::of_all(report, missing, &states);
    // The worst first; else by topic, so that nothing jumps about.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.state.level));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (all.words) " · tabletopic" }
                link rel="stylesheet" href="page.css";
                link rel="icon" href="icon.svg";
                script src="page.js" defer {}
                noscript { meta http-equiv="refresh" content="15"; }
            }
            body {
                p #stale role="status" hidden { }
                main {
                    header class=(all.level.class()) {
                        h1 { (all.words) }
                        p {
                            (state::extent(report))
                            @if let Some(at) = report.broker_at { " · broker answered " (ago(report.made_at, at)) }
                            " · as of " (clock(report.made_at))
                        }
                    }
                    (halts::section(report))
                    (findings::section(report))
                    (jobs::section(&jobs, report))
                    (commits::section(report))
                }
                footer {
                    "tabletopic " (env!("CARGO_PKG_VERSION")) " · "
                    a href="status.json" { "status.json" } " · "
                    a href="metrics" { "metrics" } " · "
                    a href="healthz" { "healthz" } " · "
                    a href="readyz" { "readyz" }
                }
            }
        }
    }
}
