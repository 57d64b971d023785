//! One process of the service: the real drivers with their workers, and the real committers, on a bad network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tabletopic_ingest::Lane;
use tabletopic_ingest::ask_broker::Here;
use tabletopic_ingest::committer::{Committer, REQUESTS, Request};
use tabletopic_ingest::job::{Backfill, Job};
use tabletopic_ingest::memory_budget::{MemoryBudget, Untold};
use tabletopic_ingest::observe::{Meter, Metrics, Observed};
use tabletopic_ingest::prepare::create_table;
use tabletopic_ingest::run::{Driver, Uploads};
use tabletopic_ingest::worker::Worker;
use tabletopic_offsets::JobId;
use tabletopic_source::MemoryBroker;
use tabletopic_table::Lake;
use tabletopic_table::follower::create;
use tabletopic_testkit::Weather;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What a process is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    pub name: String,
    pub lake: Lake,
    /// Of one topic, each with a table of its own.
    pub jobs: Vec<Arc<Job>>,
    pub broker: MemoryBroker,
    pub weather: Arc<Weather>,
    /// Records per partition and poll.
    pub batch: usize,
    /// Bytes of open files.
    pub memory: usize,
}

/// See the module.
pub struct Process {
    parts: Parts,
    pub observed: Arc<Observed>,
    life: Life,
}

enum Life {
    /// Creates what is missing.
    Preparing(JoinHandle<()>),
    Running {
        /// One, and another that fills history if that is read behind what is new.
        drivers: Vec<Driver>,
        committers: Vec<JoinHandle<()>>,
        leaving: bool,
    },
    /// The drivers have left; the committers finish.
    Ending(Vec<JoinHandle<()>>),
    Over,
}

impl Process {
    pub fn start(parts: Parts) -> Self {
        let (lake, jobs) = (parts.lake.clone(), parts.jobs.clone());
        let prepared = tokio::spawn(async move {
            let sample = [tabletopic_records::Record {
                partition: 0,
                offset: 0,
                timestamp: Some(0),
                key: None,
                value: Some(b"{\"n\": 0}"),
                headers: &tabletopic_records::NoHeaders,
            }];
            // A process that can't begin is started again by whoever watches over it.
            for job in jobs {
                while create_table(&lake, &job, &sample).await.is_err()
                    || create::followers(&lake, &job.table).await.is_err()
                {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        });
        let metrics = Metrics::register(&Registry::new()).expect("its names are its own");
        let observed = Arc::new(Observed::new(
            parts.jobs.clone(),
            parts.lake.clock.clone(),
            metrics,
            "tabletopic resolve".to_owned(),
        ));
        Self {
            parts,
            observed,
            life: Life::Preparing(prepared),
        }
    }

    pub fn name(&self) -> &str {
        &self.parts.name
    }

    pub fn weather(&self) -> &Weather {
        &self.parts.weather
    }

    pub fn is_over(&self) -> bool {
        matches!(self.life, Life::Over)
    }

    /// One round of everything in the process that is not a task of its own.
    pub fn step(&mut self) {
        if self.weather().is_dead() {
            return self.kill();
        }
        if self.weather().is_stopped() {
            return;
        }
        match &mut self.life {
            Life::Preparing(prepared) if prepared.is_finished() => {
                self.life = running(&self.parts, &self.observed)
            }
            Life::Preparing(_) | Life::Over => {}
            Life::Running {
                drivers,
                committers,
                leaving,
            } => {
                assert!(
                    !committers.iter().any(JoinHandle::is_finished),
                    "{}: a committer ended before its drivers",
                    self.parts.name
                );
                for driver in drivers.iter_mut() {
                    driver.step();
                    assert_eq!(driver.fatal(), None);
                }
                if *leaving && drivers.iter().all(Driver::is_idle) {
                    drivers.iter_mut().for_each(Driver::close);
                    let Life::Running { committers, .. } = std::mem::replace(&mut self.life, Life::Over)
                    else {
                        unreachable!("it is running");
                    };
                    self.life = Life::Ending(committers);
                }
            }
            Life::Ending(committers) if committers.iter().all(JoinHandle::is_finished) => {
                self.life = Life::Over
            }
            Life::Ending(_) => {}
        }
    }

    /// SIGTERM.
    pub fn leave(&mut self) {
        match &mut self.life {
            Life::Running { drivers, leaving, .. } if !*leaving => {
                *leaving = true;
                drivers.iter_mut().for_each(Driver::leave);
            }
            Life::Preparing(_) => self.kill(),
            Life::Running { .. } | Life::Ending(_) | Life::Over => {}
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.weather().die();
        match std::mem::replace(&mut self.life, Life::Over) {
            Life::Preparing(task) => task.abort(),
            Life::Running { committers, .. } | Life::Ending(committers) => {
                committers.iter().for_each(JoinHandle::abort)
            }
            Life::Over => {}
        }
    }
}

fn running(parts: &Parts, observed: &Arc<Observed>) -> Life {
    let Parts {
        name,
        lake,
        jobs,
        broker,
        batch,
        memory,
        ..
    } = parts;
    let asked = Arc::new(Here(Arc::new(broker.clone())));
    let mut senders = BTreeMap::<JobId, mpsc::Sender<Request>>::new();
    let mut committers = Vec::new();
    for job in jobs {
        let (sender, requests) = mpsc::channel(REQUESTS);
        let (table, of_table) = (job.table.clone(), vec![job.clone()]);
        let committer = Committer::new(lake.clone(), table, of_table, asked.clone(), observed.clone());
        committers.push(tokio::spawn(committer.run(requests)));
        senders.insert(job.id.clone(), sender);
    }
    let budget = MemoryBudget::new(*memory, Arc::new(Untold));
    let uploads = Uploads::new(
        lake.file_io.clone(),
        Handle::current(),
        budget.clone(),
        observed.metrics.clone(),
    );
    let mut readers = vec![(Lane::Live, name.clone())];
    if jobs.iter().any(|job| job.backfill == Backfill::Behind) {
        readers.push((Lane::Backfill, backfill_member(name)));
    }
    let drivers = readers.into_iter().enumerate().map(|(number, (lane, member))| {
        let meter = Meter::new(number, lake.clock.clone(), observed.metrics.clone());
        let worker = Worker::new(lane, jobs.clone(), lake.entropy.clone(), budget.part(), meter);
        Driver::new(
            number,
            worker,
            Box::new(broker.member(member).batch_records(*batch)),
            lake.clock.clone(),
            observed.clone(),
            uploads.clone(),
            senders.clone(),
        )
    });
    Life::Running {
        drivers: drivers.collect(),
        committers,
        leaving: false,
    }
}

/// As whom a process fills history.
pub fn backfill_member(process: &str) -> String {
    format!("{process}-backfill")
}
