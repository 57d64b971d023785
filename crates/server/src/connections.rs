//! Connections, and how much of the process they may take: how many there are, how long each lasts, how slowly a
//! request may come and how large it may be. axum's own loop has none of these bounds.

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

/// Connections at once; further ones wait in the system's queue.
const CONNECTIONS: usize = 32;
/// From the first to the last byte of a request's head, and how long a connection may idle between two.
const HEAD: Duration = Duration::from_secs(10);
/// Largest head of a request. Bodies are never read: nothing here takes one.
const HEAD_BYTES: usize = 16 * 1024;
/// How long a connection lasts, so that one whose peer reads slowly or never does not hold its place.
const LIFE: Duration = Duration::from_secs(120);
/// What an answer that is under way gets to end when the connection's life or the server's is over.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// After the system refused a connection, which is when file descriptors have run out.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers until the other side of `stopped` is gone.
pub async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
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
                    answer(stream, router, stopped).await;
                    drop(place);
                });
            }
            (_, Ok(_)) => {}
            (_, Err(error)) if of_one_peer(&error) => {}
            (_, Err(error)) => {
                tracing::warn!("the admin server cannot take a connection, and tries again: {error}");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(LAST_WORDS, async {
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

async fn answer(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    tokio::select! {
        // What goes wrong here is the peer's: it was told, or it is gone.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
        () = sleep(LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_WORDS, connection).await;
}
