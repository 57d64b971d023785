//! `tabletopic` as a process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::wait::eventually;

/// A running `tabletopic run` or `tabletopic catalog serve`. It is killed when it is dropped.
#[derive(Debug)]
pub struct Service {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts `binary run --config CONFIG ARGUMENTS`. Pass `env!("CARGO_BIN_EXE_tabletopic")`.
    pub fn run(binary: &str, config: &Path, arguments: &[&str]) -> Self {
        Self::run_with(binary, config, arguments, &[])
    }

    /// [`run`](Self::run) with environment variables.
    pub fn run_with(binary: &str, config: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start(binary, &["run"], config, arguments, environment)
    }

    /// Starts `binary catalog serve --config CONFIG`.
    pub fn serve_catalog(binary: &str, config: &Path) -> Self {
        Self::serve_catalog_with(binary, config, &[])
    }

    /// [`serve_catalog`](Self::serve_catalog) with environment variables.
    pub fn serve_catalog_with(binary: &str, config: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start(binary, &["catalog", "serve"], config, &[], environment)
    }

    /// Starts another command that goes on for a while: `binary ARGUMENTS --config CONFIG`.
    pub fn command(binary: &str, config: &Path, arguments: &[&str]) -> Self {
        Self::start(binary, arguments, config, &[], &[])
    }

    fn start(
        binary: &str,
        command: &[&str],
        config: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut child = Command::new(binary)
            .args(command)
            .arg("--config")
            .arg(config)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tabletopic starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, into) = (child.stderr.take().expect("it is piped"), log.clone());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = into.lock().expect("no reader has panicked");
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self {
            child,
            log,
            reader: Some(reader),
        }
    }

    /// Runs to its end: exit code and log.
    pub fn finish(mut self) -> (i32, String) {
        let status = self.child.wait().expect("it can be waited for");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("its log can be read");
        }
        (status.code().unwrap_or(-1), self.log())
    }

    /// [`finish`](Self::finish), and it has to have succeeded.
    pub fn succeed(self) -> String {
        let (code, log) = self.finish();
        assert_eq!(code, 0, "tabletopic failed:\n{log}");
        log
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("no reader has panicked").clone()
    }

    /// Waits until its log has `text`.
    pub fn says(&self, text: &str) -> String {
        eventually(&format!("{text:?} in the log"), || {
            let log = self.log();
            log.contains(text).then_some(log)
        })
    }

    /// How many commits its log tells of.
    pub fn commits(&self) -> usize {
        self.log().matches(" committed table=").count()
    }

    /// The variables of the environment that it has started with.
    pub fn environment(&self) -> String {
        let variables = std::fs::read(format!("/proc/{}/environ", self.pid())).expect("it runs");
        String::from_utf8_lossy(&variables).replace('\0', "\n")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that the process has had, in MiB.
    pub fn peak_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("a number") / 1024
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) -> String {
        self.signal("KILL");
        self.child.wait().expect("it can be waited for");
        self.log()
    }

    /// SIGTERM; it commits and leaves with 0.
    pub fn terminate(self) -> String {
        self.signal("TERM");
        self.succeed()
    }

    /// Sends a signal by its name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status();
        assert!(sent.expect("kill runs").success(), "SIG{name} can't be sent");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
