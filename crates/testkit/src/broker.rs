//! A broker that belongs to one test, which may stop it and start it again.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::part::{Part, file};
use crate::readers::python;

/// One Kafka broker. It is stopped when it is dropped.
#[derive(Debug)]
pub struct Broker {
    folder: TempDir,
    pub bootstrap: String,
}

impl Broker {
    /// Starts a broker with further properties, `key=value`.
    pub fn start(properties: &[&str]) -> Self {
        Self::start_with(with_properties(properties)).0
    }

    /// Starts a broker whose topics can have a remote tier (KIP-405), which is a folder.
    pub fn tiered(remote: &Path, properties: &[&str]) -> Self {
        let tier = ["--tiered".to_owned(), path(remote)];
        Self::start_with([tier.as_slice(), &with_properties(properties)].concat()).0
    }

    /// The broker, and what `kafka.py up` says of it beside its address, a line each.
    pub(crate) fn start_with(arguments: Vec<String>) -> (Self, Vec<String>) {
        let folder = TempDir::new().expect("a temporary folder");
        let up = ["up".to_owned(), path(folder.path())];
        let said = kafka(&[up.as_slice(), &arguments].concat());
        let mut said = said.lines().map(str::to_owned);
        let bootstrap = said.next().expect("an address");
        (Self { folder, bootstrap }, said.collect())
    }

    /// Where its logs are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops it in an orderly way; its data stays.
    pub fn stop(&self) {
        kafka(&["down".to_owned(), path(self.folder.path())]);
    }

    /// Takes the records of a log at or above `offset` away, while the broker is stopped, and answers where it ends
    /// then: maybe below, since batches go as a whole.
    pub fn cut(&self, topic: &str, partition: i32, offset: i64) -> i64 {
        let numbers = [partition.to_string(), offset.to_string()];
        let arguments = ["cut".to_owned(), path(self.folder.path()), topic.to_owned()];
        let end = kafka(&[arguments.as_slice(), &numbers].concat());
        end.parse().expect("an offset")
    }

    /// Starts it again, on the same port.
    pub fn start_again(&self) {
        kafka(&["up".to_owned(), path(self.folder.path())]);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = Command::new("python3")
            .arg(file("kafka.py"))
            .arg("kill")
            .arg(self.folder.path())
            .output();
    }
}

fn with_properties(properties: &[&str]) -> Vec<String> {
    let arguments = properties
        .iter()
        .flat_map(|property| ["--property", property].map(str::to_owned));
    arguments.collect()
}

fn kafka(arguments: &[String]) -> String {
    let output = Command::new("python3")
        .arg(file("kafka.py"))
        .args(arguments)
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(
        output.status.success(),
        "kafka.py {arguments:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

pub(crate) fn path(path: &Path) -> String {
    path.to_str().expect("a UTF-8 path").to_owned()
}

/// A broker that has no topic ids, with one topic. It ends when it is dropped.
#[derive(Debug)]
pub struct WithoutTopicIds {
    _part: Part,
    pub bootstrap: String,
}

impl WithoutTopicIds {
    pub fn start(topic: &str, partitions: u32) -> Self {
        let partitions = partitions.to_string();
        let arguments = [topic.as_ref(), partitions.as_ref()];
        let mut part = Part::start(&python(), "without_topic_ids.py", &arguments);
        let bootstrap = part.line();
        Self {
            _part: part,
            bootstrap,
        }
    }
}
