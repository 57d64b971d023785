//! Whether the warehouse takes files and gives them back.

use anyhow::ensure;
use iceberg::io::FileIO;
use tabletopic_clock::{Entropy, OsEntropy};

use super::finding::Finding;
use crate::exit::Exit;

pub async fn probe(file_io: &FileIO, warehouse: &str) -> Finding {
    let subject = format!("warehouse {warehouse}");
    let file = format!("{warehouse}/.tabletopic-check-{}", OsEntropy.uuid());
    match write_read_delete(file_io, &file).await {
        Ok(()) => Finding::ok(subject, "a file was written, read and deleted"),
        Err(error) => Finding::fail(
            Exit::Failed,
            subject,
            format!(
                "cannot be used: {error:#}; check that the folder is there, its permissions and its free space"
            ),
        ),
    }
}

async fn write_read_delete(file_io: &FileIO, file: &str) -> anyhow::Result<()> {
    let content = file.as_bytes();
    file_io.new_output(file)?.write(content.to_vec().into()).await?;
    let read = file_io.new_input(file)?.read().await?;
    file_io.delete(file).await?;
    ensure!(read == content, "{file} came back with other contents");
    Ok(())
}
