//! Work beside `run`, on a thread of its own: what it decodes and encodes holds up nobody else.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

/// How long questions that can't be ended are waited for on leaving.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread. It leaves when it is told to.
pub struct Aside {
    name: &'static str,
    leave: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Aside {
    /// # Errors
    /// Those of making a thread.
    pub fn start(name: &'static str, work: impl AsyncFnOnce() + Send + 'static) -> std::io::Result<Self> {
        let (leave, told) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .thread_name(name)
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = work() => {}
                    _ = told => {}
                }
            });
            runtime.shutdown_timeout(PATIENCE);
        })?;
        Ok(Self { name, leave, thread })
    }

    /// Ends it where it stands. Connections that it has opened end with it.
    pub fn end(self) {
        drop(self.leave);
        if self.thread.join().is_err() {
            tracing::warn!("{} has panicked", self.name);
        }
    }
}
