//! What the open files of all workers may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One account for the process. Workers own their files, and nobody else can close them; so each closes its own while
/// the account is overdrawn *and* it holds more than an equal share. Somebody always does then, and a worker that is
/// alone in having work may use it all.
#[derive(Debug)]
pub struct MemoryBudget {
    /// Bytes.
    bound: usize,
    workers: usize,
    held: AtomicUsize,
}

impl MemoryBudget {
    /// `bound` is in bytes.
    pub fn new(bound: usize, workers: usize) -> Arc<Self> {
        Arc::new(Self {
            bound,
            workers: workers.max(1),
            held: AtomicUsize::new(0),
        })
    }

    /// A worker's part of it, empty at first.
    pub fn part(self: &Arc<Self>) -> Part {
        Part {
            budget: self.clone(),
            held: 0,
        }
    }
}

/// What one worker holds.
#[derive(Debug)]
pub struct Part {
    budget: Arc<MemoryBudget>,
    held: usize,
}

impl Part {
    /// Notes that the worker holds so many bytes now.
    pub fn holds(&mut self, bytes: usize) {
        self.budget.held.fetch_add(bytes, Ordering::Relaxed);
        self.budget.held.fetch_sub(self.held, Ordering::Relaxed);
        self.held = bytes;
    }

    /// Whether this worker is to let go of something.
    pub fn is_too_much(&self) -> bool {
        let budget = &self.budget;
        budget.held.load(Ordering::Relaxed) > budget.bound && self.held > budget.bound / budget.workers
    }

    /// Bytes of dead letters above which a job's unit is cut: they cannot be closed alone, and take their place again
    /// while they are encoded.
    pub fn most_dead_letters(&self) -> usize {
        self.budget.bound / self.budget.workers / 4
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.holds(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_more_than_a_share_of_an_overdrawn_account_lets_go() {
        let budget = MemoryBudget::new(100, 2);
        let (mut busy, mut quiet) = (budget.part(), budget.part());
        busy.holds(100);
        assert!(!busy.is_too_much(), "all of it, while nobody else needs any");
        quiet.holds(10);
        assert!(busy.is_too_much());
        assert!(!quiet.is_too_much());
        busy.holds(80);
        assert!(!busy.is_too_much());
        drop(quiet);
        busy.holds(100);
        assert!(!busy.is_too_much(), "who is gone holds nothing");
        busy.holds(101);
        assert!(busy.is_too_much());
    }
}
