//! Kerberos at the brokers' door (SASL's GSSAPI, RFC 4752). librdkafka runs MIT's or Heimdal's `kinit` when a client is
//! made and every `sasl.kerberos.min.time.before.relogin` milliseconds after that; the ticket is in the credential cache
//! that both find by Kerberos' own rules (`KRB5CCNAME`, `krb5.conf`).

use std::collections::BTreeMap;

use crate::SettingsError;

pub(crate) const MECHANISM: &str = "GSSAPI";

/// What is needed, and goes into the command.
const OF_KINIT: [&str; 2] = ["sasl.kerberos.principal", "sasl.kerberos.keytab"];

/// Zero milliseconds: somebody else keeps the cache.
const RELOGIN: &str = "sasl.kerberos.min.time.before.relogin";

/// The property that has the command, and the command. librdkafka's own leaves values open to the shell, and first asks
/// for the ticket to be renewed: most can't be, and each time `kinit` says so.
pub(crate) const COMMAND: (&str, &str) = (
    "sasl.kerberos.kinit.cmd",
    "kinit -k -t '%{sasl.kerberos.keytab}' -- '%{sasl.kerberos.principal}'",
);

/// Whether the properties say where tickets come from, and this build can use them.
///
/// # Errors
/// What is missing, and what to write.
pub(crate) fn can_log_in(properties: &BTreeMap<String, String>) -> Result<(), SettingsError> {
    if !cfg!(feature = "gssapi") {
        return Err(SettingsError::NoGssapi);
    }
    if properties.get(RELOGIN).is_some_and(|every| every.trim() == "0") {
        return Ok(());
    }
    let missing = OF_KINIT.into_iter().find(|name| !properties.contains_key(*name));
    missing.map_or(Ok(()), |property| Err(SettingsError::NoTickets { property }))
}

/// Whether the values are safe within the quotes of [`COMMAND`].
///
/// # Errors
/// One is not.
pub(crate) fn can_be_quoted(properties: &BTreeMap<String, String>) -> Result<(), SettingsError> {
    let quoted = |name: &&str| properties.get(*name).is_some_and(|value| value.contains('\''));
    let unsafe_one = OF_KINIT.into_iter().find(quoted);
    unsafe_one.map_or(Ok(()), |property| Err(SettingsError::Quote { property }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(these: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        these.iter().map(owned).collect()
    }

    #[test]
    fn no_value_ends_the_quotes_of_the_command() {
        for name in OF_KINIT {
            let refused = can_be_quoted(&properties(&[(name, "x'; touch /tmp/y; '")]));
            assert_eq!(refused, Err(SettingsError::Quote { property: name }));
            // Nothing else means anything to a shell between single quotes.
            assert_eq!(
                can_be_quoted(&properties(&[(name, "$(x) `x` \"\\ \n-R")])),
                Ok(())
            );
            assert!(COMMAND.1.contains(&format!("'%{{{name}}}'")), "{name}");
        }
    }

    #[cfg(feature = "gssapi")]
    #[test]
    fn a_login_says_where_tickets_come_from() {
        let [principal, keytab] = OF_KINIT;
        let missing = |property| Err(SettingsError::NoTickets { property });
        assert_eq!(can_log_in(&properties(&[])), missing(principal));
        assert_eq!(can_log_in(&properties(&[(principal, "lake")])), missing(keytab));
        let both = [(principal, "lake"), (keytab, "lake.keytab")];
        assert_eq!(can_log_in(&properties(&both)), Ok(()));
        assert_eq!(can_log_in(&properties(&[(RELOGIN, "0")])), Ok(()));
    }

    #[cfg(not(feature = "gssapi"))]
    #[test]
    fn a_build_without_it_says_how_to_get_it() {
        let refused = can_log_in(&properties(&[(RELOGIN, "0")]))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("--features gssapi"), "{refused}");
    }
}
