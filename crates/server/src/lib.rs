//! The admin server: what an operator, a probe or a collector asks a running service over HTTP.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the status page, for people |
//! | `/status.json` | the same as data |
//! | `/metrics` | Prometheus' text format |
//! | `/healthz` | 200 while the process runs |
//! | `/readyz` | 200 once it works on its jobs; before that 503, and what is missing |
//!
//! It only looks: nothing in here changes anything, and all it knows of the service is [`Watched`]. It runs on
//! tasks of its own, and every request, connection and sample is bounded.
//!
//! Beside it there is the [`CatalogServer`], on an address of its own: what engines ask, and change.

mod access;
mod catalog;
mod connections;
mod history;
mod listen;
mod page;
mod ready;
mod routes;
mod token;
mod trend;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tabletopic_ingest::observe::{Observed, Report};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use catalog::CatalogServer;
pub use listen::{Listen, ListenError, bind, bind_catalog};
pub use token::{Token, WeakToken};

use connections::Bounds;
use history::Recorder;
use routes::Shown;

/// No answer takes long, and bodies are never read: nothing here takes one.
const BOUNDS: Bounds = Bounds {
    name: "the admin server",
    connections: 32,
    head: Duration::from_secs(10),
    life: Duration::from_secs(120),
    last_words: Duration::from_secs(2),
};

/// What the server shows. Asked for each request and every ten seconds: cheap, and without I/O.
pub trait Watched: Send + Sync {
    fn report(&self) -> Report;

    /// What the service still waits for before it works on its jobs, one sentence each. Empty: it is ready.
    fn missing(&self) -> Vec<String>;
}

impl Watched for Observed {
    fn report(&self) -> Report {
        Observed::report(self)
    }

    fn missing(&self) -> Vec<String> {
        match self.is_ready() {
            true => Vec::new(),
            false => ready::missing(&Observed::report(self)),
        }
    }
}

/// A server that answers until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<()>,
    tasks: [JoinHandle<()>; 2],
}

impl Server {
    /// Begins to answer on `listener`, which [`bind`] opened. With a `token`, only to those who have it.
    ///
    /// # Errors
    /// A listener without an address, which the system would have to have lost.
    pub fn start(
        listener: TcpListener,
        token: Option<Token>,
        registry: Registry,
        watched: Arc<dyn Watched>,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let recorder = Arc::new(Recorder::default());
        let sampling = tokio::spawn(recorder.clone().record(watched.clone()));
        let router = routes::router(
            Shown {
                watched,
                registry,
                recorder,
            },
            token,
        );
        let (stop, stopped) = watch::channel(());
        let serving = tokio::spawn(connections::serve(listener, router, stopped, BOUNDS));
        Ok(Self {
            address,
            stop,
            tasks: [serving, sampling],
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further connection, and lets what is being answered come to its end for a moment.
    pub async fn stop(mut self) {
        let (stop, stopped) = watch::channel(());
        drop(stopped);
        drop(std::mem::replace(&mut self.stop, stop));
        let [serving, _] = &mut self.tasks;
        // A panic of the server was logged where it happened, and is no reason for the service to fail.
        let _ = serving.await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
