//! Each job: how it does, its figures, and its last hour.

use maud::{Markup, html};
use tabletopic_ingest::observe::{JobReport, Report, TableReport};

use super::partitions;
use super::plot::{Plot, round_up, round_up_seconds};
use super::state::State;
use super::words::{ago, count, exact, span};
use crate::history::Point;
use crate::trend::Trend;

/// A job with all that is said of it.
pub struct Job<'r> {
    pub report: &'r JobReport,
    /// The table that it feeds, once it is known.
    pub table: Option<&'r TableReport>,
    /// The last hour, oldest first.
    pub points: Vec<&'r Point>,
    pub trend: Trend,
    pub state: State,
}

/// Jobs whose partitions are shown without a click.
const FEW_JOBS: usize = 3;

/// Seconds of reading that fill a plot at least, so that what the next commit takes away looks small.
const LEAST_SECONDS: f64 = 120.0;

const LAG: &str = "Records that the topic has and the table does not";

pub fn section(jobs: &[Job<'_>], report: &Report) -> Markup {
    html! {
        section #jobs {
            @for job in jobs {
                article.job id={ "job-" (job.report.job) } {
                    (heading(job))
                    div.body {
                        (figures(job, report))
                        (plots(job, report))
                    }
                    (partitions::details(job.report, report, jobs.len() <= FEW_JOBS))
                }
            }
        }
    }
}

fn heading(job: &Job<'_>) -> Markup {
    html! {
        h2 {
            span.topic { (job.report.topic) }
            span.arrow { " → " }
            span.table { (job.report.table) }
            span class={ "state " (job.state.level.class()) } { (job.state.words) }
        }
        @if job.report.job != job.report.topic {
            p.id { "job " (job.report.job) }
        }
    }
}

fn figures(job: &Job<'_>, report: &Report) -> Markup {
    let lag = job.report.lag_records;
    html! {
        dl {
            (figure("Lag, records", LAG, html! {
                @match lag { Some(lag) => (exact(lag)), None => (unknown()) }
            }))
            (figure("Oldest unread", "Age of the oldest record that is not in the table", html! {
                @match (lag, job.report.lag_seconds) {
                    (Some(0), _) => "none",
                    (_, Some(seconds)) => (span(seconds)),
                    (_, None) => (unknown()),
                }
            }))
            (figure("Freshness", "Age of the newest record that is in the table, by its Kafka timestamp", html! {
                @match job.table.and_then(|table| table.freshness_seconds) {
                    Some(seconds) => (span(seconds)),
                    None => (unknown()),
                }
            }))
            (figure("Into the table", "Offsets that commits took in, over the last five minutes, by all processes", html! {
                @match job.trend.rate {
                    Some(rate) => { (count(rate.round() as u64)) small { " /s" } }
                    None => (unknown()),
                }
            }))
            (figure("Last commit", "When the table got its newest snapshot of ours", html! {
                @match job.table.and_then(|table| table.last_commit_at) {
                    Some(at) => (ago(report.made_at, at)),
                    None => (unknown()),
                }
            }))
            @if job.report.backfill_left() > 0 {
                (figure("History", "Offsets that are still to be filled behind what is new", html! {
                    (exact(job.report.backfill_left())) small { " left" }
                }))
            }
            (figure("To retention", "Until the broker may delete the oldest unread record", html! {
                @match job.report.seconds_to_retention {
                    Some(seconds) => (span(seconds)),
                    None => (unknown()),
                }
            }))
            @if let Some(table) = job.table {
                (figure("Rows", "That our commits put into the table, in total", exact(table.rows)))
                @if table.dead_letters > 0 {
                    (figure("Dead letters", "Records that could not become rows, in total", exact(table.dead_letters)))
                }
                @if table.lost > 0 {
                    (figure("Lost", "Offsets that somebody declared lost, in total", exact(table.lost)))
                }
            }
        }
    }
}

fn figure(name: &str, meaning: &str, value: Markup) -> Markup {
    html! {
        div { dt title=(meaning) { (name) } dd { (value) } }
    }
}

fn unknown() -> Markup {
    html! { span.unknown title="not known" { "–" } }
}

fn plots(job: &Job<'_>, report: &Report) -> Markup {
    let lag = Plot {
        name: "Lag, records",
        meaning: LAG,
        now: report.made_at,
        points: job
            .points
            .iter()
            .map(|point| (point.at, point.lag.map(|lag| lag as f64)))
            .collect(),
        least_top: (job.trend.rate.unwrap_or(0.0) * LEAST_SECONDS).max(10.0),
        round_up,
        format: |records| count(records as u64),
    };
    let freshness = Plot {
        name: "Freshness",
        meaning: "Age of the newest record that is in the table; it grows while nothing is produced",
        now: report.made_at,
        points: job
            .points
            .iter()
            .map(|point| (point.at, point.freshness))
            .collect(),
        least_top: LEAST_SECONDS,
        round_up: round_up_seconds,
        format: span,
    };
    html! {
        div.plots { (lag.draw()) (freshness.draw()) }
    }
}
