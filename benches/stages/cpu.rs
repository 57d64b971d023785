//! CPU time of the whole process, the threads of librdkafka included.

use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};

/// What a piece of work took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// User and system.
    pub cpu: Duration,
    pub wall: Duration,
}

pub fn measure<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
    let (wall, cpu) = (Instant::now(), used());
    let result = work()?;
    Ok((
        result,
        Cost {
            cpu: used() - cpu,
            wall: wall.elapsed(),
        },
    ))
}

fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
