//! The memory that a file is encoded into.

use std::io::{self, Write};

use object_store::{PutPayload, PutPayloadMut};

/// Blocks are this large, so that a small file stays small and a large one grows without being moved
/// (a growing `Vec` would briefly need three times the file).
const BLOCK: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Sink(PutPayloadMut);

impl Default for Sink {
    fn default() -> Self {
        Self(PutPayloadMut::new().with_block_size(BLOCK))
    }
}

impl Sink {
    pub(super) fn len(&self) -> usize {
        self.0.content_length()
    }

    pub(super) fn into_payload(self) -> PutPayload {
        self.0.freeze()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
