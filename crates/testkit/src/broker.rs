//! A broker that belongs to one test, which may stop it and start it again.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// One Kafka broker. It is stopped when it is dropped.
#[derive(Debug)]
pub struct Broker {
    folder: TempDir,
    pub bootstrap: String,
}

impl Broker {
    /// Starts a broker with further properties, `key=value`.
    pub fn start(properties: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut arguments = vec!["up".to_owned(), path(folder.path())];
        for property in properties {
            arguments.extend(["--property".to_owned(), (*property).to_owned()]);
        }
        let bootstrap = kafka(&arguments);
        Self { folder, bootstrap }
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
            .arg(script())
            .arg("kill")
            .arg(self.folder.path())
            .output();
    }
}

fn kafka(arguments: &[String]) -> String {
    let output = Command::new("python3")
        .arg(script())
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

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parts/kafka.py")
}

fn path(path: &Path) -> String {
    path.to_str().expect("a UTF-8 path").to_owned()
}
