//! Time and randomness, passed in. Nothing else in the workspace may ask the operating system for
//! either (clippy bans it), so that one seed replays a whole run in the simulation.

use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// What time it is.
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> Millis;

    /// CPU time that the calling thread has used so far, for measuring. A clock that is not the host's has none.
    fn thread_cpu(&self) -> Duration {
        Duration::ZERO
    }
}

/// The host's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the host's clock"
    )]
    fn now(&self) -> Millis {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn thread_cpu(&self) -> Duration {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs() as u32)
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(now: Millis) -> Self {
        Self(AtomicI64::new(now))
    }

    pub fn advance(&self, by: Millis) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}

/// Where ids and jitter come from.
pub trait Entropy: Debug + Send + Sync {
    fn next_u64(&self) -> u64;

    /// A positive snapshot id. It is the idempotency key of a commit, so it must never repeat.
    fn snapshot_id(&self) -> i64 {
        ((self.next_u64() >> 1) as i64).max(1)
    }

    /// A random (version 4) UUID, for file names.
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next_u64().to_le_bytes());
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// Randomness of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that asks the host for randomness"
    )]
    fn next_u64(&self) -> u64 {
        Uuid::new_v4().as_u64_pair().0 ^ Uuid::new_v4().as_u64_pair().1.rotate_left(32)
    }
}

/// Randomness that follows from a seed.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<fastrand::Rng>);

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn next_u64(&self) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .u64(..)
    }
}
