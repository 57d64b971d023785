//! A few answers of the tables, by the engine of `tabletopic sql`, each below its question.

use anyhow::Context;
use console::style;
use tabletopic_query::output::Format;
use tabletopic_query::script;

use super::screen::{self, heading};
use crate::commands::sql;
use crate::config::Config;

const BY_DAY: &str = "\
SELECT CAST(created_at AS DATE) AS day, count(*) AS orders,
       count(*) FILTER (WHERE _kafka_timestamp - created_at >= INTERVAL '1 hour') AS late
FROM orders GROUP BY day ORDER BY day;";

const SET_ASIDE: &str = "\
SELECT reason, count(*) AS records
FROM \"orders$dead_letters\" GROUP BY reason ORDER BY records DESC;";

/// Asks and answers.
///
/// # Errors
/// Those of reading the tables.
pub async fn tell(config: &Config) -> anyhow::Result<()> {
    let engine = sql::engine(config).await?;
    screen::say(&heading("Answers", "by the SQL shell that is built in"));
    for question in [BY_DAY, SET_ASIDE] {
        let mut answer = Vec::new();
        script::run(&engine, None, question, Format::Table, &mut answer)
            .await
            .context("the tables can't be asked")?;
        screen::say(&indented(&style(question).cyan().to_string()));
        screen::say(&indented(&String::from_utf8_lossy(&answer)));
    }
    Ok(())
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}
