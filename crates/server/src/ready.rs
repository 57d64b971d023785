//! What a service waits for before it works on its jobs.

use tabletopic_ingest::observe::Report;

/// One sentence each, for a service that is not ready.
pub fn missing(report: &Report) -> Vec<String> {
    let mut missing: Vec<String> = report
        .jobs
        .iter()
        .filter(|job| job.partitions.is_empty())
        .map(|job| {
            format!(
                "topic {} and table {} are not prepared yet; if this lasts, the log says what is waited for",
                job.topic, job.table
            )
        })
        .collect();
    if missing.is_empty() {
        missing.push("the workers have not started yet".to_owned());
    }
    missing
}
