//! `protobuf`: Protobuf's wire format, read straight into Arrow builders by the message type that each record was
//! written as; there is no message object. `docs/protobuf.md` says what becomes what.

use std::borrow::Cow;
use std::sync::Arc;

use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_records::{Record, SchemaId};

use crate::bad::{Fault, Reason};
use crate::by_writer::{WrittenFormat, own, unusable};
use crate::columns::{Outcome, Reading, StructColumn};
use crate::frame::{Framed, Naming, Select};
use crate::settings::DecodeSettings;
use crate::writer_schemas::{Found, WriterSchema, refuse};
use crate::{Change, Forecast};

mod append;
mod compile;
mod indexes;
mod json_text;
mod leaf;
mod message_text;
mod resolve;
mod scan;
pub(crate) mod schema;
mod shapes;
mod type_name;
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

    const SELECT: Option<Select> = Some(select);

    fn resolve(
        schema: &WriterSchema,
        selector: &[u8],
        own: &[&NestedFieldRef],
        table: &Schema,
        settings: &DecodeSettings,
    ) -> Outcome<(MessagePlan, Vec<Change>)> {
        let (message, types) = message(schema, selector, settings)?;
        let resolved = resolve(&message, &types, own, table, settings);
        Ok((resolved.plan, resolved.forecast.changes))
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

fn select(framed: &[u8], naming: Naming) -> Outcome<(&[u8], &[u8])> {
    match naming {
        Naming::ByPlace => indexes::split(framed),
        Naming::ByName => type_name::split(framed),
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
    let (message, said) = match (settings.writers.is_framed(), settings.framing.naming()) {
        (false, _) => (messages.at(&[]), String::new()),
        (true, Naming::ByPlace) => {
            let place = indexes::indexes(selector)?;
            (messages.at(&place), format!("at {place:?}"))
        }
        (true, Naming::ByName) => {
            let name = String::from_utf8_lossy(selector);
            (messages.named(&name), format!("{name:?}"))
        }
    };
    match message {
        Some(Ok(message)) => {
            let found = message.again.as_ref().map(|path| format!("field {path}"));
            refuse(found, settings.recursive).map_err(unusable)?;
            Ok((message.clone(), messages.types.clone()))
        }
        Some(Err(problem)) => Err(unusable(problem.as_str())),
        None => {
            let detail = format!("it has no message {said}, which the record says it is");
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
    Some(resolve(&message, &types, &own(table), table, settings).forecast)
}

/// The columns of a new table: those of the newest schema in the sample, which is the one with the highest id. What
/// older schemas have beside them, the table gets when it meets their records.
pub(crate) fn infer(records: &[Record<'_>], settings: &DecodeSettings) -> Vec<NestedFieldRef> {
    let known = |id, selector: &[u8]| match settings.writers.find(id) {
        Some(Found::Schema(schema)) => message(&schema, selector, settings).ok(),
        _ => None,
    };
    let message = match settings.writers.is_framed() {
        false => known(None, &[]),
        true => {
            let frames = settings.frames(records, Protobuf::SELECT);
            let mut types: Vec<(SchemaId, Cow<'_, [u8]>)> =
                frames.map(|Framed { id, selector, .. }| (id, selector)).collect();
            // Of one schema's messages, the one that comes first.
            types.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
            types.dedup();
            types
                .into_iter()
                .find_map(|(id, selector)| known(Some(id), &selector))
        }
    };
    types::columns(
        message.as_ref().map(|(message, _)| &**message),
        settings.event_time.as_deref(),
        settings.protobuf_enums,
    )
}
