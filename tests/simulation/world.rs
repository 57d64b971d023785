//! Everything that a schedule acts on: the broker, the catalog and the store as they really are, and the processes
//! that reach them over bad networks.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use iceberg::TableIdent;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tabletopic_catalog::{Catalog, MemoryCatalog};
use tabletopic_clock::{Clock, Entropy, Millis, SeededEntropy};
use tabletopic_decode::{DecodeSettings, Format, OnBadRecord};
use tabletopic_ingest::halts::Scope;
use tabletopic_ingest::job::{Backfill, Job, PartitionBy, Start};
use tabletopic_ingest::resolve::Answer;
use tabletopic_offsets::{Follower, JobId, TopicPartition};
use tabletopic_source::{Broker, BrokerError, LogOffsets, MemoryBroker, TopicDescription};
use tabletopic_table::Lake;
use tabletopic_table::file::FileSettings;
use tabletopic_table::follower::ident;
use tabletopic_table::storage::{RequestCounts, file_io};
use tabletopic_testkit::{FaultyCatalog, FaultyStore, Weather};
use tokio::time::Instant;

use crate::process::{Parts, Process, backfill_member};
use crate::redrive::Redriver;
use crate::schedule::Step;
use crate::truth::Truth;
use crate::{foreign, operator, oracle};

/// The topic of every schedule, and the job and the table to which everything happens.
const TOPIC: &str = "orders";
const OUTAGE: &str = "simulated outage";
const WAREHOUSE: &str = "memory:///warehouse";
/// How often a driver gets its turn: its own longest wait for the source.
const TURN: Duration = Duration::from_millis(100);
const MOST_PROCESSES: usize = 3;
const MOST_PARTITIONS: usize = 4;

/// What the processes of a world are given; a mutant breaks a promise of one of them.
pub trait Nature: Debug + Sync {
    /// The catalog that all processes share.
    fn catalog(&self, catalog: Arc<dyn Catalog>, lake: &Lake) -> Arc<dyn Catalog> {
        let _ = lake;
        catalog
    }

    /// The store that all processes share.
    fn store(&self, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        store
    }
}

/// Nothing is broken.
#[derive(Debug)]
pub struct Honest;

impl Nature for Honest {}

/// The virtual time, for a host whose clock is off by so much.
#[derive(Debug)]
struct Virtual {
    began: Instant,
    off: Millis,
    jumped: Arc<AtomicI64>,
}

impl Clock for Virtual {
    fn now(&self) -> Millis {
        1_700_000_000_000
            + self.off
            + self.jumped.load(Ordering::SeqCst)
            + self.began.elapsed().as_millis() as Millis
    }
}

/// Where a process runs: its network, its clock and its randomness.
struct Host {
    weather: u64,
    clock_off: Millis,
    entropy: u64,
}

impl Host {
    fn draw(rng: &mut fastrand::Rng) -> Self {
        Self {
            weather: rng.u64(..),
            clock_off: rng.i64(-20_000..20_000),
            entropy: rng.u64(..),
        }
    }
}

/// The steps taken, which outlive a panic.
pub type Log = Rc<RefCell<Vec<String>>>;

/// What explains a halt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Happened {
    pub expired: bool,
    pub follower_cut_off: bool,
    pub recreated: bool,
    pub cut: bool,
    pub rolled_back: bool,
    pub redriven: bool,
}

/// See the module.
pub struct World {
    pub rng: fastrand::Rng,
    pub broker: MemoryBroker,
    /// Calm, and for the operator and foreign hands.
    pub lake: Lake,
    pub job: Arc<Job>,
    /// Another one of the same topic, with a table of its own, to which nobody does anything.
    pub beside: Option<Arc<Job>>,
    pub truth: Truth,
    pub happened: Happened,
    /// A rollback that nobody has answered: expiry now would leave nothing to rewind to.
    pub rollback_open: bool,
    /// Records of deleted topics that the table has to keep.
    pub kept: BTreeSet<usize>,
    /// Where the logs of the topic were cut, at the lowest: the table may hold records from there on which are gone.
    cuts: BTreeMap<i32, i64>,
    /// Of these, cuts that nobody has answered.
    cuts_open: BTreeMap<i32, i64>,
    /// Catalog and store of the processes, before the network.
    catalog: Arc<dyn Catalog>,
    store: Arc<dyn ObjectStore>,
    began: Instant,
    /// What all clocks have jumped by.
    jumped: Arc<AtomicI64>,
    /// Followers whose tag somebody took, and where it was.
    cut_off: Vec<(Follower, i64)>,
    processes: Vec<Process>,
    redrivers: Vec<Redriver>,
    /// The process that the group gave each partition to.
    owners: BTreeMap<i32, String>,
    /// Processes that still believe to own what they were robbed of.
    robbed: Vec<(String, i32)>,
    started: usize,
    outage: bool,
    log: Log,
}

impl World {
    pub fn new(seed: u64, nature: &dyn Nature, log: Log) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let began = Instant::now();
        let jumped = Arc::new(AtomicI64::new(0));
        let clock: Arc<dyn Clock> = Arc::new(Virtual {
            began,
            off: 0,
            jumped: jumped.clone(),
        });
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(rng.u64(..)));
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::new(
            "memory",
            WAREHOUSE,
            clock.clone(),
            entropy.clone(),
        ));
        let file_io = file_io(store.clone(), "memory:///", Arc::new(RequestCounts::default()));
        let lake = Lake {
            catalog: catalog.clone(),
            file_io,
            clock,
            entropy,
            actor: "operator".into(),
        };
        let broker = MemoryBroker::new("cluster");
        broker.create_topic(TOPIC, rng.usize(1..=3));
        let job = Arc::new(job(&mut rng));
        // Schedules that found something are drawn as they were.
        let beside = seed
            .is_multiple_of(2)
            .then(|| Arc::new(beside(&mut fastrand::Rng::with_seed(seed))));
        Self {
            broker,
            job,
            beside,
            truth: Truth::default(),
            happened: Happened::default(),
            rollback_open: false,
            kept: BTreeSet::new(),
            cuts: BTreeMap::new(),
            cuts_open: BTreeMap::new(),
            catalog: nature.catalog(catalog, &lake),
            store: nature.store(store),
            lake,
            began,
            jumped,
            cut_off: Vec::new(),
            processes: Vec::new(),
            redrivers: Vec::new(),
            owners: BTreeMap::new(),
            robbed: Vec::new(),
            started: 0,
            outage: false,
            log,
            rng,
        }
    }

    /// The topic has history before anybody reads it, and that is read behind what is new.
    pub fn read_history_behind(&mut self) {
        for job in [Some(&mut self.job), self.beside.as_mut()].into_iter().flatten() {
            Arc::make_mut(job).backfill = Backfill::Behind;
        }
        for partition in self.partitions() {
            let records = self.rng.u32(..60);
            self.produce(partition, records, false);
        }
    }

    pub fn say(&mut self, line: String) {
        self.log
            .borrow_mut()
            .push(format!("{:>8} ms  {line}", self.began.elapsed().as_millis()));
    }

    /// The jobs of the topic.
    pub fn jobs(&self) -> Vec<Arc<Job>> {
        let jobs = [Some(&self.job), self.beside.as_ref()];
        jobs.into_iter().flatten().cloned().collect()
    }

    pub fn topic_partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.job.topic.clone(), partition)
    }

    pub fn partitions(&self) -> Vec<i32> {
        self.topic().partitions
    }

    pub fn topic_id(&self) -> Option<String> {
        self.topic().identity.topic_id
    }

    fn topic(&self) -> TopicDescription {
        let described = self.surely(|broker| broker.describe(std::slice::from_ref(&self.job.topic)));
        described
            .into_iter()
            .next()
            .and_then(Result::ok)
            .expect("the topic is there")
    }

    /// Log start and last stable offset.
    pub fn log(&self, tp: &TopicPartition) -> LogOffsets {
        let offsets = self.surely(|broker| broker.offsets(std::slice::from_ref(tp)));
        offsets
            .into_iter()
            .next()
            .and_then(Result::ok)
            .expect("the partition is there")
    }

    /// An outage hides nothing from the simulation itself.
    fn surely<T>(&self, ask: impl FnOnce(&MemoryBroker) -> Result<T, BrokerError>) -> T {
        self.broker.outage(None);
        let answer = ask(&self.broker).expect("no outage");
        self.broker.outage(self.outage.then_some(OUTAGE));
        answer
    }

    /// What live processes say stands still.
    pub fn halts(&self) -> Vec<(Scope, String)> {
        let awake = self
            .processes
            .iter()
            .filter(|process| !process.weather().is_stopped());
        let halts = awake.flat_map(|process| process.observed.halts.all());
        halts.map(|(scope, halted)| (scope, halted.why.message)).collect()
    }

    /// Carries out a step.
    pub async fn step(&mut self, step: Step) -> Result<(), String> {
        self.say(format!("{step:?}"));
        let pick = |partition: usize, among: &[i32]| among[partition % among.len()];
        let partitions = self.partitions();
        match step {
            Step::Produce { partition, records } => {
                self.produce(pick(partition, &partitions), records, false)
            }
            Step::ProduceNewField { partition, records } => {
                self.produce(pick(partition, &partitions), records, true)
            }
            Step::Control { partition, offsets } => {
                self.broker
                    .append_control(&self.topic_partition(pick(partition, &partitions)), offsets);
            }
            Step::OpenTransaction { partition } => {
                let tp = self.topic_partition(pick(partition, &partitions));
                let end = self.log(&tp).end;
                self.broker.hold_stable_offset(&tp, Some(end));
            }
            Step::EndTransaction { partition } => {
                self.broker
                    .hold_stable_offset(&self.topic_partition(pick(partition, &partitions)), None);
            }
            Step::CompactRecord { partition, back } => {
                let tp = self.topic_partition(pick(partition, &partitions));
                let offset = self.log(&tp).end - back;
                self.broker.compact(&tp, offset);
                self.truth.compact(tp.partition, offset);
            }
            Step::ElectLeader { partition } => {
                self.broker
                    .elect_leader(&self.topic_partition(pick(partition, &partitions)));
            }
            Step::AddPartition => {
                if partitions.len() < MOST_PARTITIONS {
                    self.broker.add_partitions(TOPIC, 1);
                    self.deal_out();
                }
            }
            Step::Retain { partition, left } => {
                let tp = self.topic_partition(pick(partition, &partitions));
                let start = self.log(&tp).end - left;
                if start > 0 {
                    self.happened.expired = true;
                    self.broker.delete_records(&tp, start);
                    self.truth.expire(tp.partition, start);
                }
            }
            // Rows of the topic before could not be told from those that the log lost.
            Step::CutLog { .. } if self.truth.topic > 0 => {}
            Step::CutLog { partition, back } => {
                let tp = self.topic_partition(pick(partition, &partitions));
                let log = self.log(&tp);
                let cut = (log.end - back).max(log.start);
                self.happened.cut = true;
                self.broker.truncate(&tp, cut);
                self.truth.cut(tp.partition, cut);
                for cuts in [&mut self.cuts, &mut self.cuts_open] {
                    let lowest = cuts.entry(tp.partition).or_insert(cut);
                    *lowest = cut.min(*lowest);
                }
            }
            Step::RecreateTopic => {
                self.happened.recreated = true;
                self.note_adoption().await;
                self.cuts.clear();
                self.cuts_open.clear();
                self.broker.create_topic(TOPIC, partitions.len());
                self.truth.topic += 1;
            }
            Step::BrokerOutage { on } => self.set_outage(on),
            Step::Run { millis } => self.run(Duration::from_millis(millis)).await,
            Step::StartProcess => {
                if self.processes.len() < MOST_PROCESSES {
                    self.start();
                }
            }
            Step::Trouble { process, percent } => {
                self.with(process, |process| {
                    process.weather().set_trouble(f64::from(percent) / 100.0)
                });
            }
            Step::DieAt { process, requests } => {
                self.with(process, |process| process.weather().die_in(requests))
            }
            Step::Kill { process } => self.with(process, Process::kill),
            Step::Leave { process } => self.with(process, Process::leave),
            Step::Stop { process } => self.with(process, |process| process.weather().stop()),
            Step::StopAt { process, requests } => {
                self.with(process, |process| process.weather().stop_in(requests))
            }
            Step::GoOn { process } => self.with(process, |process| process.weather().go_on()),
            Step::Move { partition, process } => self.hand(pick(partition, &partitions), process, true),
            Step::Steal { partition, process } => self.hand(pick(partition, &partitions), process, false),
            Step::TellRobbed => self.tell_robbed(),
            Step::ForeignAppend => foreign::append(&self.lake, &self.job.table).await,
            Step::ForeignCompaction => foreign::compact(&self.lake, &self.job.table).await,
            Step::ForeignExpiry => foreign::expire(&self.lake, &self.job.table).await,
            Step::KeepLittle { merged } => foreign::keep_little(&self.lake, &self.job.table, merged).await,
            Step::ForeignRollback { back } => {
                if foreign::roll_back(&self.lake, &self.job.table, back).await {
                    self.happened.rolled_back = true;
                    self.rollback_open = true;
                    self.cuts_open = self.cuts.clone();
                    // Rows of deleted topics that it took can't be read again.
                    self.kept.clear();
                }
            }
            Step::FollowerCutOff { follower } => {
                let table = ident(&self.job.table, follower);
                if let Some(was) = foreign::drop_tag(&self.lake, &table).await {
                    self.happened.follower_cut_off = true;
                    self.cut_off.push((follower, was));
                }
            }
            Step::FollowersMended => self.mend_followers().await,
            Step::ClocksJump { hours } => {
                self.jumped.fetch_add(hours * 3_600_000, Ordering::SeqCst);
            }
            Step::Redrive {
                seed,
                percent,
                dies_in,
            } => {
                self.happened.redriven = true;
                let (lake, weather) =
                    self.reach("redriver", &Host::draw(&mut fastrand::Rng::with_seed(seed)));
                weather.set_trouble(f64::from(percent) / 100.0);
                dies_in.into_iter().for_each(|requests| weather.die_in(requests));
                self.redrivers.push(Redriver::start(lake, weather, &self.job));
            }
            // Commands ask the broker too, and wait for it.
            Step::Operate => {
                if !self.outage {
                    operator::operate(self).await?;
                }
            }
        }
        Ok(())
    }

    /// Time goes on, and every process gets its turns.
    pub async fn run(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            for process in &mut self.processes {
                process.step();
            }
            self.bury_the_dead();
            self.expel_the_stopped();
            tokio::time::sleep(TURN).await;
        }
    }

    /// Whatever was bad ends, and every partition has one owner that is alive.
    pub async fn calm_down(&mut self) {
        self.mend_followers().await;
        self.set_outage(false);
        for partition in self.partitions() {
            self.broker
                .hold_stable_offset(&self.topic_partition(partition), None);
        }
        for process in &self.processes {
            process.weather().calm_down();
        }
        for redriver in &self.redrivers {
            redriver.weather.calm_down();
        }
        self.bury_the_dead();
        self.tell_robbed();
        // A log that was cut below what a late commit still brought into the table is noticed by its next record.
        for partition in self.partitions() {
            self.produce(partition, 1, false);
        }
    }

    /// Somebody sees to it that there is a process.
    pub fn keep_one_running(&mut self) {
        if self.processes.is_empty() {
            self.start();
        }
    }

    /// All processes are killed, and a new one has to see to the rest.
    pub fn start_afresh(&mut self) {
        self.processes.iter_mut().for_each(Process::kill);
        self.bury();
        self.start();
    }

    /// Every process leaves in an orderly way.
    pub async fn leave(&mut self) -> Result<(), String> {
        for _ in 0..30 {
            let redriven = self.hear_redrivers().await?;
            if self.processes.is_empty() && redriven {
                return Ok(());
            }
            self.processes.iter_mut().for_each(Process::leave);
            self.run(Duration::from_secs(10)).await;
        }
        let names: Vec<&str> = self.processes.iter().map(Process::name).collect();
        let redrivers = self.redrivers.len();
        Err(format!("{names:?} and {redrivers} redrivers do not get to leave"))
    }

    /// Whether all redrivers have ended, or died.
    async fn hear_redrivers(&mut self) -> Result<bool, String> {
        let (ended, others) = std::mem::take(&mut self.redrivers)
            .into_iter()
            .partition(Redriver::is_over);
        self.redrivers = others;
        for redriver in ended {
            let said = redriver.said().await?;
            self.say(said);
        }
        Ok(self.redrivers.is_empty())
    }

    /// Rows and dead letters of the topic as it is now are there to stay: it is about to be another one.
    pub async fn note_adoption(&mut self) {
        let Some(state) = oracle::state(&self.lake, &self.job.table).await else {
            return;
        };
        let Some(job) = state.job(&self.job.id) else {
            return;
        };
        if self.rollback_open || job.identity.topic_id != self.topic_id() {
            return;
        }
        for (number, record) in self.truth.records.iter().enumerate() {
            let held = job.partitions.get(&record.partition).is_some_and(|partition| {
                partition.progress.contains(record.offset) && !partition.lost.contains(record.offset)
            });
            let cut = self.cuts_open.get(&record.partition);
            let read = !record.cut && cut.is_none_or(|cut| record.offset < *cut);
            if record.topic == self.truth.topic && held && read && !record.expired && !record.compacted {
                self.kept.insert(number);
            }
        }
    }

    /// A halt of the job was answered.
    pub fn answered(&mut self, answer: Answer) {
        self.rollback_open &= answer != Answer::Rewind;
        if answer == Answer::Truncate {
            // The table holds nothing of what logs lost.
            self.cuts_open.clear();
        }
    }

    async fn mend_followers(&mut self) {
        for (follower, was) in std::mem::take(&mut self.cut_off) {
            foreign::set_tag(&self.lake, &ident(&self.job.table, follower), was).await;
        }
    }

    fn set_outage(&mut self, on: bool) {
        self.outage = on;
        self.broker.outage(on.then_some(OUTAGE));
    }

    fn produce(&mut self, partition: i32, records: u32, new_field: bool) {
        let tp = self.topic_partition(partition);
        for _ in 0..records {
            let (kind, record) = self.truth.draw(&mut self.rng, new_field);
            let offset = self.broker.append(&tp, record);
            self.truth.note(partition, offset, kind);
        }
    }

    fn start(&mut self) {
        let name = format!("process-{}", self.started);
        self.started += 1;
        let host = Host::draw(&mut self.rng);
        let (lake, weather) = self.reach(&name, &host);
        let (jobs, broker) = (self.jobs(), self.broker.clone());
        let (batch, memory) = (self.rng.usize(1..20), [1 << 10, 1 << 20][self.rng.usize(..2)]);
        self.processes.push(Process::start(Parts {
            name,
            lake,
            jobs,
            broker,
            weather,
            batch,
            memory,
        }));
        self.deal_out();
    }

    /// Catalog and store as a host reaches them.
    fn reach(&self, name: &str, host: &Host) -> (Lake, Arc<Weather>) {
        let weather = Arc::new(Weather::new(host.weather));
        let catalog = Arc::new(FaultyCatalog::new(self.catalog.clone(), weather.clone()));
        let store = Arc::new(FaultyStore::new(self.store.clone(), weather.clone()));
        let lake = Lake {
            catalog,
            file_io: file_io(store, "memory:///", Arc::new(RequestCounts::default())),
            clock: Arc::new(Virtual {
                began: self.began,
                off: host.clock_off,
                jumped: self.jumped.clone(),
            }),
            entropy: Arc::new(SeededEntropy::new(host.entropy)),
            actor: name.into(),
        };
        (lake, weather)
    }

    fn with(&mut self, process: usize, act: impl FnOnce(&mut Process)) {
        if !self.processes.is_empty() {
            let chosen = process % self.processes.len();
            act(&mut self.processes[chosen]);
        }
        self.bury();
    }

    /// The group gives the partitions of those that no longer answer to one that does.
    fn expel_the_stopped(&mut self) {
        let is_stopped = |process: &Process| process.weather().is_stopped();
        let Some(awake) = self.processes.iter().position(|process| !is_stopped(process)) else {
            return;
        };
        let silent: BTreeSet<String> = self
            .processes
            .iter()
            .filter(|process| is_stopped(process))
            .map(|process| process.name().to_owned())
            .collect();
        let theirs: Vec<i32> = self
            .owners
            .iter()
            .filter(|(_, owner)| silent.contains(*owner))
            .map(|(partition, _)| *partition)
            .collect();
        for partition in theirs {
            self.hand(partition, awake, false);
        }
    }

    fn bury_the_dead(&mut self) {
        for process in self
            .processes
            .iter_mut()
            .filter(|process| process.weather().is_dead())
        {
            process.kill();
        }
        if self.processes.iter().any(Process::is_over) {
            self.bury();
        }
    }

    /// Forgets those that are over; others get their partitions.
    fn bury(&mut self) {
        self.processes.retain(|process| !process.is_over());
        let alive: BTreeSet<&str> = self.processes.iter().map(Process::name).collect();
        self.owners.retain(|_, owner| alive.contains(owner.as_str()));
        self.robbed.retain(|(name, _)| alive.contains(name.as_str()));
        self.deal_out();
    }

    /// Partitions without an owner go to the processes in turn.
    fn deal_out(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        for partition in self.partitions() {
            if !self.owners.contains_key(&partition) {
                let chosen = self.rng.usize(..self.processes.len());
                self.give(partition, chosen);
            }
        }
    }

    fn hand(&mut self, partition: i32, process: usize, orderly: bool) {
        if self.processes.is_empty() {
            return;
        }
        let chosen = process % self.processes.len();
        let name = self.processes[chosen].name().to_owned();
        match self.owners.remove(&partition) {
            Some(owner) if owner == name => {
                self.owners.insert(partition, owner);
                return;
            }
            Some(owner) => {
                let tp = self.topic_partition(partition);
                let stopped = self
                    .processes
                    .iter()
                    .any(|other| other.name() == owner && other.weather().is_stopped());
                if orderly && !stopped {
                    for member in self.members(&owner) {
                        self.broker.revoke(&member, std::slice::from_ref(&tp));
                    }
                    if let Some(old) = self.processes.iter_mut().find(|other| other.name() == owner) {
                        old.step();
                    }
                } else {
                    self.robbed.push((owner, partition));
                }
            }
            None => {}
        }
        self.give(partition, chosen);
    }

    fn give(&mut self, partition: i32, chosen: usize) {
        let name = self.processes[chosen].name().to_owned();
        let tp = self.topic_partition(partition);
        // One that was robbed of it learns that first.
        if let Some(at) = self
            .robbed
            .iter()
            .position(|(robbed, of)| *robbed == name && *of == partition)
        {
            self.robbed.remove(at);
            for member in self.members(&name) {
                self.broker.lose(&member, std::slice::from_ref(&tp));
            }
        }
        for member in self.members(&name) {
            self.broker.assign(&member, std::slice::from_ref(&tp));
        }
        self.owners.insert(partition, name);
    }

    fn tell_robbed(&mut self) {
        for (name, partition) in std::mem::take(&mut self.robbed) {
            for member in self.members(&name) {
                self.broker.lose(&member, &[self.topic_partition(partition)]);
            }
        }
    }

    /// As whom a process reads: the group of those that fill history deals out as the other one does.
    fn members(&self, process: &str) -> Vec<String> {
        match self.job.backfill {
            Backfill::First => vec![process.to_owned()],
            Backfill::Behind => vec![process.to_owned(), backfill_member(process)],
        }
    }
}

fn beside(rng: &mut fastrand::Rng) -> Job {
    Job {
        id: JobId::new("history"),
        table: TableIdent::from_strs(["shop", "history"]).expect("a name"),
        ..job(rng)
    }
}

fn job(rng: &mut fastrand::Rng) -> Job {
    let mut decode = DecodeSettings::new(TOPIC, Format::Json);
    decode.on_bad_record = OnBadRecord::DeadLetter;
    Job {
        id: JobId::new(TOPIC),
        topic: TOPIC.into(),
        table: TableIdent::from_strs(["shop", TOPIC]).expect("a name"),
        decode,
        shape: None,
        ddl: None,
        partition_by: match rng.bool() {
            true => PartitionBy::Said(vec!["day(_kafka_timestamp)".to_owned()]),
            false => PartitionBy::Said(Vec::new()),
        },
        start: Start::Earliest,
        backfill: Backfill::First,
        partitions: None,
        files: FileSettings {
            max_open_files: rng.usize(1..5),
            ..FileSettings::default()
        },
        commit_interval: Duration::from_millis([300, 1_000, 4_000][rng.usize(..3)]),
    }
}
