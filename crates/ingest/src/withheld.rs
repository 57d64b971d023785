//! What a dead letter does not tell of its record: a job that keeps columns out of its table keeps them out of its
//! letters as well, where they would stand in the record's bytes.

use tabletopic_records::Record;

use crate::job::Job;

/// The header of a letter that says what was withheld, with commas between.
pub const HEADER: &str = "tabletopic.withheld";

/// Which parts of a job's records are withheld.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Withheld {
    pub value: bool,
    pub key: bool,
    pub headers: bool,
}

impl Withheld {
    /// What was left out may be in any part. Those that the table itself has as columns are no secret.
    pub fn by(job: &Job) -> Self {
        let withholds = job.shape.as_ref().is_some_and(|shape| shape.withholds());
        let columns = job.decode.kafka_columns;
        Self {
            value: withholds,
            key: withholds && !columns.key,
            headers: withholds && !columns.headers,
        }
    }

    /// What the letter's header says, if anything was withheld.
    pub fn told(self) -> Option<String> {
        let parts = [
            ("value", self.value),
            ("key", self.key),
            ("headers", self.headers),
        ];
        let withheld: Vec<&str> = parts
            .iter()
            .filter(|(_, is)| *is)
            .map(|(part, _)| *part)
            .collect();
        (!withheld.is_empty()).then(|| withheld.join(","))
    }
}

/// Whether a letter has lost its value so. Where it has one, somebody else has set the header.
pub fn is_withheld(letter: &Record<'_>) -> bool {
    let mut told = false;
    letter.headers.for_each(&mut |name, _| told |= name == HEADER);
    told && letter.value.is_none()
}
