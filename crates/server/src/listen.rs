//! Which address the server gets.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use tokio::net::TcpListener;

/// Where the status page is unless somebody says otherwise.
const PREFERRED: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8484);

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// 127.0.0.1:8484, or a free port of 127.0.0.1 if another process has that one: nobody asked for it, and several
    /// processes on one host share a group.
    Preferred,
    /// Here and nowhere else: a collector was told of it. Port 0 is any free one.
    At(SocketAddr),
}

/// The address cannot be had.
#[derive(Debug)]
pub struct ListenError {
    address: SocketAddr,
    /// What to write in the configuration instead.
    advice: &'static str,
    source: io::Error,
}

const ADMIN: &str =
    "give `listen` in [admin] another address of this host, with port 0 for one that is free, or \"off\"";
const CATALOG: &str =
    "give `listen` in [catalog.serve] another address of this host, with port 0 for one that is free";

impl std::fmt::Display for ListenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (address, advice) = (self.address, self.advice);
        match self.source.kind() {
            ErrorKind::AddrInUse => write!(f, "another process listens on {address}; {advice}"),
            _ => write!(f, "cannot listen on {address} ({}); {advice}", self.source),
        }
    }
}

impl std::error::Error for ListenError {}

/// Opens the address.
///
/// # Errors
/// It is not free, or not this host's.
pub async fn bind(listen: Listen) -> Result<TcpListener, ListenError> {
    let wanted = match listen {
        Listen::Preferred => SocketAddr::V4(PREFERRED),
        Listen::At(address) => address,
    };
    match (open(wanted, ADMIN).await, listen) {
        (Err(error), Listen::Preferred) if error.source.kind() == ErrorKind::AddrInUse => {
            open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ADMIN).await
        }
        (opened, _) => opened,
    }
}

/// Opens the address of the catalog server.
///
/// # Errors
/// As [`bind`].
pub async fn bind_catalog(address: SocketAddr) -> Result<TcpListener, ListenError> {
    open(address, CATALOG).await
}

async fn open(address: SocketAddr, advice: &'static str) -> Result<TcpListener, ListenError> {
    let opened = TcpListener::bind(address).await;
    opened.map_err(|source| ListenError {
        address,
        advice,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_was_asked_for_is_not_replaced_by_another() {
        let taken = bind(Listen::At("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(Listen::At(address)).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "another process listens on {address}; give `listen` in [admin]"
            )),
            "{error}"
        );
    }

    #[tokio::test]
    async fn two_processes_on_a_host_both_get_an_address_that_nobody_asked_for() {
        let first = bind(Listen::Preferred).await.unwrap();
        let second = bind(Listen::Preferred).await.unwrap();
        assert_ne!(first.local_addr().unwrap(), second.local_addr().unwrap());
    }

    #[tokio::test]
    async fn another_hosts_address_is_refused_with_the_systems_words() {
        let error = bind(Listen::At("192.0.2.1:80".parse().unwrap()))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("cannot listen on 192.0.2.1:80 ("), "{error}");
    }
}
