//! Runs the schedule of one seed, from nothing to the verdict.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use crate::world::{Log, Nature, World};
use crate::{operator, oracle, schedule};

/// Virtual time after which nothing goes on any more.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A schedule that held.
pub struct Done {
    pub rows: u64,
    pub steps: Vec<String>,
}

/// A schedule that did not.
pub struct Failure {
    pub seed: u64,
    pub reason: String,
    pub steps: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, reason, steps } = self;
        let steps = steps.join("\n");
        write!(
            f,
            "seed {seed}: {reason}\n{steps}\nseed {seed}: {reason}\nagain: TABLETOPIC_SIM_SEED={seed}"
        )
    }
}

thread_local! {
    /// Panics of this thread, tasks included, whose runtime would keep them to itself.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Has the panics of schedules noted, not printed.
fn note_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if tokio::runtime::Handle::try_current().is_ok() {
                PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            } else {
                print(panic);
            }
        }));
    });
}

/// Whether history is read behind what is new. Schedules that found something before that was possible are drawn as they
/// were.
fn is_behind(seed: u64) -> bool {
    seed % 5 == 3
}

/// Runs the schedule of a seed on this thread.
pub fn replay(seed: u64, nature: &dyn Nature) -> Result<Done, Failure> {
    replay_story(seed, nature, async |world| {
        if is_behind(seed) {
            world.read_history_behind();
        }
        for step in schedule::steps(&mut world.rng) {
            world.step(step).await?;
        }
        Ok(())
    })
}

/// Runs what a test tells, in the world of a seed.
pub fn replay_story(
    seed: u64,
    nature: &dyn Nature,
    story: impl AsyncFnOnce(&mut World) -> Result<(), String>,
) -> Result<Done, Failure> {
    note_panics();
    PANICS.take();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.expect("a runtime");
    let log = Log::default();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut world = World::new(seed, nature, log.clone());
            let ended = tokio::time::timeout(LONGEST, play(&mut world, story)).await;
            ended.unwrap_or_else(|_| Err(format!("it does not end within {LONGEST:?} of virtual time")))
        })
    }));
    drop(runtime);
    let panics = PANICS.take();
    let verdict = match ended {
        _ if !panics.is_empty() => Err(panics.join("\n")),
        Ok(verdict) => verdict,
        Err(_) => Err("a panic".to_owned()),
    };
    let steps = log.take();
    match verdict {
        Ok(rows) => Ok(Done { rows, steps }),
        Err(reason) => Err(Failure { seed, reason, steps }),
    }
}

async fn play(
    world: &mut World,
    story: impl AsyncFnOnce(&mut World) -> Result<(), String>,
) -> Result<u64, String> {
    story(world).await?;
    world.say("everything calms down".to_owned());
    world.calm_down().await;
    if world.rng.bool() {
        world.start_afresh();
    }
    settle(world).await?;
    world.leave().await?;
    // What the last process left is all that the next one finds.
    world.start_afresh();
    settle(world).await?;
    world.leave().await?;
    oracle::judge(world).await
}

/// Waits until the table holds everything, with somebody at hand who answers halts.
async fn settle(world: &mut World) -> Result<(), String> {
    for _ in 0..60 {
        world.keep_one_running();
        world.run(Duration::from_secs(6)).await;
        let changed = operator::operate(world).await?;
        if !changed && oracle::is_complete(world).await {
            return Ok(());
        }
    }
    let held = oracle::held(world).await;
    Err(format!(
        "after minutes without faults the table is not complete: {held}; halts: {:?}",
        world.halts()
    ))
}
