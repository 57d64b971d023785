//! The memory that a file is encoded into.

use std::io::{self, Write};

use bytes::Bytes;
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

    /// A file that fills little of its block leaves it: a thousand of them may wait for the store.
    pub(super) fn into_payload(self) -> PutPayload {
        let payload = self.0.freeze();
        match payload.content_length() < BLOCK / 2 {
            true => Bytes::copy_from_slice(&Bytes::from(payload)).into(),
            false => payload,
        }
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
