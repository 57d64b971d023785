//! Comma-separated values, with a header.

use std::io::Write;

use arrow::csv::WriterBuilder;
use futures::TryStreamExt;

use crate::engine::Answer;
use crate::error::{QueryError, quoted};

pub async fn write(mut answer: Answer, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
    let nested = answer
        .schema
        .fields()
        .iter()
        .find(|field| field.data_type().is_nested());
    if let Some(nested) = nested {
        return Err(QueryError::NestedInCsv {
            column: quoted(nested.name()),
        });
    }
    let mut writer = WriterBuilder::new().with_header(true).build(&mut *out);
    // The header stands there also when there are no rows.
    writer.write(&arrow::array::RecordBatch::new_empty(answer.schema.clone()))?;
    while let Some(batch) = answer.batches.try_next().await.map_err(QueryError::of)? {
        writer.write(&batch)?;
    }
    drop(writer);
    Ok(out.flush()?)
}
