//! A broker that clients log in to by Kerberos, and the KDC that tickets come from.

use std::path::Path;

use crate::part::Part;
use crate::secured::{Secured, certificates};

/// See the module. Both end when it is dropped.
#[derive(Debug)]
pub struct Realm {
    /// `krb5.conf` and keytabs are among its files, its address is `KERBEROS`.
    pub secured: Secured,
    kdc: Part,
}

impl Realm {
    /// Tickets live for so many seconds.
    pub fn start(ticket_life: u32) -> Self {
        let keys = certificates();
        let life = ticket_life.to_string();
        let arguments = [keys.path().as_os_str(), "--life".as_ref(), life.as_ref()];
        let mut kdc = Part::start(Path::new("python3"), "kdc.py", &arguments);
        assert_eq!(kdc.line(), "up");
        Self {
            secured: Secured::with_keys(keys, 300),
            kdc,
        }
    }

    /// From here on no tickets are given.
    pub fn stop_kdc(&mut self) {
        self.kdc.order("down");
    }

    pub fn start_kdc_again(&mut self) {
        self.kdc.order("up");
    }

    /// How many the client has got with its keys.
    pub fn tickets_given(&mut self) -> usize {
        self.kdc.order("count").parse().expect("a number")
    }
}
