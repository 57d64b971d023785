//! A bad network between a client and a server of a test.

use std::path::Path;

use crate::part::Part;

/// Passes connections on, and does to them what the test asks for. It ends when it is dropped.
#[derive(Debug)]
pub struct Toxiproxy {
    part: Part,
    /// `host:port` of its own.
    pub address: String,
}

impl Toxiproxy {
    /// In front of the server at `host:port`.
    pub fn start(upstream: &str) -> Self {
        let mut part = Part::start(Path::new("python3"), "toxiproxy.py", &[upstream.as_ref()]);
        let address = part.line();
        Self { part, address }
    }

    /// One of its toxics from now on, as `tests/parts/toxiproxy.py` has it: `latency downstream 1.0 latency=300`.
    pub fn poison(&mut self, toxic: &str) {
        self.part.order(&format!("poison {toxic}"));
    }

    /// There is none any more.
    pub fn heal(&mut self) {
        self.part.order("heal");
    }
}
