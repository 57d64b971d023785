//! What the process may hold in memory, and who lets go of what when it is too much.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use prometheus::IntGauge;

/// What the process has allocated, as its allocator counts it: with what nobody else can count, such as what the Kafka
/// client has fetched, a batch amid decoding, or a buffer that has grown ahead of its use.
pub trait Heap: Debug + Send + Sync {
    /// Bytes; 0 where the allocator does not tell, so that only what is counted here counts.
    fn allocated(&self) -> usize;

    /// An allocator keeps pages that hold nothing for what comes next: gives them back to the system, if the process
    /// has more than so many bytes with them.
    fn give_back_above(&self, bytes: usize);
}

/// An allocator that does not tell.
#[derive(Debug)]
pub struct Untold;

impl Heap for Untold {
    fn allocated(&self) -> usize {
        0
    }

    fn give_back_above(&self, _: usize) {}
}

/// What the allocator may keep above the budget for what comes next. To give every page back at once takes half as much
/// CPU again as all the rest (`benches/README.md`).
const KEPT: usize = 48 << 20;

/// How often it is looked at what the allocator keeps. A worker that encodes a thousand small files comes round seldom,
/// so that this is not a worker's task.
const GIVE_BACK_EVERY: Duration = Duration::from_millis(50);

/// One account for the process. Memory is given back in two ways. Closed files leave when the store has them, so that
/// reading pauses while too many of them wait. Open files have to be closed, by the worker that owns them; so each
/// closes its own while the account is overdrawn *and* it holds at least an equal share. Somebody always does then, and
/// a worker that is alone in having work may use it all.
#[derive(Debug)]
pub struct MemoryBudget {
    /// Bytes.
    bound: usize,
    /// Who has a part in it.
    workers: AtomicUsize,
    heap: Arc<dyn Heap>,
    /// Bytes of open files and rows that wait for one.
    open: AtomicUsize,
    /// Bytes of closed files that wait for the store.
    closed: AtomicUsize,
}

impl MemoryBudget {
    /// `bound` is in bytes.
    pub fn new(bound: usize, heap: Arc<dyn Heap>) -> Arc<Self> {
        Arc::new(Self {
            bound,
            workers: AtomicUsize::new(0),
            heap,
            open: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
        })
    }

    /// A worker's part of it, empty at first.
    pub fn part(self: &Arc<Self>) -> Part {
        self.workers.fetch_add(1, Ordering::Relaxed);
        Part {
            budget: self.clone(),
            held: 0,
        }
    }

    /// Notes a closed file, until what comes back is dropped.
    pub fn closed(self: &Arc<Self>, bytes: usize) -> Closed {
        self.closed.fetch_add(bytes, Ordering::Relaxed);
        Closed {
            budget: self.clone(),
            bytes,
        }
    }

    /// Whether reading has to wait until the store has taken some of the closed files: they fill three eighths, or hold
    /// what is missing.
    pub fn waits_for_store(&self) -> bool {
        let closed = self.closed.load(Ordering::Relaxed);
        closed > self.bound / 8 * 3 || (closed > self.bound / 8 && self.allocated() > self.bound)
    }

    /// Whether reading of history has to wait for the store: long before that of what is new has to.
    pub fn keeps_history_back(&self) -> bool {
        self.closed.load(Ordering::Relaxed) > self.bound / 8
    }

    /// Whether more than five eighths are taken by what is not on its way to the store. Where the open files are the
    /// least of it, closing them would make many small ones and gain nothing.
    fn is_overdrawn(&self) -> bool {
        let (open, closed) = (
            self.open.load(Ordering::Relaxed),
            self.closed.load(Ordering::Relaxed),
        );
        open > self.bound / 8 && self.allocated().saturating_sub(closed) > self.bound / 8 * 5
    }

    fn share_of(&self, bytes: usize) -> usize {
        bytes / self.workers.load(Ordering::Relaxed).max(1)
    }

    fn allocated(&self) -> usize {
        let counted = self.open.load(Ordering::Relaxed) + self.closed.load(Ordering::Relaxed);
        self.heap.allocated().max(counted)
    }
}

/// Sees to it that the allocator does not keep too much, and shows what is allocated, until nobody has a part in the
/// account any more.
pub async fn give_back(budget: Weak<MemoryBudget>, allocated: IntGauge) {
    while let Some(budget) = budget.upgrade() {
        allocated.set(budget.heap.allocated() as i64);
        budget.heap.give_back_above(budget.bound + KEPT);
        drop(budget);
        tokio::time::sleep(GIVE_BACK_EVERY).await;
    }
}

/// A closed file that waits for the store.
#[derive(Debug)]
pub struct Closed {
    budget: Arc<MemoryBudget>,
    bytes: usize,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.budget.closed.fetch_sub(self.bytes, Ordering::Relaxed);
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
        self.budget.open.fetch_add(bytes, Ordering::Relaxed);
        self.budget.open.fetch_sub(self.held, Ordering::Relaxed);
        self.held = bytes;
    }

    /// Whether this worker is to let go of something.
    pub fn is_too_much(&self) -> bool {
        let equal = self.budget.share_of(self.budget.open.load(Ordering::Relaxed));
        self.held > 0 && self.held >= equal && self.budget.is_overdrawn()
    }

    /// Bytes above which units of a worker are cut, of what nothing else frees: dead letters cannot be closed alone, and take
    /// their place again while they are encoded; files that are stored are remembered until they are committed.
    pub fn most_until_cut(&self) -> usize {
        self.budget.share_of(self.budget.bound / 8)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.holds(0);
        self.budget.workers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Told(AtomicUsize);

    impl Heap for Told {
        fn allocated(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }

        fn give_back_above(&self, _: usize) {}
    }

    #[test]
    fn who_holds_more_than_a_share_of_an_overdrawn_account_lets_go() {
        let budget = MemoryBudget::new(160, Arc::new(Untold));
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

    #[test]
    fn what_nobody_counts_takes_its_part() {
        let heap = Arc::new(Told::default());
        let budget = MemoryBudget::new(160, heap.clone());
        let mut worker = budget.part();
        worker.holds(60);
        heap.0.store(100, Ordering::Relaxed);
        assert!(!worker.is_too_much());
        heap.0.store(101, Ordering::Relaxed);
        assert!(worker.is_too_much());
        worker.holds(20);
        assert!(!worker.is_too_much(), "little is gained by closing that");
    }

    #[test]
    fn closed_files_pause_reading_and_close_no_others() {
        let heap = Arc::new(Told::default());
        let budget = MemoryBudget::new(160, heap.clone());
        let mut worker = budget.part();
        worker.holds(60);
        heap.0.store(140, Ordering::Relaxed);
        let closed = budget.closed(40);
        assert!(!worker.is_too_much() && !budget.waits_for_store());
        heap.0.store(161, Ordering::Relaxed);
        assert!(budget.waits_for_store(), "they hold what is missing");
        drop(closed);
        assert!(!budget.waits_for_store(), "nothing comes back by waiting");
        let _closed = budget.closed(61);
        heap.0.store(0, Ordering::Relaxed);
        assert!(budget.waits_for_store(), "more than three eighths");
    }
}
