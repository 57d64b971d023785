//! How fast maintenance may go, so that it never takes what ingest needs.

use std::fmt::Debug;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};

/// Is told of work as it is done, and waits where there was too much of it.
pub trait Pace: Debug + Send + Sync {
    /// `busy` is the time that a thread has worked, `bytes` what was read.
    fn worked(&self, busy: Duration, bytes: u64) -> BoxFuture<'_, ()>;
}

/// As fast as it goes: somebody waits for it.
#[derive(Debug, Clone, Copy)]
pub struct Unbounded;

impl Pace for Unbounded {
    fn worked(&self, _busy: Duration, _bytes: u64) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }
}

/// In the background: a share of one processor, and so many bytes a second.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Of one processor, above 0 and at most 1.
    pub processor: f64,
    pub bytes_per_second: u64,
}

impl Share {
    /// How long to rest after work, for the share to hold.
    fn rest(&self, busy: Duration, bytes: u64) -> Duration {
        let for_processor = busy.mul_f64(1.0 / self.processor.clamp(0.01, 1.0) - 1.0);
        let for_bytes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second.max(1) as f64);
        for_processor.max(for_bytes.saturating_sub(busy))
    }
}

impl Pace for Share {
    fn worked(&self, busy: Duration, bytes: u64) -> BoxFuture<'_, ()> {
        match self.rest(busy, bytes) {
            Duration::ZERO => ready(()).boxed(),
            rest => tokio::time::sleep(rest).boxed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_followed_by_as_much_rest_as_the_share_asks_for() {
        let share = |processor| Share {
            processor,
            bytes_per_second: 10 << 20,
        };
        let busy = Duration::from_millis(100);
        assert_eq!(share(0.5).rest(busy, 0), busy);
        assert_eq!(share(1.0).rest(busy, 0), Duration::ZERO);
        assert_eq!(share(1.0).rest(busy, 10 << 20), Duration::from_millis(900));
        assert_eq!(
            share(0.25).rest(busy, 1 << 20),
            Duration::from_millis(300),
            "the longer one"
        );
    }
}
