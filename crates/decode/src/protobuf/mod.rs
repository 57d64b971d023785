//! `protobuf`: Protobuf's wire format, read straight into Arrow builders by the message type that each record was
//! written as; there is no message object. `docs/protobuf.md` says what becomes what.

use std::sync::Arc;

use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_records::Record;

use crate::bad::{Fault, Reason};
use crate::by_writer::{WrittenFormat, own, unusable};
use crate::columns::{Outcome, Reading, StructColumn};
use crate::frame::unframe;
use crate::settings::DecodeSettings;
use crate::writer_schemas::{Found, SchemaId, WriterSchema, refuse};
use crate::{Change, Forecast};

mod append;
mod compile;
mod frame;
mod json_text;
mod leaf;
mod message_text;
mod resolve;
mod scan;
pub(crate) mod schema;
mod shapes;
mod types;
mod value;
mod wire;

use resolve::{MessagePlan, resolve};
use schema::{Message, Types};
use wire::Span;

pub(crate) struct Protobuf;

impl WrittenFormat for Protobuf {
    type Columns = StructColumn;
    type Plan = MessagePlan;

    fn select(framed: &[u8]) -> Outcome<(&[u8], &[u8])> {
        frame::split(framed)
    }

    fn resolve(
        schema: &WriterSchema,
        selector: &[u8],
        own: &[&NestedFieldRef],
        table: &Schema,
        settings: &DecodeSettings,
    ) -> Outcome<(MessagePlan, Vec<Change>)> {
        let (message, types) = message(schema, selector, settings)?;
        let resolved = resolve(&message, &types, own, table, settings);
        Ok((resolved.plan, resolved.growth))
    }

    fn append(
        columns: &mut StructColumn,
        plan: &mut MessagePlan,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        if u32::try_from(record.len()).is_err() {
            columns.pad(false);
            return Err(Fault::fatal(Reason::TooLarge, "no message has more than 4 GiB"));
        }
        let mut whole = std::iter::once(Span::whole(record));
        columns.append_message(plan, &mut whole, record, reading)
    }
}

/// The message type that a record was written as.
fn message(
    schema: &WriterSchema,
    selector: &[u8],
    settings: &DecodeSettings,
) -> Outcome<(Arc<Message>, Arc<Types>)> {
    let WriterSchema::Protobuf(messages) = schema else {
        return Err(unusable(schema.is_not("PROTOBUF")));
    };
    let place = match settings.writers.is_framed() {
        true => frame::indexes(selector)?,
        false => Vec::new(),
    };
    match messages.at(&place) {
        Some(Ok(message)) => {
            let found = message.again.as_ref().map(|path| format!("field {path}"));
            refuse(found, settings.recursive).map_err(unusable)?;
            Ok((message.clone(), messages.types.clone()))
        }
        Some(Err(problem)) => Err(unusable(problem.as_str())),
        None => {
            let detail = format!("it has no message at {place:?}, which the record says it is");
            Err(Fault::fatal(Reason::NotFramed, detail))
        }
    }
}

/// What a table would make of records of the message that the settings have.
pub(crate) fn forecast(settings: &DecodeSettings, table: &Schema) -> Option<Forecast> {
    let Some(Found::Schema(schema)) = settings.writers.find(None) else {
        return None;
    };
    let (message, types) = message(&schema, &[], settings).ok()?;
    let resolved = resolve(&message, &types, &own(table), table, settings);
    Some(Forecast {
        changes: resolved.growth,
        misfits: resolved.misfits,
        left_out: resolved.left_out,
    })
}

/// The columns of a new table: those of the newest schema in the sample, which is the one with the highest id. What
/// older schemas have beside them, the table gets when it meets their records.
pub(crate) fn infer(records: &[Record<'_>], settings: &DecodeSettings) -> Vec<NestedFieldRef> {
    let known = |id, selector| match settings.writers.find(id) {
        Some(Found::Schema(schema)) => message(&schema, selector, settings).ok(),
        _ => None,
    };
    let message = match settings.writers.is_framed() {
        false => known(None, &[]),
        true => {
            let mut types: Vec<(SchemaId, &[u8])> = records
                .iter()
                .filter_map(|record| {
                    let (id, framed) = unframe(record.value?).ok()?;
                    Some((id, frame::split(framed).ok()?.0))
                })
                .collect();
            // Of one schema's messages, the one that comes first.
            types.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
            types.dedup();
            types
                .into_iter()
                .find_map(|(id, selector)| known(Some(id), selector))
        }
    };
    types::columns(
        message.as_ref().map(|(message, _)| &**message),
        settings.event_time.as_deref(),
        settings.protobuf_enums,
    )
}
