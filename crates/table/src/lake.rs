//! What every commit needs from outside: the catalog, the files, the time and fresh ids.

use std::sync::Arc;

use iceberg::io::FileIO;
use tabletopic_catalog::Catalog;
use tabletopic_clock::{Clock, Entropy};

/// The parts that commits are made with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lake {
    pub catalog: Arc<dyn Catalog>,
    pub file_io: FileIO,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Who commits, for the ledger: a host and process, or an operator.
    pub actor: Arc<str>,
}
