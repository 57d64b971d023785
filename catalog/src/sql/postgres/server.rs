//! `postgres://user@host:5432/database?sslmode=verify-full`: which server and database, and as whom.

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

const EXAMPLE: &str = "postgres://lake@db.example.com:5432/lake";

/// A database that can be connected to. It never holds a password.
#[derive(Debug, Clone)]
pub struct Server {
    url: Url,
    /// A name, an address, or the folder of a Unix socket.
    host: String,
    pub(super) user: String,
    pub(super) database: String,
    ssl_mode: PgSslMode,
}

impl Server {
    /// Reads a URI of libpq's form with user, host and database. TLS is `verify-full` unless `sslmode` says otherwise, and
    /// never an attempt that gives way to plain text.
    ///
    /// # Errors
    /// What is wrong with it, and what to write; never a password.
    pub fn parse(uri: &str) -> Result<Self, String> {
        let url =
            Url::parse(uri).map_err(|error| format!("is no URI: {error}; write for example {EXAMPLE}"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(format!(
                "does not begin with postgres://; write for example {EXAMPLE}"
            ));
        }
        if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
            return Err("has a password in it, where it would be shown; write it as `password`".to_owned());
        }
        if url.username().is_empty() || url.host_str().is_none_or(str::is_empty) || url.path().len() < 2 {
            return Err(format!(
                "needs user, host and database; write for example {EXAMPLE}"
            ));
        }
        let mut ssl_mode = None;
        for (key, value) in url.query_pairs() {
            if key != "sslmode" {
                return Err(format!(
                    "`{key}` is not known here, only sslmode is; remove it (files of TLS are keys of [catalog.tls])"
                ));
            }
            ssl_mode = Some(mode(&value)?);
        }
        let options = PgConnectOptions::from_str(url.as_str());
        let options =
            options.map_err(|error| format!("cannot be used: {error}; write for example {EXAMPLE}"))?;
        let socket = options.get_socket().map(|folder| folder.display().to_string());
        let usual = match socket {
            Some(_) => PgSslMode::Disable,
            None => PgSslMode::VerifyFull,
        };
        let database = options.get_database().unwrap_or_default().to_owned();
        Ok(Self {
            host: socket.unwrap_or_else(|| options.get_host().to_owned()),
            user: options.get_username().to_owned(),
            database,
            ssl_mode: ssl_mode.unwrap_or(usual),
            url,
        })
    }

    /// Whether what is sent and received is encrypted.
    pub fn is_encrypted(&self) -> bool {
        !matches!(self.ssl_mode, PgSslMode::Disable)
    }

    /// Whether the server's certificate is looked at.
    pub fn is_verified(&self) -> bool {
        matches!(self.ssl_mode, PgSslMode::VerifyFull)
    }

    /// How to connect, but for the password and the files of TLS.
    pub(super) fn connect_options(&self) -> sqlx::Result<PgConnectOptions> {
        let options = PgConnectOptions::from_str(self.url.as_str())?;
        // What poolers do not know they refuse, and no column here is a float.
        let options = options.extra_float_digits(None).application_name("tabletopic");
        let options = match self
            .host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            // The brackets of an IPv6 address belong to the URI; certificates have none.
            Some(address) => options.host(address),
            None => options,
        };
        Ok(options.ssl_mode(self.ssl_mode).statement_cache_capacity(0))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plain = self.url.clone();
        plain.set_query(None);
        write!(f, "{plain}")
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for Server {}

fn mode(written: &str) -> Result<PgSslMode, String> {
    match written {
        "disable" => Ok(PgSslMode::Disable),
        "require" => Ok(PgSslMode::Require),
        "verify-full" => Ok(PgSslMode::VerifyFull),
        "allow" | "prefer" => Err(format!(
            "sslmode={written} goes on in plain text where TLS fails; write sslmode=verify-full, or sslmode=disable where \
             the way to the server is trusted"
        )),
        // The client looks at the name all the same.
        "verify-ca" => Err("sslmode=verify-ca is not there; write sslmode=verify-full".to_owned()),
        _ => Err(format!(
            "sslmode={written} is none of PostgreSQL's; write one of verify-full, require, disable"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_server_user_and_database() {
        let server = Server::parse("postgres://la%20ke@db.example.com:6432/the%20lake").unwrap();
        assert_eq!(
            (server.user.as_str(), server.database.as_str()),
            ("la ke", "the lake")
        );
        assert_eq!(server.host, "db.example.com");
        assert!(server.is_verified(), "unless something else is said");
        let options = server.connect_options().unwrap();
        assert_eq!(
            (options.get_port(), options.get_ssl_mode() as u8),
            (6432, PgSslMode::VerifyFull as u8)
        );

        let plain = Server::parse("postgresql://lake@10.0.0.7/lake?sslmode=disable").unwrap();
        assert!(!plain.is_encrypted());
        assert_eq!(plain.connect_options().unwrap().get_port(), 5432);
        assert_eq!(plain.to_string(), "postgresql://lake@10.0.0.7/lake");

        let unverified = Server::parse("postgres://lake@db/lake?sslmode=require").unwrap();
        assert!(unverified.is_encrypted() && !unverified.is_verified());
    }

    #[test]
    fn addresses_of_ipv6_and_sockets_are_hosts() {
        let server = Server::parse("postgres://lake@[::1]:5433/lake").unwrap();
        assert_eq!(server.connect_options().unwrap().get_host(), "::1");
        let socket = Server::parse("postgres://lake@%2Fvar%2Frun%2Fpostgresql/lake").unwrap();
        assert_eq!(socket.host, "/var/run/postgresql");
        assert!(!socket.is_encrypted(), "PostgreSQL has no TLS on sockets");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_to_write() {
        let refusals = [
            ("lake/catalog.db", "is no URI"),
            ("mysql://lake@db/lake", "does not begin with postgres://"),
            ("postgres://lake:hunter2@db/lake", "write it as `password`"),
            (
                "postgres://lake@db/lake?password=hunter2",
                "write it as `password`",
            ),
            ("postgres://db/lake", "needs user, host and database"),
            ("postgres://lake@db", "needs user, host and database"),
            ("postgres://lake@/lake", ""),
            ("postgres://lake@db/lake?sslmode=prefer", "goes on in plain text"),
            (
                "postgres://lake@db/lake?sslmode=verify-ca",
                "write sslmode=verify-full",
            ),
            ("postgres://lake@db/lake?sslmode=full", "write one of verify-full"),
            ("postgres://lake@db/lake?sslrootcert=ca.pem", "[catalog.tls]"),
        ];
        for (uri, expected) in refusals {
            let refusal = Server::parse(uri).unwrap_err();
            assert!(refusal.contains(expected), "{uri}: {refusal}");
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }
}
