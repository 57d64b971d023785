//! A plan for machines.

use anyhow::Context;
use arrow::array::RecordBatch;
use arrow::json::WriterBuilder;
use arrow::json::writer::JsonArray;
use serde_json::{Value, json};
use tabletopic_ingest::plan::{Action, Column, ColumnPlan, Fault, Plan, Wish};
use tabletopic_table::schema::type_name;

use super::Planned;
use crate::exit::Exit;

pub fn of(exit: Exit, plans: &[Planned]) -> anyhow::Result<Value> {
    let topics = plans
        .iter()
        .map(planned)
        .collect::<anyhow::Result<Vec<Value>>>()?;
    Ok(json!({ "exit_code": exit as u8, "topics": topics }))
}

fn planned(planned: &Planned) -> anyhow::Result<Value> {
    match &planned.plan {
        Ok(plan) => topic(plan),
        Err(failure) => Ok(json!({
            "topic": &*planned.topic,
            "table": planned.table,
            "error": failure.message,
        })),
    }
}

fn topic(plan: &Plan) -> anyhow::Result<Value> {
    Ok(json!({
        "topic": &*plan.job.topic,
        "table": plan.job.table.to_string(),
        "action": match plan.action {
            Action::Create => "create",
            Action::Change => "change",
            Action::Nothing => "nothing",
        },
        "partitions": plan.partitions,
        "unread": plan.unread,
        "sampled": plan.sampled,
        "columns": plan.columns.iter().map(column).collect::<Vec<_>>(),
        "changes": plan.wishes.iter().map(change).collect::<Vec<_>>(),
        "partition_by": plan.partitioning.now,
        "partition_by_then": plan.partitioning.then,
        "properties": plan.properties,
        "rows": rows(&plan.rows)?,
        "filtered": plan.filtered,
        "set_aside": plan.faults.iter().map(fault).collect::<Vec<_>>(),
        "halts": plan.halts,
        "warnings": plan.warnings,
    }))
}

fn column(column: &Column) -> Value {
    json!({
        "id": column.field.id,
        "name": column.field.name,
        "type": type_name(&column.field.field_type),
        "required": column.field.required,
        "origin": column.origin.name(),
        "plan": match column.plan {
            ColumnPlan::Kept => "kept",
            ColumnPlan::Added => "added",
            ColumnPlan::Changed => "changed",
        },
    })
}

fn change(wish: &Wish) -> Value {
    json!({
        "change": wish.change,
        "partition": wish.partition,
        "offset": wish.offset,
    })
}

fn fault(fault: &Fault) -> Value {
    json!({
        "reason": fault.reason.as_str(),
        "field": fault.field,
        "only_the_field": fault.nulled,
        "records": fault.records,
        "partition": fault.partition,
        "offset": fault.offset,
        "detail": fault.detail,
    })
}

/// Arrow's own way of writing rows: times in RFC 3339, bytes in hexadecimal.
fn rows(batch: &RecordBatch) -> anyhow::Result<Value> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, JsonArray>(Vec::new());
    writer.write(batch).context("a row can't be shown as JSON")?;
    writer.finish().context("rows can't be shown as JSON")?;
    let text = writer.into_inner();
    match text.is_empty() {
        true => Ok(json!([])),
        false => serde_json::from_slice(&text).context("rows can't be shown as JSON"),
    }
}
