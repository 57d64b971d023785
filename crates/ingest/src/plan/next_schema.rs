//! What would become of a job's table if its records were written with a schema: the next version of a subject, or one
//! that nobody has registered yet. Nothing is read from the topic.

use iceberg::spec::Schema;
use tabletopic_decode::{DecodeSettings, Forecast, FormerNames, Key, Misfit, Part, WriterSchemas};
use tabletopic_shape::{forecast, schema_change};
use tabletopic_table::Lake;
use tabletopic_table::schema::{added, differences, evolve};

use super::Action;
use crate::job::Job;
use crate::prepare::{self, PrepareError};

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct NextSchema {
    pub action: Action,
    /// Such as `add column shipping.zip string`.
    pub changes: Vec<String>,
    /// What the table can't follow, so that records, or some of them, would be bad.
    pub refused: Vec<Misfit>,
    /// Fields that would get no column.
    pub left_out: Vec<String>,
}

impl NextSchema {
    /// Of a schema that is none, or not of the topic's format.
    pub fn unusable(why: String) -> Self {
        Self {
            action: Action::Nothing,
            changes: Vec::new(),
            refused: vec![whole(why)],
            left_out: Vec::new(),
        }
    }
}

/// Compares a schema of the values or of the keys, which `writers` has as if from a file, with the job's table.
///
/// # Errors
/// Those of loading the table; names that no table can have.
pub async fn next_schema(
    lake: &Lake,
    job: &Job,
    part: Part,
    writers: WriterSchemas,
) -> Result<NextSchema, PrepareError> {
    let table = prepare::exists(lake, job).await?;
    let former_names = table.as_ref().map_or_else(FormerNames::default, |table| {
        let schemas = table.metadata.schemas_iter().map(AsRef::as_ref);
        FormerNames::of(table.metadata.current_schema(), schemas)
    });
    let mut decode = DecodeSettings {
        former_names,
        ..job.decode.clone()
    };
    match (part, decode.key.take()) {
        (Part::Key, Some(key)) => decode.key = Some(Key { writers, ..key }),
        (Part::Value, key) => (decode.writers, decode.key) = (writers, key),
        (Part::Key, None) => {}
    }
    let forecast = |schema: &Schema| {
        let found =
            forecast(job.shape.as_ref(), &decode, part, schema).map_err(|source| PrepareError::Decode {
                job: job.id.to_string(),
                source,
            });
        found.map(Option::unwrap_or_default)
    };
    let job = Job {
        decode: decode.clone(),
        ..job.clone()
    };
    let Some(table) = table else {
        let schema = prepare::new_schema(&job, &[])?;
        let Forecast {
            misfits, left_out, ..
        } = forecast(&schema)?;
        return Ok(NextSchema {
            action: Action::Create,
            changes: added(&schema),
            refused: misfits,
            left_out,
        });
    };
    let before = table.metadata.current_schema();
    let Forecast {
        changes,
        misfits: mut refused,
        left_out,
    } = forecast(before)?;
    let (mut schema, mut last_column_id) = (before.as_ref().clone(), table.metadata.last_column_id());
    for change in &changes {
        match evolve(&schema, last_column_id, &[schema_change(change)]) {
            Ok(evolved) => (schema, last_column_id) = evolved,
            Err(error) => refused.push(whole(error.to_string())),
        }
    }
    let changes = differences(before, &schema);
    Ok(NextSchema {
        action: match changes.is_empty() {
            true => Action::Nothing,
            false => Action::Change,
        },
        changes,
        refused,
        left_out,
    })
}

/// What is wrong with the schema as a whole.
fn whole(why: String) -> Misfit {
    Misfit {
        column: String::new(),
        why,
    }
}
