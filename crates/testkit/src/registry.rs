//! A schema registry that belongs to one test, which may have it hang.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A real registry, in memory. It ends when it is dropped.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
    /// Of Confluent's API.
    pub url: String,
}

impl Default for Registry {
    fn default() -> Self {
        Self::start()
    }
}

impl Registry {
    pub fn start() -> Self {
        let mut child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parts/registry.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let orders = child.stdin.take().expect("it is piped");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
        let url = line(&mut said);
        assert!(
            url.starts_with("http://"),
            "registry.py did not start; it says why above"
        );
        Self {
            child,
            orders,
            said,
            url,
        }
    }

    /// From here on it answers nobody, though connections to it are accepted.
    pub fn pause(&mut self) {
        self.order("pause");
    }

    pub fn resume(&mut self) {
        self.order("resume");
    }

    fn order(&mut self, word: &str) {
        writeln!(self.orders, "{word}").expect("it listens");
        assert_eq!(line(&mut self.said), word);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It ends its registry and then itself.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn line(said: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    said.read_line(&mut line).expect("it speaks UTF-8");
    line.trim().to_owned()
}
