//! What PostgreSQL's failures mean, and what to look at.

use std::borrow::Cow;
use std::io;

use sqlx::Error;

use super::database::Postgres;
use crate::CatalogError;

// From "PostgreSQL Error Codes" of its documentation.
const TOO_LONG: &str = "22001";
const NOT_A_CHARACTER: &str = "22021";
const READ_ONLY: &str = "25006";
const NO_SUCH_LOGIN: &str = "28000";
const WRONG_PASSWORD: &str = "28P01";
const NO_SUCH_DATABASE: &str = "3D000";
const NO_SUCH_SCHEMA: &str = "3F000";
const NOT_ALLOWED: &str = "42501";
const NO_SUCH_TABLE: &str = "42P01";
const LOCKED: &str = "55P03";
/// Of a transaction that asks a standby to write: the feature is not supported "during recovery".
const ON_A_STANDBY: &str = "0A000";

/// Of `CREATE TABLE`, when somebody else makes the same one: of the table, its type, and the row of either.
pub(super) const DUPLICATES: [&str; 3] = ["42P07", "42710", "23505"];

pub(super) fn code(error: &Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// A failure while the catalog is opened: what will not pass by itself is refused.
pub(super) fn to_open(database: &Postgres, catalog: &str, error: Error) -> CatalogError {
    let operation = "open".to_owned();
    match to_mend(database, &error) {
        Some(check) => CatalogError::Rejected {
            catalog: catalog.to_owned(),
            operation,
            reason: format!("{}: {}; check {check}", database.server, words(&error)),
        },
        None => of(database, catalog, operation, error),
    }
}

/// A failure later on. What a person has to mend at the server is waited for like an outage: once it is mended, a service
/// that has worked before goes on.
pub(super) fn of(database: &Postgres, catalog: &str, operation: String, error: Error) -> CatalogError {
    let (catalog, reason) = (catalog.to_owned(), words(&error));
    if matches!(code(&error).as_deref(), Some(TOO_LONG | NOT_A_CHARACTER)) {
        return CatalogError::Rejected {
            catalog,
            operation,
            reason: format!(
                "the columns of the layout do not hold it: {reason}; choose shorter and plainer names"
            ),
        };
    }
    let server = &database.server;
    let check = match code(&error).as_deref() {
        Some(LOCKED) => format!(
            "which session of {server} has its row locked (pg_stat_activity, \"idle in transaction\"); it was waited for {:?}",
            database.lock_timeout
        ),
        Some(NOT_ALLOWED) => format!("the rights of this user: {}", rights_to_write(database)),
        Some(NO_SUCH_TABLE) => format!(
            "where iceberg_tables has gone in {server}, and the search_path of {}",
            server.user
        ),
        Some(READ_ONLY | ON_A_STANDBY) => {
            format!("that {server} leads to the primary, and that it is not set to read-only transactions")
        }
        _ => to_mend(database, &error)
            .unwrap_or_else(|| format!("that {server} runs and can be reached from here")),
    };
    CatalogError::Unavailable {
        catalog,
        operation,
        reason,
        check,
        source: Some(error.into()),
    }
}

/// For a failure that does not pass by itself: what to check.
fn to_mend(database: &Postgres, error: &Error) -> Option<String> {
    let server = &database.server;
    match (error, code(error).as_deref()) {
        (_, Some(WRONG_PASSWORD)) => Some(format!("the password of user {}", server.user)),
        (_, Some(NO_SUCH_LOGIN)) => Some(format!(
            "that user {} may log in from here (pg_hba.conf of the server), with TLS or a client certificate where it asks \
             for them",
            server.user
        )),
        (_, Some(NO_SUCH_DATABASE)) => Some(format!(
            "its name, or make it: CREATE DATABASE {}",
            quoted(&server.database)
        )),
        (_, Some(NOT_ALLOWED | NO_SUCH_SCHEMA)) => Some(rights_to_make(database)),
        (Error::Tls(_) | Error::Configuration(_), _) => Some(tls()),
        // What rustls has to say comes as an error of the connection.
        (Error::Io(error), _) if error.kind() == io::ErrorKind::InvalidData => Some(tls()),
        _ => None,
    }
}

fn tls() -> String {
    "sslmode and the files of TLS, and that the server has TLS (ssl = on)".to_owned()
}

fn rights_to_write(database: &Postgres) -> String {
    let user = quoted(&database.server.user);
    format!("GRANT SELECT, INSERT, UPDATE, DELETE ON iceberg_tables, iceberg_namespace_properties TO {user}")
}

fn rights_to_make(database: &Postgres) -> String {
    let user = quoted(&database.server.user);
    format!(
        "the rights of this user: GRANT USAGE, CREATE ON SCHEMA public TO {user}, or another schema first in its search_path"
    )
}

pub(super) fn no_rights_to_make(database: &Postgres, catalog: &str) -> CatalogError {
    let rights = rights_to_make(database);
    not_as_it_should_be(
        database,
        catalog,
        format!("it has no tables of a catalog, and they cannot be made; check {rights}"),
    )
}

/// `missing` is what the user may not do, such as `iceberg_tables (UPDATE)`.
pub(super) fn no_rights_to_write(database: &Postgres, catalog: &str, missing: &[String]) -> CatalogError {
    let (missing, rights) = (missing.join(", "), rights_to_write(database));
    not_as_it_should_be(
        database,
        catalog,
        format!("this user lacks rights: {missing}; {rights}"),
    )
}

pub(super) fn not_seen(database: &Postgres, catalog: &str) -> CatalogError {
    let user = &database.server.user;
    not_as_it_should_be(
        database,
        catalog,
        format!("its tables were made and cannot be seen; check the search_path of user {user}"),
    )
}

fn not_as_it_should_be(database: &Postgres, catalog: &str, what: String) -> CatalogError {
    CatalogError::Rejected {
        catalog: catalog.to_owned(),
        operation: "open".to_owned(),
        reason: format!("{}: {what}", database.server),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The failure in its own words, without the client's introduction to them.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Database(error) => match error.code() {
            Some(code) => format!("{} (SQLSTATE {code})", error.message()),
            None => error.message().to_owned(),
        },
        Error::Io(error) => error.to_string(),
        Error::Tls(error) | Error::Configuration(error) => error.to_string(),
        Error::PoolTimedOut => "no connection to it came about in time".to_owned(),
        error => error.to_string(),
    }
}
