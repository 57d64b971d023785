//! Programs that serve a test as its children, and do what they are told, a word a line.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// It ends when this is dropped, and with the test's process.
#[derive(Debug)]
pub(crate) struct Part {
    child: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Part {
    /// A program of `tests/parts`.
    pub(crate) fn start(python: &Path, program: &str, arguments: &[&OsStr]) -> Self {
        Self::run(python, &file(program), arguments)
    }

    pub(crate) fn run(python: &Path, program: &Path, arguments: &[&OsStr]) -> Self {
        let mut child = Command::new(python)
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let orders = child.stdin.take().expect("it is piped");
        let said = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, orders, said }
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("it speaks UTF-8");
        assert!(!line.is_empty(), "it has ended; it says why above");
        line.trim().to_owned()
    }

    /// Has it do something, and waits until it says something to that.
    pub(crate) fn ask(&mut self, word: &str) -> String {
        writeln!(self.orders, "{word}").expect("it listens");
        self.line()
    }

    /// [`ask`](Self::ask) something that repeats the word once it is done. What it says beside the word.
    pub(crate) fn order(&mut self, word: &str) -> String {
        let line = self.ask(word);
        let said = line.strip_prefix(word);
        said.unwrap_or_else(|| panic!("{word}: {line}")).trim().to_owned()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It ends what it has started, and then itself.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// A file of `tests/parts`.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/parts")
        .join(name)
}
