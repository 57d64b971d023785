//! How fast old records may be read, so that those who read new ones do not notice it: by a replay, or by a backfill.

use std::sync::Arc;
use std::time::Duration;

use tabletopic_clock::{Clock, Millis};
use tabletopic_records::Record;

/// A share of a rate, in bytes of keys, values and headers. What was read is paid for afterwards, by waiting: a client that
/// is not polled stops fetching when its queue is full.
#[derive(Debug, Clone)]
pub struct Rate {
    clock: Arc<dyn Clock>,
    bytes_per_second: u64,
    /// Until when everything that was read is paid for, and what was owed when that was last known.
    paid_at: Millis,
    owed: Millis,
}

impl Rate {
    pub fn new(clock: Arc<dyn Clock>, bytes_per_second: u64) -> Self {
        Self {
            clock,
            bytes_per_second: bytes_per_second.max(1),
            paid_at: 0,
            owed: 0,
        }
    }

    /// The same rate, shared by so many.
    #[must_use]
    pub fn shared_by(self, sources: usize) -> Self {
        let bytes_per_second = (self.bytes_per_second / sources.max(1) as u64).max(1);
        Self {
            bytes_per_second,
            ..self
        }
    }

    /// Notes what was read.
    pub fn read(&mut self, bytes: u64) {
        let millis = bytes.saturating_mul(1000) / self.bytes_per_second;
        let now = self.clock.now();
        let millis = Millis::try_from(millis).unwrap_or(Millis::MAX);
        self.owed = (self.paid_at - now).clamp(0, self.owed).saturating_add(millis);
        self.paid_at = now.saturating_add(self.owed);
    }

    /// How long to wait before reading on.
    pub fn owed(&self) -> Duration {
        // A clock that is set back does not make it more.
        let owed = self.paid_at.saturating_sub(self.clock.now()).min(self.owed);
        Duration::from_millis(u64::try_from(owed).unwrap_or(0))
    }
}

/// Bytes of a record as it is counted.
pub fn size(record: &Record<'_>) -> u64 {
    let part = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len) as u64;
    let mut size = part(record.key) + part(record.value);
    record
        .headers
        .for_each(&mut |key, value| size += key.len() as u64 + part(value));
    size
}

#[cfg(test)]
mod tests {
    use tabletopic_clock::ManualClock;

    use super::*;

    #[test]
    fn what_was_read_is_paid_for_by_waiting() {
        let clock = Arc::new(ManualClock::at(1_000));
        let mut rate = Rate::new(clock.clone(), 2_000).shared_by(2);
        assert_eq!(rate.owed(), Duration::ZERO);
        rate.read(500);
        assert_eq!(rate.owed(), Duration::from_millis(500));
        rate.read(500);
        assert_eq!(rate.owed(), Duration::from_secs(1));
        clock.advance(1_500);
        // What was not read in time is no credit.
        rate.read(100);
        assert_eq!(rate.owed(), Duration::from_millis(100));
    }
}
