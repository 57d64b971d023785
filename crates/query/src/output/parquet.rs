//! One Parquet file, compressed as tables are.

use std::io::Write;

use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::engine::Answer;
use crate::error::QueryError;

pub async fn write(mut answer: Answer, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
    let failed = |error: parquet::errors::ParquetError| QueryError::Engine(error.to_string());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer =
        ArrowWriter::try_new(&mut *out, answer.schema.clone(), Some(properties)).map_err(failed)?;
    while let Some(batch) = answer.batches.try_next().await.map_err(QueryError::of)? {
        writer.write(&batch).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    Ok(())
}
