//! The CPU time of threads that do one thing each, by their names. With what [`super::Meter`] tells of the workers it
//! adds up to the CPU time of the process.
//!
//! Nothing is measured while they work: the kernel counts anyway (proc_pid_stat(5)), and is asked when somebody wants to know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use procfs::process::Process;
use prometheus::CounterVec;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::Stage;

/// Brings the counters up to date when it is asked for metrics.
#[derive(Debug, Clone)]
pub struct ThreadTimes {
    stage_cpu: CounterVec,
    /// Clock ticks by thread, as they were when it was last looked at.
    seen: Arc<Mutex<BTreeMap<i32, u64>>>,
}

impl ThreadTimes {
    pub fn new(stage_cpu: CounterVec) -> Self {
        Self {
            stage_cpu,
            seen: Arc::default(),
        }
    }

    /// Adds what threads have used since the last time. What a thread uses from then until it ends is not seen: those that
    /// come and go live on for longer than it takes until the next look.
    pub fn look(&self) {
        let Ok(threads) = Process::myself().and_then(|process| process.tasks()) else {
            return;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut alive = BTreeMap::new();
        for thread in threads.flatten() {
            let Ok(stat) = thread.stat() else { continue };
            let Some(stage) = Stage::of_thread(&stat.comm) else {
                continue;
            };
            let ticks = stat.utime + stat.stime;
            // A lower number is of another thread, which got the id of one that has ended.
            let before = seen.get(&thread.tid).copied().filter(|before| *before <= ticks);
            let since = ticks - before.unwrap_or(0);
            let seconds = since as f64 / procfs::ticks_per_second() as f64;
            self.stage_cpu
                .with_label_values(&[stage.as_str()])
                .inc_by(seconds);
            alive.insert(thread.tid, ticks);
        }
        *seen = alive;
    }

    /// Tells what the process has used as a whole.
    pub fn log(&self) {
        tracing::info!(
            fetch = self.of(Stage::Fetch),
            consume = self.of(Stage::Consume),
            decode = self.of(Stage::Decode),
            split = self.of(Stage::Split),
            encode = self.of(Stage::Encode),
            upload = self.of(Stage::Upload),
            commit = self.of(Stage::Commit),
            maintenance = self.of(Stage::Maintenance),
            verification = self.of(Stage::Verification),
            other = self.of(Stage::Other),
            "CPU seconds by stage"
        );
    }

    /// Seconds, to a hundredth: the kernel counts no finer.
    fn of(&self, stage: Stage) -> f64 {
        let seconds = self.stage_cpu.with_label_values(&[stage.as_str()]).get();
        (seconds * 100.0).round() / 100.0
    }
}

impl Collector for ThreadTimes {
    fn desc(&self) -> Vec<&Desc> {
        self.stage_cpu.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.look();
        self.stage_cpu.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use prometheus::Opts;
    use tabletopic_clock::{Clock, SystemClock};

    use super::*;

    fn burn(most: Duration) {
        let began = SystemClock.thread_cpu();
        while SystemClock.thread_cpu() - began < most {}
    }

    #[test]
    fn a_thread_counts_by_its_name_once_and_workers_count_for_themselves() {
        let stage_cpu = CounterVec::new(Opts::new("cpu", "of stages"), &["stage"]).unwrap();
        let times = ThreadTimes::new(stage_cpu);
        let used = Duration::from_millis(200);
        let (done, others) = (std::sync::Barrier::new(3), times.clone());
        thread::scope(|scope| {
            for name in [super::super::UPLOAD_THREADS, super::super::WORKER_THREADS] {
                let done = &done;
                let thread = thread::Builder::new().name(format!("{name}-0"));
                thread
                    .spawn_scoped(scope, move || {
                        burn(used);
                        done.wait();
                        done.wait();
                    })
                    .unwrap();
            }
            done.wait();
            others.look();
            let once = others.of(Stage::Upload);
            others.look();
            assert!((0.15..0.5).contains(&once), "{once} s");
            assert!(others.of(Stage::Upload) - once < 0.05);
            // The worker's 0.2 s are nobody's.
            assert!(others.of(Stage::Encode) == 0.0 && others.of(Stage::Consume) == 0.0);
            done.wait();
        });
    }
}
