//! How other services are asked over HTTP: whom a client trusts, what it shows of itself, and how much of an answer it
//! reads. What is asked, and what an answer means, is the matter of whoever asks.

mod answer;
mod tls;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, Proxy, redirect};
use thiserror::Error;

pub use answer::{body, cause, explain};
pub use tls::{ClientCertificate, Tls};

const CONNECT: Duration = Duration::from_secs(5);

/// Settings that no client can be made with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientError {
    #[error("{} cannot be read: {error}", .file.display())]
    Unreadable { file: PathBuf, error: String },
    #[error("{} has no {what} in PEM; it begins with a line like -----BEGIN {}-----", .file.display(), .what.to_uppercase())]
    NotPem { file: PathBuf, what: &'static str },
    #[error("the HTTP client cannot be made: {0}")]
    Other(String),
}

/// A client that follows no redirect: what one leads to was not configured, and would be sent the credentials. It asks
/// by `proxy` or by none, whatever the environment says. `timeout` is for a request and all of its answer.
///
/// # Errors
/// A file that can't be read, or holds something else.
pub fn client(tls: &Tls, proxy: Option<Proxy>, timeout: Duration) -> Result<Client, ClientError> {
    let client = Client::builder()
        .timeout(timeout)
        .connect_timeout(CONNECT)
        .redirect(redirect::Policy::none())
        .no_proxy();
    let client = match proxy {
        Some(proxy) => client.proxy(proxy),
        None => client,
    };
    tls.apply(client)?
        .build()
        .map_err(|error| ClientError::Other(cause(&error).to_string()))
}
