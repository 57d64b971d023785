//! A schema with everything that it refers to, gathered one by one. Each reference is asked for once, and the whole stays
//! within limits, whatever a registry answers.

use std::collections::{BTreeSet, VecDeque};

use crate::ReferencedSchema;

/// Schemas that one refers to, directly or not.
const MOST_REFERENCES: usize = 200;

/// Bytes of a schema and of all that it refers to.
const MOST_BYTES: usize = 16 << 20;

/// See the module. `R` is how an API names a schema that another one refers to.
pub(crate) struct Gathering<R> {
    seen: BTreeSet<R>,
    left: VecDeque<R>,
    bytes: usize,
    found: Vec<ReferencedSchema>,
}

impl<R: Ord + Clone> Gathering<R> {
    /// Of a schema with this text.
    ///
    /// # Errors
    /// Why it can't be used.
    pub fn of(text: &str, references: Vec<R>) -> Result<Self, String> {
        let mut gathering = Self {
            seen: BTreeSet::new(),
            left: VecDeque::new(),
            bytes: 0,
            found: Vec::new(),
        };
        gathering.count(text, references)?;
        Ok(gathering)
    }

    /// What to ask for now.
    pub fn next(&mut self) -> Option<R> {
        self.left.pop_front()
    }

    /// # Errors
    /// Why the whole can't be used.
    pub fn take(&mut self, found: ReferencedSchema, references: Vec<R>) -> Result<(), String> {
        self.count(&found.text, references)?;
        self.found.push(found);
        Ok(())
    }

    /// Those that are near come before those that they refer to.
    pub fn into_found(self) -> Vec<ReferencedSchema> {
        self.found
    }

    fn count(&mut self, text: &str, references: Vec<R>) -> Result<(), String> {
        self.bytes += text.len();
        if self.bytes > MOST_BYTES {
            return Err(format!(
                "it has more than {MOST_BYTES} bytes, with the schemas that it refers to"
            ));
        }
        for reference in references {
            if self.seen.contains(&reference) {
                continue;
            }
            if self.seen.len() == MOST_REFERENCES {
                return Err(format!("it refers to more than {MOST_REFERENCES} schemas"));
            }
            self.seen.insert(reference.clone());
            self.left.push_back(reference);
        }
        Ok(())
    }
}
