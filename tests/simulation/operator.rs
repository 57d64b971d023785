//! Somebody reads what stands still and runs the command that the message names.

use std::sync::Arc;

use tabletopic_ingest::Job;
use tabletopic_ingest::ask_broker::Here;
use tabletopic_ingest::halts::Scope;
use tabletopic_ingest::resolve::{Answer, ResolveError, resolve};
use tabletopic_offsets::TableState;
use tabletopic_table::commit::{Base, CommitError, Halt, check_standing};

use crate::foreign;
use crate::world::{Happened, World};

/// The command that a halt's message names, if what it speaks of has happened. None for what heals by itself.
fn answer(message: &str, happened: Happened) -> Result<Option<Answer>, String> {
    // A message that names two leaves the choice: the rows come back.
    let choices = [
        ("--adopt-topic", Answer::AdoptTopic, happened.recreated),
        ("--rewind", Answer::Rewind, happened.rolled_back),
        ("--declare-lost", Answer::DeclareLost, happened.expired),
        // A reader of the deleted topic that stumbled after the new one was adopted says so too.
        ("--truncate", Answer::Truncate, happened.cut || happened.recreated),
    ];
    match choices
        .into_iter()
        .find(|(command, ..)| message.contains(command))
    {
        Some((_, answer, true)) => Ok(Some(answer)),
        None if happened.follower_cut_off && message.contains("is full") => Ok(None),
        _ => Err(format!("nothing has happened that explains the halt: {message}")),
    }
}

async fn is_rolled_back(world: &World, job: &Job) -> bool {
    let Ok(table) = world.lake.catalog.load(&job.table).await else {
        return false;
    };
    let base = Base::<TableState>::read(table).expect("a state that can be read");
    check_standing(&world.lake, &base).await.is_err()
}

/// Answers every halt there is. Whether an answer changed anything: a halt may outlive its reason for a while in a
/// process that no longer owns the partition.
pub async fn operate(world: &mut World) -> Result<bool, String> {
    let mut changed = false;
    for job in world.jobs() {
        changed |= operate_on(world, &job).await?;
    }
    Ok(changed)
}

async fn operate_on(world: &mut World, job: &Arc<Job>) -> Result<bool, String> {
    let (mut answers, mut changed) = (Vec::new(), false);
    let things_happen_to_it = job.id == world.job.id;
    for (scope, message) in world.halts() {
        // Those of followers are mended by those who broke them.
        let of_job = match &scope {
            Scope::Partition { job: halted, .. }
            | Scope::Backfill { job: halted, .. }
            | Scope::Topic { job: halted } => *halted == job.id,
            Scope::Table { table } => *table == job.table,
        };
        if !of_job {
            continue;
        }
        let Some(answer) = answer(&message, world.happened)? else {
            continue;
        };
        if !answers.contains(&answer) {
            answers.push(answer);
        }
    }
    // What was adopted before a rollback can be adopted only after it was answered.
    answers.sort_by_key(|answer| match answer {
        Answer::Rewind => 0,
        Answer::AdoptTopic => 1,
        Answer::Truncate => 2,
        Answer::DeclareLost => 3,
    });
    for answer in &answers {
        let broker = Here(Arc::new(world.broker.clone()));
        let reason = "simulated";
        if *answer == Answer::AdoptTopic && things_happen_to_it {
            world.note_adoption().await;
        }
        // It would accept the rollback as lost, too, whose rows shall come back.
        if *answer == Answer::DeclareLost && is_rolled_back(world, job).await {
            world.say(format!("  {answer:?}: not before the rollback is answered"));
            continue;
        }
        match resolve(
            &world.lake,
            &broker,
            std::slice::from_ref(job),
            *answer,
            reason,
            false,
        )
        .await
        {
            Ok(resolution) => {
                changed = true;
                if things_happen_to_it {
                    world.answered(*answer);
                }
                world.say(format!(
                    "  {}: resolved by {answer:?}: {:?}",
                    job.table, resolution.effects
                ));
            }
            // Halted processes look every few seconds; what they say may be answered already.
            Err(ResolveError::Nothing { why, .. }) => world.say(format!("  {answer:?}: {why}")),
            // Nobody had noticed the rollback; it is answered once somebody has.
            Err(ResolveError::Commit(CommitError::Halt(
                Halt::RolledBack { .. } | Halt::HistoryExpired { .. },
            ))) if world.rollback_open => {
                world.say(format!("  {answer:?}: not before the rollback is answered"));
            }
            // Expired after the rollback, and neither rows nor ledger tell how far it went.
            Err(error) if error.to_string().contains("Set `main` to our newest snapshot") => {
                foreign::undo_rollback(&world.lake, &job.table).await;
                changed = true;
                world.rollback_open = false;
                world.say(format!("  {answer:?}: {error}; so it is"));
            }
            // The dead-letter table is brought up to date within seconds.
            Err(error)
                if error
                    .to_string()
                    .contains("wait until the dead-letter table has it") =>
            {
                world.say(format!("  {answer:?}: {error}"));
            }
            // Dead letters can't be counted before somebody mends their table.
            Err(ResolveError::Commit(CommitError::Halt(Halt::FollowerTagMissing { .. }))) => {
                world.say(format!(
                    "  {answer:?}: not before the dead-letter table is mended"
                ));
            }
            Err(error) => return Err(format!("{answer:?} is refused: {error}")),
        }
    }
    Ok(changed)
}
