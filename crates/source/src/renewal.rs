//! What clients log in with may be renewed while they run: properties whose values stand in files, and the files that
//! properties name. A client takes neither once it is made, so that a new one takes its place.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use crate::KafkaSettings;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Reads properties of the client as their files have them now.
pub trait PropertyFiles: fmt::Debug + Send + Sync {
    /// By librdkafka's names. Those that stand in no file need not be among them.
    ///
    /// # Errors
    /// Which file can't be read, without what is in it.
    fn read(&self) -> Result<BTreeMap<String, String>, String>;
}

/// Whether the value of a property is the path of a file.
pub fn names_a_file(property: &str) -> bool {
    // The client reads these whenever it needs them.
    let assertion = property.starts_with("sasl.oauthbearer.assertion.") && property.ends_with("file");
    assertion || NAME_A_FILE.contains(&property)
}

/// Properties that name a file which is read when a client is made.
const NAME_A_FILE: &[&str] = &[
    "https.ca.location",
    "sasl.kerberos.keytab",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// Notices that something was renewed.
pub(crate) struct Watch {
    settings: KafkaSettings,
    seen: Seen,
    next: Instant,
}

/// Of each file when it was written and its length, if it is there.
type Written = Vec<Option<(SystemTime, u64)>>;

#[derive(PartialEq, Eq)]
struct Seen {
    properties: BTreeMap<String, String>,
    files: Written,
}

/// Settings with what was renewed, for a client that is to take the place of another.
pub(crate) struct Renewed {
    pub(crate) settings: KafkaSettings,
    seen: Seen,
}

impl Watch {
    /// Of the files as they are now: make the first client after it.
    pub(crate) fn new(settings: &KafkaSettings) -> Self {
        Self {
            settings: settings.clone(),
            seen: Seen::of(settings),
            next: Instant::now() + LOOK,
        }
    }

    /// What was renewed since, if it is time to look. It is answered again at the next look, unless it was
    /// [`taken`](Self::taken).
    pub(crate) fn look(&mut self, now: Instant) -> Option<Renewed> {
        if now < self.next {
            return None;
        }
        self.next = now + LOOK;
        let mut settings = self.settings.clone();
        if let Some(files) = &settings.files {
            match files.read() {
                Ok(read) => settings.properties.extend(read),
                Err(error) => {
                    tracing::warn!("{error}; the Kafka client keeps what it has read before");
                    return None;
                }
            }
        }
        let seen = Seen::of(&settings);
        (seen != self.seen).then_some(Renewed { settings, seen })
    }

    /// There is a client that was made with it.
    pub(crate) fn taken(&mut self, renewed: Renewed) {
        self.settings = renewed.settings;
        self.seen = renewed.seen;
    }
}

impl Seen {
    fn of(settings: &KafkaSettings) -> Self {
        let named = NAME_A_FILE
            .iter()
            .filter_map(|property| settings.properties.get(*property));
        let written = named.map(|file| {
            let file = fs::metadata(file).ok()?;
            Some((file.modified().ok()?, file.len()))
        });
        Self {
            properties: settings.properties.clone(),
            files: written.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Debug)]
    struct Files(Arc<Mutex<Result<String, String>>>);

    impl PropertyFiles for Files {
        fn read(&self) -> Result<BTreeMap<String, String>, String> {
            let password = self.0.lock().unwrap().clone()?;
            Ok(BTreeMap::from([("sasl.password".to_owned(), password)]))
        }
    }

    #[test]
    fn a_secret_that_is_renewed_is_noticed_until_a_client_has_taken_it() {
        let file = Arc::new(Mutex::new(Ok("old".to_owned())));
        let mut settings = KafkaSettings::new("localhost:9092", "g");
        settings.files = Some(Arc::new(Files(file.clone())));
        settings
            .properties
            .insert("sasl.password".to_owned(), "old".to_owned());
        let (mut watch, start) = (Watch::new(&settings), Instant::now());
        assert!(watch.look(start + LOOK * 2).is_none());
        *file.lock().unwrap() = Err("it is being written".to_owned());
        assert!(watch.look(start + LOOK * 4).is_none());
        *file.lock().unwrap() = Ok("new".to_owned());
        assert!(watch.look(start + LOOK * 4).is_none(), "too early");
        assert!(watch.look(start + LOOK * 6).is_some());
        let renewed = watch.look(start + LOOK * 8).unwrap();
        assert_eq!(renewed.settings.properties["sasl.password"], "new");
        watch.taken(renewed);
        assert!(watch.look(start + LOOK * 10).is_none());
    }
}
