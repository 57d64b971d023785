//! The allocator of the process, and what it counts.

use std::fmt::{self, Debug, Formatter};
use std::ptr;

use anyhow::anyhow;
use tabletopic_ingest::memory_budget::Heap;
use tikv_jemalloc_ctl::{epoch, epoch_mib, stats};
use tikv_jemalloc_sys::mallctl;

/// librdkafka's own C allocations go through it as well, which is most of its use: consuming costs a third less.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The counters of jemalloc, looked up once.
pub struct Jemalloc {
    epoch: epoch_mib,
    allocated: stats::allocated_mib,
    resident: stats::resident_mib,
}

impl Jemalloc {
    /// # Errors
    /// The allocator was built without its counters.
    pub fn new() -> anyhow::Result<Self> {
        let uncounted = |error| anyhow!("the allocator does not tell what is allocated: {error}");
        Ok(Self {
            epoch: epoch::mib().map_err(uncounted)?,
            allocated: stats::allocated::mib().map_err(uncounted)?,
            resident: stats::resident::mib().map_err(uncounted)?,
        })
    }
}

impl Debug for Jemalloc {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Jemalloc").finish_non_exhaustive()
    }
}

impl Heap for Jemalloc {
    fn allocated(&self) -> usize {
        // Until the epoch is advanced, the counters stay what they were.
        match self.epoch.advance() {
            Ok(_) => self.allocated.read().unwrap_or(0),
            Err(_) => 0,
        }
    }

    fn give_back_above(&self, bytes: usize) {
        if self.epoch.advance().is_ok() && self.resident.read().is_ok_and(|resident| resident > bytes) {
            // It has nothing to report: of all arenas, there is always one to purge.
            let _ = purge();
        }
    }
}

/// Gives all pages back that hold nothing (jemalloc(3), `arena.<i>.purge`).
#[allow(unsafe_code, reason = "the crate has no call for a command without a value")]
fn purge() -> i32 {
    let (nothing, none) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the name ends with a zero, and the command neither reads nor writes a value.
    unsafe { mallctl(c"arena.4096.purge".as_ptr(), nothing, none, ptr::null_mut(), 0) }
}
