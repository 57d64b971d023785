//! What is wrong with a broker's certificate. librdkafka says no more than that it is not valid; so the broker is asked
//! for it once more, by a library that says why.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConnection, RootCertStore};

/// How long a broker may take for each part of it.
const PATIENCE: Duration = Duration::from_secs(3);

/// The first fault that is found, with what to do about it; `None` if there is none, or nobody can tell.
pub(super) fn fault(config: &ClientConfig) -> Option<String> {
    let authorities = Authorities::of(config)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(authorities.trusted)
        .with_no_client_auth();
    let tls = Arc::new(tls);
    let bootstrap = config.get("bootstrap.servers")?;
    bootstrap.split(',').find_map(|broker| {
        // As librdkafka reads it: a protocol may stand in front.
        let address = broker.trim();
        let address = address.split_once("://").map_or(address, |(_, address)| address);
        let host = address.rsplit_once(':')?.0.trim_matches(['[', ']']);
        let error = handshake(tls.clone(), host, address)?;
        Some(format!("{host}: {}", words(&error, host, &authorities.place)))
    })
}

/// Whom the client trusts.
struct Authorities {
    trusted: RootCertStore,
    /// Where they were read.
    place: String,
}

impl Authorities {
    fn of(config: &ClientConfig) -> Option<Self> {
        let (place, found) = match (config.get("ssl.ca.pem"), config.get("ssl.ca.location")) {
            (Some(pem), _) => {
                let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
                ("ssl.ca.pem".to_owned(), found)
            }
            (None, Some(file)) => {
                let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
                (file.to_owned(), found)
            }
            (None, None) => return None,
        };
        let mut trusted = RootCertStore::empty();
        trusted.add_parsable_certificates(found.ok()?);
        Some(Self { trusted, place })
    }
}

/// Why the client does not accept the broker's certificate.
fn handshake(tls: Arc<rustls::ClientConfig>, host: &str, address: &str) -> Option<CertificateError> {
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let address = address.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let mut connection = ClientConnection::new(tls, name).ok()?;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut stream) {
            return match error.get_ref()?.downcast_ref::<rustls::Error>()? {
                rustls::Error::InvalidCertificate(error) => Some(error.clone()),
                _ => None,
            };
        }
    }
    None
}

fn words(error: &CertificateError, host: &str, authorities: &str) -> String {
    use CertificateError as Error;
    match error {
        Error::Expired | Error::ExpiredContext { .. } => {
            "the broker's certificate has expired; have it renewed there".to_owned()
        }
        Error::NotValidYet | Error::NotValidYetContext { .. } => {
            "the broker's certificate is not valid yet; look at the clocks of both hosts".to_owned()
        }
        Error::NotValidForName | Error::NotValidForNameContext { .. } => format!(
            "the broker's certificate is not for {host}; write a name in `bootstrap` that it has, or have it issued \
             for this one"
        ),
        Error::UnknownIssuer => format!(
            "the broker's certificate is not from an authority in {authorities}; have ssl.ca.location name a PEM file \
             with the certificate of its authority"
        ),
        other => format!("the broker's certificate is of no use: {other}"),
    }
}
