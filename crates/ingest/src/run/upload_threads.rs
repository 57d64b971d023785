//! Uploads have threads of their own, so that the CPU that storing takes can be told from that of commits.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::observe::UPLOAD_THREADS;

/// Of idle threads: their CPU time is looked at every ten seconds, and must not be gone by then.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A runtime that is not waited for when it is dropped: that must not happen on a thread of another one, and a unit whose
/// files are not stored is not committed.
#[derive(Debug)]
pub struct UploadThreads {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl UploadThreads {
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name(UPLOAD_THREADS)
            .thread_keep_alive(KEEP_ALIVE)
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self {
            runtime: Some(runtime),
            handle,
        })
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for UploadThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
