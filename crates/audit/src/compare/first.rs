//! The first pass: sums of both sides.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use async_trait::async_trait;

use super::digest::Digests;
use super::files::{Both, FileRef, Sink};
use super::places::Places;
use super::sums::Sums;
use super::{CompareError, Progress};

/// Adds up all rows of both tables.
///
/// # Errors
/// Those of reading.
pub async fn pass(
    both: &Arc<Both>,
    digests: &Arc<Digests>,
    places: &Arc<Places>,
    progress: &Arc<dyn Progress>,
) -> Result<Sums, CompareError> {
    let adding = Arc::new(Adding {
        digests: digests.clone(),
        places: places.clone(),
        sums: Mutex::new(Sums::new(both.counts())),
    });
    progress.begins("reading both tables", both.bytes(&|_| true));
    both.read(&|_| true, adding.clone(), progress).await?;
    let adding = Arc::into_inner(adding)
        .ok_or_else(|| CompareError::Miscounted("a reader has outlived its pass".to_owned()))?;
    Ok(adding.sums.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Adding {
    digests: Arc<Digests>,
    places: Arc<Places>,
    sums: Mutex<Sums>,
}

#[async_trait]
impl Sink for Adding {
    async fn take(&self, file: FileRef, rows: RecordBatch) -> Result<(), CompareError> {
        let digested = self.digests.of(&rows)?;
        let parts = self.places.of(&rows)?;
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        for part in parts {
            let place = sums.places.number(&part);
            let rows = part.rows.iter().map(|row| *row as usize);
            sums.add(
                file,
                place,
                rows.map(|row| (digested.cells[row], digested.digests[row])),
            );
        }
        Ok(())
    }
}
