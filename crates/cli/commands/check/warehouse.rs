//! Whether the warehouse takes files and gives them back.

use anyhow::ensure;
use iceberg::io::FileIO;
use tabletopic_clock::{Entropy, OsEntropy};
use tabletopic_table::storage::OpenError;

use super::finding::Finding;
use crate::exit::Exit;
use crate::sentence::sentence;

/// A store that lacks something before anything can be sent to it.
pub fn unopened(warehouse: &str, error: &OpenError) -> Finding {
    Finding::fail(Exit::Configuration, subject(warehouse), error.to_string())
}

pub async fn probe(file_io: &FileIO, warehouse: &str) -> Finding {
    let subject = subject(warehouse);
    let file = format!("{warehouse}/.tabletopic-check-{}", OsEntropy.uuid());
    match write_read_delete(file_io, &file).await {
        Ok(()) => Finding::ok(subject, "a file was written, read and deleted"),
        Err(error) => Finding::fail(
            Exit::Failed,
            subject,
            format!(
                "cannot be used: {}; check {}",
                sentence(&error),
                advice(warehouse)
            ),
        ),
    }
}

fn subject(warehouse: &str) -> String {
    format!("warehouse {warehouse}")
}

fn advice(warehouse: &str) -> &'static str {
    match warehouse.starts_with("file:") {
        true => "that the folder is there, its permissions and its free space",
        false => "that the bucket is there, [storage], and what its credentials may do",
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
