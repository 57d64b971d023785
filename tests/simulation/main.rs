//! The simulation: the real worker, driver and committer over a source, a store and a catalog in memory that fail by
//! a seed. Each seed is one schedule of small steps (records, commits, crashes, rebalances, foreign hands on the
//! table ...) on one thread with virtual time. When it ends, the faults stop, and the table must hold every record
//! exactly once.
//!
//! `TABLETOPIC_SIM_SCHEDULES=<n>` runs that many schedules, `TABLETOPIC_SIM_SEED=<n>` that one alone, with its log.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

mod followers;
mod foreign;
mod mutants;
mod operator;
mod oracle;
mod process;
mod recreated;
mod redrive;
mod replay;
mod schedule;
mod truth;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use replay::{Failure, replay};
use world::Honest;

const SCHEDULES: u64 = 1_000;

/// Schedules beyond these that found something once, as long as nothing is drawn in another order.
const FOUND: [u64; 4] = [2_775, 3_951, 4_087, 8_014];

#[test]
fn every_schedule_ends_with_every_record_once() {
    if let Some(seed) = number("TABLETOPIC_SIM_SEED") {
        tracing_subscriber::fmt()
            .with_env_filter("warn,tabletopic=debug")
            .without_time()
            .init();
        match replay(seed, &Honest) {
            Ok(done) => println!("seed {seed} holds; its steps:\n{}", done.steps.join("\n")),
            Err(failure) => panic!("{failure}"),
        }
        return;
    }
    let first = number("TABLETOPIC_SIM_FIRST").unwrap_or(0);
    let schedules = number("TABLETOPIC_SIM_SCHEDULES").unwrap_or(SCHEDULES);
    let (next, began) = (AtomicU64::new(first), std::time::Instant::now());
    let run = || {
        let mut failures = Vec::new();
        let mut rows = 0;
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= first + schedules || !failures.is_empty() {
                return (rows, failures);
            }
            match replay(seed, &Honest) {
                Ok(done) => rows += done.rows,
                Err(failure) => failures.push(failure),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2));
    let (mut rows, mut failures) = (0, Vec::<Failure>::new());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        for thread in running {
            let (of_thread, failed) = thread.join().expect("a failed schedule is not a panic");
            rows += of_thread;
            failures.extend(failed);
        }
    });
    if let Some(failure) = failures.iter().min_by_key(|failure| failure.seed) {
        panic!("{failure}");
    }
    println!(
        "{schedules} schedules with {rows} rows held, in {:?}",
        began.elapsed()
    );
}

#[test]
fn schedules_that_found_something_end_so_too() {
    for seed in FOUND {
        if let Err(failure) = replay(seed, &Honest) {
            panic!("{failure}");
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
    )
}
