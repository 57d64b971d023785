//! PyIceberg as another client of the same catalog, step by step.

use serde_json::Value;

use crate::part::Part;
use crate::readers::{python, reader};

/// `beside.py`. It ends when it is dropped.
#[derive(Debug)]
pub struct PyIceberg(Part);

impl PyIceberg {
    /// In the catalog `test` at this URL of SQLAlchemy's.
    pub fn beside(catalog: &str, warehouse: &str) -> Self {
        let arguments = ["--catalog", catalog, "--warehouse", warehouse].map(AsRef::as_ref);
        Self(Part::run(&python(), &reader("beside"), &arguments))
    }

    /// Takes one step, and answers what it says of it.
    pub fn does(&mut self, step: &str) -> Value {
        let said = self.0.ask(step);
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{step}: it says {said:?}, and why above"))
    }
}
