//! How fast maintenance may go, so that it never takes what ingest needs.

use std::fmt::Debug;
use std::pin::Pin;
use std::task::{Context, Poll, ready as is_ready};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use tokio::time::{Instant, Sleep};

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

/// Work that knows nothing of its pace, and has a thread of its own: after each stretch of it, it rests as long as its
/// share of a processor asks for. What it waits for goes on meanwhile.
pub struct Paced<F> {
    work: Pin<Box<F>>,
    share: Share,
    /// Since the last rest.
    busy: Duration,
    rest: Option<Pin<Box<Sleep>>>,
}

impl<F> Paced<F> {
    pub fn new(work: F, share: Share) -> Self {
        Self {
            work: Box::pin(work),
            share,
            busy: Duration::ZERO,
            rest: None,
        }
    }
}

/// Work between two rests, at least: a rest for each poll would be as long as a timer's tick.
const STRETCH: Duration = Duration::from_millis(20);

impl<F: Future> Future for Paced<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        loop {
            if let Some(rest) = &mut this.rest {
                is_ready!(rest.as_mut().poll(context));
                this.rest = None;
            }
            let began = Instant::now();
            if let Poll::Ready(done) = this.work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            this.busy += began.elapsed();
            if this.busy < STRETCH {
                return Poll::Pending;
            }
            let rest = this.share.rest(std::mem::take(&mut this.busy), 0);
            this.rest = Some(Box::pin(tokio::time::sleep(rest)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_knows_no_pace_rests_as_well() {
        let share = Share {
            processor: 0.25,
            bytes_per_second: u64::MAX,
        };
        let work = async {
            for _ in 0..10 {
                // Time stands still while nobody waits: this is what 100 ms of work look like.
                tokio::time::advance(Duration::from_millis(100)).await;
            }
            "done"
        };
        let began = Instant::now();
        assert_eq!(Paced::new(work, share).await, "done");
        assert!(
            began.elapsed() >= Duration::from_millis(3_900),
            "{:?}",
            began.elapsed()
        );
        let idle = tokio::time::sleep(Duration::from_secs(10));
        let began = Instant::now();
        Paced::new(idle, share).await;
        assert!(began.elapsed() < Duration::from_secs(11), "waiting is no work");
    }

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
