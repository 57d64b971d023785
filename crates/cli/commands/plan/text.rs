//! A plan for people, on 80 columns: the table's columns from top to bottom, each with its values in two rows.

use std::io::{self, Write};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use console::{pad_str, style, truncate_str};
use tabletopic_decode::OnBadRecord;
use tabletopic_ingest::plan::{Action, Column, ColumnPlan, Fault, Origin, Partitioning, Plan, Wish};
use tabletopic_table::schema::type_name;

use super::Planned;

/// Rows beside each other.
const ROWS: usize = 2;

/// Widths of the listing.
const NAME: usize = 18;
const TYPE: usize = 12;
const VALUE: usize = 20;

/// Topics that are shown whole. Of further ones there is a line, and whoever wants more names them.
const WHOLE: usize = 20;

pub fn print(plans: &[Planned], out: &mut dyn Write) -> anyhow::Result<()> {
    for (number, planned) in plans.iter().enumerate() {
        heading(planned, out)?;
        match &planned.plan {
            Ok(plan) if number < WHOLE => details(plan, out)?,
            Ok(plan) => halts(plan, out)?,
            Err(_) => {}
        }
    }
    let more = plans
        .iter()
        .skip(WHOLE)
        .filter(|planned| planned.plan.is_ok())
        .count();
    if more > 0 {
        writeln!(
            out,
            "{more} topics are shown by one line each; name those to be shown whole"
        )?;
    }
    Ok(())
}

fn heading(planned: &Planned, out: &mut dyn Write) -> io::Result<()> {
    let topic = style(&planned.topic).bold();
    let table = match &planned.table {
        Some(table) => format!(" -> {}", style(table).bold()),
        None => String::new(),
    };
    let failed = style("failed:").red().bold();
    match &planned.plan {
        Err(failure) => writeln!(out, "{topic}{table}: {failed} {}\n", failure.message),
        Ok(plan) => {
            let what = match plan.action {
                Action::Create => style("would be made").green(),
                Action::Change => style("would change").yellow(),
                Action::Nothing => style("stays as it is").dim(),
            };
            writeln!(out, "{topic}{table}: {what}")
        }
    }
}

fn details(plan: &Plan, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "  {} partitions, {} offsets to read; {} records were looked at",
        plan.partitions, plan.unread, plan.sampled
    )?;
    halts(plan, out)?;
    for warning in &plan.warnings {
        writeln!(out, "  {} {warning}", style("mind:").yellow().bold())?;
    }
    columns(plan, out)?;
    let Partitioning { now, then } = &plan.partitioning;
    write!(out, "  partitioned by [{}]", now.join(", "))?;
    match then {
        None => writeln!(out)?,
        Some(then) => writeln!(
            out,
            "{}",
            style(format!(", from the next commit on by [{}]", then.join(", "))).yellow()
        )?,
    }
    if plan.action == Action::Create {
        for (name, value) in &plan.properties {
            writeln!(out, "  {}", style(format!("{name} = {value}")).dim())?;
        }
    }
    changes(plan, out)?;
    faults(plan, out)?;
    writeln!(out)?;
    Ok(())
}

fn halts(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let mut halts = plan.halts.iter();
    halts.try_for_each(|halt| writeln!(out, "  {} {halt}", style("would halt:").red().bold()))
}

fn columns(plan: &Plan, out: &mut dyn Write) -> anyhow::Result<()> {
    let shown = plan.rows.num_rows().min(ROWS);
    let mut heading = line("", "id", "column", "type");
    for row in 1..=shown {
        heading.push_str(&cell(&format!("row {row}"), VALUE));
    }
    writeln!(out, "{}", style(heading.trim_end()).dim())?;
    for (number, column) in plan.columns.iter().enumerate() {
        let mark = match (plan.action, column.plan) {
            (Action::Create, _) | (_, ColumnPlan::Kept) => " ",
            (_, ColumnPlan::Added) => "+",
            (_, ColumnPlan::Changed) => "~",
        };
        let field = &column.field;
        let mut text = line(
            mark,
            &field.id.to_string(),
            &field.name,
            &type_name(&field.field_type),
        );
        let values = plan.rows.column(number);
        let format = FormatOptions::default().with_null("-").with_display_error(true);
        let values = ArrayFormatter::try_new(values, &format)?;
        for row in 0..shown {
            text.push_str(&cell(&values.value(row).to_string(), VALUE));
        }
        let text = text.trim_end();
        writeln!(
            out,
            "{}",
            match mark {
                " " => style(text),
                _ => style(text).yellow(),
            }
        )?;
    }
    writeln!(out, "  {}", style(origins(&plan.columns, plan.sampled)).dim())?;
    Ok(())
}

fn line(mark: &str, id: &str, column: &str, ty: &str) -> String {
    format!("{mark:1} {id:>3} {}{}", cell(column, NAME), cell(ty, TYPE))
}

/// Text of exactly this width, and a space.
fn cell(text: &str, width: usize) -> String {
    let text = harmless(text);
    let text = truncate_str(&text, width, "…");
    format!("{} ", pad_str(&text, width, console::Alignment::Left, None))
}

/// What came with a record, without the characters by which it could steer the terminal.
pub fn harmless(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Where the columns come from.
fn origins(columns: &[Column], sampled: usize) -> String {
    let from = |origin: Origin, words: String| {
        let count = columns.iter().filter(|column| column.origin == origin).count();
        (count > 0).then(|| format!("{count} {words}"))
    };
    let told: Vec<String> = [
        from(Origin::Table, "of the table".to_owned()),
        from(Origin::Ddl, "of the DDL file".to_owned()),
        from(Origin::Schema, "of the records' schema".to_owned()),
        from(Origin::Inferred, format!("inferred from {sampled} records")),
        from(Origin::Raw, "of the raw format".to_owned()),
        from(Origin::Kafka, "of Kafka".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!("columns: {}", told.join(", "))
}

fn changes(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    for Wish {
        change,
        partition,
        offset,
    } in &plan.wishes
    {
        writeln!(
            out,
            "  {}: for {}/{partition} offset {offset}",
            harmless(change),
            plan.job.topic
        )?;
    }
    Ok(())
}

fn faults(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    for Fault {
        reason,
        field,
        nulled,
        records,
        partition,
        offset,
        detail,
    } in &plan.faults
    {
        let becomes = match (nulled, plan.job.decode.on_bad_record) {
            (true, _) => "lose the field",
            (false, OnBadRecord::Halt) => "to be set aside if on_bad_record were \"dead-letter\"",
            (false, OnBadRecord::DeadLetter | OnBadRecord::NullField) => "set aside",
        };
        let field = field
            .as_ref()
            .map_or_else(String::new, |field| format!(" in `{}`", harmless(field)));
        let detail = harmless(detail);
        writeln!(
            out,
            "  {records} {becomes}: {reason}{field}, such as {}/{partition} offset {offset}: {detail}",
            plan.job.topic
        )?;
    }
    if plan.filtered > 0 {
        writeln!(
            out,
            "  {} left out of the table, as the configuration says",
            plan.filtered
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_does_not_steer_the_terminal() {
        assert_eq!(cell("a\u{1b}[2J\r\nb\u{9b}1m", 12), "a [2J  b 1m  ");
    }
}
