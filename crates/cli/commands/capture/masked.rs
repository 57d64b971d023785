//! Masks records before they are written; what can't be masked is refused, or left out and told.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use tabletopic_clock::{Entropy, OsEntropy};
use tabletopic_decode::Format;
use tabletopic_fixture::{Captured, Masks};
use tabletopic_ingest::Job;

use super::name;
use crate::args::Capture;
use crate::exit::UsageError;

pub struct Masked<'a>(&'a Capture);

/// What was made of records.
pub struct Applied {
    pub records: Vec<Captured>,
    /// Records that each mask of values was found in.
    pub values: BTreeMap<String, u64>,
    /// Records whose keys are masked.
    pub keys: u64,
    /// Records that are not there, because what is to be masked may be anywhere in their values.
    pub left_out: u64,
}

impl<'a> Masked<'a> {
    /// # Errors
    /// Masks of bytes in which no fields can be found, or that nobody could read afterwards.
    pub fn new(asked: &'a Capture, jobs: &[Arc<Job>]) -> Result<Self, UsageError> {
        let masked = Self(asked);
        masked.masks()?;
        let framed = |format: &Format| match format {
            Format::Raw | Format::Json => false,
            Format::JsonSchema | Format::Avro | Format::Protobuf => true,
        };
        let mut values = jobs.iter().map(|job| job.decode.format);
        if let (false, Some(format)) = (asked.mask.is_empty(), values.find(framed)) {
            return Err(refused("--mask", "values", format));
        }
        let mut keys = jobs
            .iter()
            .filter_map(|job| Some(job.decode.key.as_ref()?.format));
        if let (true, Some(format)) = (asked.mask_key, keys.find(framed)) {
            return Err(refused("--mask-key", "keys", format));
        }
        Ok(masked)
    }

    fn masks(&self) -> Result<Masks, UsageError> {
        let mut secret = [0; 32];
        for part in secret.chunks_exact_mut(8) {
            part.copy_from_slice(&OsEntropy.next_u64().to_le_bytes());
        }
        Masks::new(&self.0.mask, secret).map_err(|error| UsageError(error.to_string()))
    }

    /// # Errors
    /// A mask that was found in no record.
    pub fn apply(&self, records: Vec<Captured>) -> anyhow::Result<Applied> {
        let Capture { mask, mask_key, .. } = self.0;
        let mut masks = self.masks()?;
        let mut kept = Vec::with_capacity(records.len());
        let (mut keys, mut left_out) = (0, 0);
        for mut captured in records {
            let value = captured.record.value.as_deref();
            if let (false, Some(value)) = (mask.is_empty(), value) {
                let Ok(masked) = masks.value(value) else {
                    left_out += 1;
                    continue;
                };
                captured.record.value = Some(masked);
            }
            if let (true, Some(key)) = (mask_key, &captured.record.key) {
                captured.record.key = Some(masks.key(key));
                keys += 1;
            }
            kept.push(captured);
        }
        let values: BTreeMap<String, u64> = masks
            .found()
            .map(|(path, records)| (path.to_owned(), records))
            .collect();
        let unfound = values.iter().find(|(_, records)| **records == 0);
        let unfound = unfound.map(|(path, _)| format!("the mask {path} was found in"));
        let keyless = (*mask_key && keys == 0).then(|| "there is a key in".to_owned());
        if let Some(unfound) = unfound.or(keyless) {
            bail!("nothing was written: {unfound} none of {} records", kept.len());
        }
        Ok(Applied {
            records: kept,
            values,
            keys,
            left_out,
        })
    }
}

fn refused(flag: &str, what: &str, format: Format) -> UsageError {
    UsageError(format!(
        "{flag} is refused for {what} of format {}: they would have to be encoded anew by their schema, which is not done \
         here, and unmasked they would leak; capture without it, or a topic of JSON",
        name(format)
    ))
}
