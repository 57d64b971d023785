//! One array of objects. Nulls are written, so that every object has all columns.

use std::io::Write;

use arrow::json::WriterBuilder;
use arrow::json::writer::JsonArray;
use futures::TryStreamExt;

use crate::engine::Answer;
use crate::error::QueryError;

pub async fn write(mut answer: Answer, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, JsonArray>(&mut *out);
    while let Some(batch) = answer.batches.try_next().await.map_err(QueryError::of)? {
        writer.write(&batch)?;
    }
    writer.finish()?;
    drop(writer);
    writeln!(out)?;
    Ok(out.flush()?)
}
