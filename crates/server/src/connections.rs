//! Connections, and how much of the process they may take: how many there are, how long each lasts, how slowly a
//! request may come and how large its head may be. axum's own loop has none of these bounds.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How much of the process the connections of one server may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The server, in the log.
    pub name: &'static str,
    /// Connections at once; further ones wait in the system's queue.
    pub connections: usize,
    /// From the first to the last byte of a request's head, and how long a connection may idle between two.
    pub head: Duration,
    /// How long a connection lasts, so that one whose peer reads slowly or never does not hold its place.
    pub life: Duration,
    /// What an answer that is under way gets to end when the connection's life or the server's is over.
    pub last_words: Duration,
}

/// Largest head of a request.
const HEAD_BYTES: usize = 16 * 1024;
/// After the system refused a connection, which is when file descriptors have run out.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers until the other side of `stopped` is gone.
pub async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<()>, bounds: Bounds) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned();
        let accepted = tokio::select! {
            _ = stopped.changed() => break,
            accepted = async { (place.await, listener.accept().await) } => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            (Ok(place), Ok((stream, _))) => {
                let (router, stopped) = (router.clone(), stopped.clone());
                connections.spawn(async move {
                    answer(stream, router, stopped, bounds).await;
                    drop(place);
                });
            }
            (_, Ok(_)) => {}
            (_, Err(error)) if of_one_peer(&error) => {}
            (_, Err(error)) => {
                tracing::warn!(
                    "{} cannot take a connection, and tries again: {error}",
                    bounds.name
                );
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(bounds.last_words, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

/// The peer was gone before it was answered.
fn of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

async fn answer(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>, bounds: Bounds) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    tokio::select! {
        // What goes wrong here is the peer's: it was told, or it is gone.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
        () = sleep(bounds.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(bounds.last_words, connection).await;
}
