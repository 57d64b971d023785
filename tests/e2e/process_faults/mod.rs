//! Processes that die, leave, freeze and meet: whatever happens to them, every record is in the table once.

mod ending;
mod history;
mod kills;
mod rebalances;
mod starts;
mod stopped_owner;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tabletopic_testkit::{Lake, Service, Topic, eventually};

use crate::TABLETOPIC;

const JSON: &str = "format = \"json\"\nevent_time = \"created_at\"\non_bad_record = \"dead-letter\"";

/// Sessions of the processes under test end after two seconds, and two cores do not carry several producers beside them.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A topic with a table that it feeds, and the producer's accounts of what it holds.
struct Case {
    topic: Topic,
    lake: Lake,
    produced: Vec<String>,
}

impl Case {
    fn new(name: &str, partitions: u32) -> Self {
        Self {
            topic: Topic::create(name, partitions, &[]),
            lake: Lake::new(),
            produced: Vec::new(),
        }
    }

    /// The configuration `NAME.toml`; `kafka` are further lines of its section.
    fn configure(&self, name: &str, kafka: &str, job: &str) -> PathBuf {
        self.lake.configure(name, &self.topic, kafka, job)
    }

    fn produce(&mut self, count: u32, more: &[&str]) {
        let (file, number) = self.account();
        let count = count.to_string();
        let arguments = ["--count", &count, "--seed", &number, "--produced", &file];
        self.topic.produce("orders", &[&arguments, more].concat());
        self.produced.push(file);
    }

    /// Produces in the background, some of it bad and some without a value, until [`Load::stop`].
    fn load(&mut self, rate: u32) -> Load {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, number) = self.account();
        self.produced.push(file.clone());
        let going = self.lake.path(&format!("load-{number}-goes-on"));
        std::fs::write(&going, "").expect("a file in the test's folder");
        let (topic, rate, goes_on) = (self.topic.clone(), rate.to_string(), path(&going));
        let producer = std::thread::spawn(move || {
            let until = ["--count", "1000000000", "--rate", &rate, "--while", &goes_on];
            let what = [
                "--poison",
                "0.01",
                "--tombstones",
                "0.01",
                "--seed",
                &number,
                "--produced",
                &file,
            ];
            topic.produce("orders", &[&until[..], &what].concat());
        });
        Load {
            going,
            producer,
            _alone: alone,
        }
    }

    /// A file for the next account, and its number, which is its seed too.
    fn account(&self) -> (String, String) {
        let number = self.produced.len().to_string();
        (self.lake.file(&format!("produced-{number}.parquet")), number)
    }

    /// Waits until the mirrored offsets of the group say that everything below `ends` is in the table.
    fn until_committed(&self, ends: &BTreeMap<String, i64>) {
        eventually(&format!("{ends:?} committed"), || {
            let group = self.topic.admin("group", &[]);
            let committed =
                |partition: &str| group["committed"][format!("{}/{partition}", self.topic.name)].as_i64();
            ends.iter()
                .all(|(partition, end)| *end == 0 || committed(partition) >= Some(*end))
                .then_some(())
        });
    }

    /// Where the topic's partitions end now.
    fn ends(&self) -> BTreeMap<String, i64> {
        let topic = self.topic.admin("describe", &[]);
        let partitions = topic["partitions"].as_object().expect("partitions by number");
        partitions
            .iter()
            .map(|(number, each)| (number.clone(), each["end"].as_i64().expect("an offset")))
            .collect()
    }

    /// Brings the table up to the topic's ends, and has the outside readers judge it.
    fn holds_everything(&self, config: &Path) {
        Service::run(TABLETOPIC, config, &["--until-end"]).succeed();
        self.holds(&self.produced);
        self.lake.is_sound();
    }

    fn holds(&self, produced: &[String]) {
        let produced: Vec<&str> = produced.iter().map(String::as_str).collect();
        self.lake.holds(&produced, &["--dead-letters"]);
    }
}

/// A producer in the background. It ends with the test's folder too, should the test fail.
struct Load {
    going: PathBuf,
    producer: JoinHandle<()>,
    _alone: MutexGuard<'static, ()>,
}

impl Load {
    /// Ends once everything produced is acknowledged and accounted for.
    fn stop(self) {
        std::fs::remove_file(&self.going).expect("nobody else removes it");
        self.producer.join().expect("the producer's own panic says why");
    }
}

/// Sets the commit interval of a configuration.
fn commit_every(interval: &str, config: &Path) {
    let text = std::fs::read_to_string(config).expect("it was written");
    let changed = text.replace("interval = \"1s\"", &format!("interval = \"{interval}\""));
    assert_ne!(changed, text, "the configuration has no interval of 1 s");
    std::fs::write(config, changed).expect("it can be written");
}

/// Waits until a process has made a further commit.
fn commits_again(service: &Service) {
    let before = service.commits();
    eventually("a further commit", || (service.commits() > before).then_some(()));
}

fn path(path: &Path) -> String {
    path.to_str().expect("a UTF-8 path").to_owned()
}
