//! Dead letters that are redriven while everything else happens: several at once, over bad networks, dying in the
//! middle, beside processes that commit, rollbacks, cut logs and foreign hands. Each letter is a row at most once, and
//! a letter still.

use std::sync::Arc;

use tabletopic_decode::OnBadRecord;
use tabletopic_ingest::Job;
use tabletopic_ingest::dead_letters::{DeadLettersError, Redriven, Selection, redrive};
use tabletopic_table::Lake;
use tabletopic_table::commit::CommitError;
use tabletopic_testkit::Weather;
use tokio::task::JoinHandle;

use crate::replay::replay_story;
use crate::schedule::{self, Step};
use crate::world::Honest;

const SCHEDULES: u64 = 60;

/// Somebody who runs `tabletopic dead-letters TABLE redrive`.
pub struct Redriver {
    pub weather: Arc<Weather>,
    task: JoinHandle<Result<Redriven, DeadLettersError>>,
}

impl Redriver {
    /// The cause is mended: what has the wrong type may be null.
    pub fn start(lake: Lake, weather: Arc<Weather>, job: &Job) -> Self {
        let mut job = job.clone();
        job.decode.on_bad_record = OnBadRecord::NullField;
        let (table, jobs) = (job.table.clone(), [Arc::new(job)]);
        let task = async move { redrive(&lake, None, &table, &jobs, &Selection::default(), false).await };
        Self {
            weather,
            task: tokio::spawn(task),
        }
    }

    pub fn is_over(&self) -> bool {
        self.weather.is_dead() || self.task.is_finished()
    }

    /// What it said when it was over. Nothing stood in its way but what has stopped others, too.
    pub async fn said(self) -> Result<String, String> {
        if self.weather.is_dead() {
            self.task.abort();
            return Ok("  the redriver died".to_owned());
        }
        match self.task.await.map_err(|error| error.to_string())? {
            Ok(Redriven { rows, already, .. }) => Ok(format!("  redriven: {rows} rows, {already} before")),
            Err(DeadLettersError::Commit(error)) if may_stop(&error) => {
                Ok(format!("  not redriven: {error}"))
            }
            Err(error) => Err(format!("a redrive failed: {error}")),
        }
    }
}

fn may_stop(error: &CommitError) -> bool {
    // An outage while it read or stored files is told to whoever ran it.
    matches!(error, CommitError::Halt(_) | CommitError::Catalog(_)) || error.is_transient()
}

#[test]
fn redriven_letters_are_rows_once_whatever_happens_meanwhile() {
    let mut added = 0;
    for seed in 0..SCHEDULES {
        let told = replay_story(seed, &Honest, async |world| {
            let mut rng = fastrand::Rng::with_seed(!seed);
            for step in schedule::steps(&mut world.rng) {
                world.step(step).await?;
                if rng.u8(..5) == 0 {
                    world.step(drawn(&mut rng)).await?;
                }
            }
            Ok(())
        });
        match told {
            Ok(done) => {
                let adds = |line: &&String| line.contains("redriven: ") && !line.contains(" 0 rows");
                added += done.steps.iter().filter(adds).count();
            }
            Err(failure) => panic!("{failure}"),
        }
    }
    assert!(added > 40, "only {added} redrives added rows");
}

fn drawn(rng: &mut fastrand::Rng) -> Step {
    Step::Redrive {
        seed: rng.u64(..),
        percent: [0, 0, 10, 40][rng.usize(..4)],
        dies_in: (rng.u8(..4) == 0).then(|| rng.u32(0..40)),
    }
}
