//! Followers that nobody wrote to for long: what waits for them never keeps the table from going on once they can be
//! written to, whichever process finds it waiting, and whatever its clock says.

use tabletopic_offsets::Follower;

use crate::oracle;
use crate::replay::replay_story;
use crate::schedule::Step;
use crate::world::{Honest, World};

/// Worlds that a story is told in: their jobs and networks differ.
const SEEDS: std::ops::Range<u64> = 0..4;

/// Longer than dead-letter files may wait.
const DAY_AND_MORE: i64 = 25;

fn in_each_world(story: impl AsyncFn(&mut World) -> Result<(), String>) {
    for seed in SEEDS {
        if let Err(failure) = replay_story(seed, &Honest, &story) {
            panic!("{failure}");
        }
    }
}

async fn steps(world: &mut World, steps: impl IntoIterator<Item = Step>) -> Result<(), String> {
    for step in steps {
        world.step(step).await?;
    }
    Ok(())
}

/// So many that some of them are dead letters.
const PRODUCE: Step = Step::Produce {
    partition: 0,
    records: 150,
};
const RUN: Step = Step::Run { millis: 20_000 };
const JUMP: Step = Step::ClocksJump { hours: DAY_AND_MORE };

/// Everything that was produced gets into the table, and nothing stands still.
async fn caught_up(world: &mut World) -> Result<(), String> {
    for _ in 0..10 {
        world.step(RUN).await?;
        if oracle::is_complete(world).await && world.halts().is_empty() {
            return Ok(());
        }
    }
    let held = oracle::held(world).await;
    Err(format!("{held}; halts: {:?}", world.halts()))
}

#[test]
fn a_run_once_a_day_goes_on_each_day() {
    in_each_world(async |world| {
        for _ in 0..4 {
            steps(world, [PRODUCE, Step::StartProcess]).await?;
            caught_up(world).await?;
            steps(world, [Step::Leave { process: 0 }, RUN, JUMP]).await?;
        }
        Ok(())
    });
}

#[test]
fn a_process_that_was_killed_leaves_nothing_that_stops_the_next_one_days_later() {
    in_each_world(async |world| {
        for _ in 0..4 {
            steps(world, [PRODUCE, Step::StartProcess]).await?;
            caught_up(world).await?;
            steps(world, [Step::Kill { process: 0 }, JUMP]).await?;
        }
        Ok(())
    });
}

#[test]
fn a_clock_that_jumps_stops_nothing() {
    in_each_world(async |world| {
        steps(world, [Step::StartProcess, PRODUCE]).await?;
        for _ in 0..4 {
            steps(world, [PRODUCE, Step::Run { millis: 1_000 }, JUMP, PRODUCE]).await?;
            caught_up(world).await?;
        }
        Ok(())
    });
}

/// The table is full of dead letters that wait; goes on as soon as these can be written, without a restart.
#[test]
fn a_full_outbox_heals_by_itself_once_its_follower_can_be_written_to() {
    in_each_world(async |world| {
        steps(world, [Step::StartProcess, PRODUCE, RUN]).await?;
        let cut_off = Step::FollowerCutOff {
            follower: Follower::DeadLetters,
        };
        steps(world, [cut_off, PRODUCE, RUN, JUMP, PRODUCE, RUN]).await?;
        let halts = world.halts();
        if !halts.iter().any(|(_, message)| message.contains("is full")) {
            return Err(format!("the outbox is not full: {halts:?}"));
        }
        steps(world, [Step::FollowersMended]).await?;
        caught_up(world).await
    });
}
