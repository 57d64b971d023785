//! Waiting for a condition.

use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until `condition` gives a value. `what` is what the test waits for, for the panic.
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, condition)
}

/// [`eventually`] with another patience.
pub fn eventually_within<T>(patience: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {patience:?} in vain for: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
