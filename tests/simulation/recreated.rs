//! A topic that is created again while it is read, and whose new logs end right where the old ones were read to: no
//! record and no position that is out of range tells of it. Somebody has to be told all the same, since everything that
//! the new topic has is missing.

use crate::replay::replay_story;
use crate::schedule::Step;
use crate::world::{Honest, World};
use crate::{operator, oracle};

/// Worlds that it is told in: topics have one to three partitions there, and feed one job or two.
const SEEDS: std::ops::Range<u64> = 0..8;

async fn produce_the_same(world: &mut World) -> Result<(), String> {
    for partition in 0..world.partitions().len() {
        world
            .step(Step::Produce {
                partition,
                records: 20,
            })
            .await?;
    }
    Ok(())
}

const MINUTE: Step = Step::Run { millis: 60_000 };

#[test]
fn a_topic_created_again_that_has_nothing_to_read_is_noticed_within_a_minute() {
    for seed in SEEDS {
        let told = replay_story(seed, &Honest, async |world| {
            produce_the_same(world).await?;
            world.step(Step::StartProcess).await?;
            world.step(MINUTE).await?;
            if !oracle::is_complete(world).await {
                return Err(format!("not all is read: {}", oracle::held(world).await));
            }
            world.step(Step::RecreateTopic).await?;
            produce_the_same(world).await?;
            world.step(MINUTE).await?;
            let halts = world.halts();
            let named = halts.iter().filter(|(_, why)| why.contains("--adopt-topic"));
            if named.count() != world.jobs().len() {
                return Err(format!("a job goes on: {halts:?}"));
            }
            operator::operate(world).await?;
            world.step(MINUTE).await?;
            match oracle::is_complete(world).await && world.halts().is_empty() {
                true => Ok(()),
                false => Err(format!(
                    "{}; halts: {:?}",
                    oracle::held(world).await,
                    world.halts()
                )),
            }
        });
        if let Err(failure) = told {
            panic!("{failure}");
        }
    }
}
