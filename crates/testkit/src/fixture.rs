//! Iceberg's own REST catalog, which its clients are tested against.

use std::path::Path;

use crate::part::Part;

/// See the module. It keeps tables in memory, and ends when it is dropped.
#[derive(Debug)]
pub struct Fixture {
    _part: Part,
    pub url: String,
}

impl Default for Fixture {
    fn default() -> Self {
        Self::start()
    }
}

impl Fixture {
    pub fn start() -> Self {
        let mut part = Part::start(Path::new("python3"), "fixture.py", &[]);
        let url = part.line();
        Self { _part: part, url }
    }
}
