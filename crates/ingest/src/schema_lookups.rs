//! Fetches the schemas that records were written with, for as long as it takes. Whoever needs one asks once and is
//! told; nobody waits in a poll loop, and a registry that is down is no fault of a record.
//!
//! One lookup for each id, whoever asks. Between its tries it pauses, each time for longer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tabletopic_decode::{Import, WriterSchemas};
use tabletopic_records::SchemaId;
use tabletopic_registry::{Answer, Outage, ReferencedSchema, RegisteredSchema, Registry};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::observe::Observed;

/// The pause after a first try that failed; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A registry that had nothing under an id is asked again when a record names the id after this long: whoever
/// registers schemas may be behind whoever writes records.
const ABSENT_FOR: Duration = Duration::from_secs(60);

type Told = Box<dyn FnOnce() + Send>;

/// See the module.
pub struct SchemaLookups {
    registry: Arc<dyn Registry>,
    writers: WriterSchemas,
    observed: Arc<Observed>,
    runtime: Handle,
    /// Who waits for which id.
    waiting: Mutex<BTreeMap<SchemaId, Vec<Told>>>,
}

impl fmt::Debug for SchemaLookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SchemaLookups({:?})", self.registry)
    }
}

impl SchemaLookups {
    /// What is found is put into `writers`. To be made within a tokio runtime, where the lookups then run.
    pub fn new(registry: Arc<dyn Registry>, writers: WriterSchemas, observed: Arc<Observed>) -> Self {
        Self {
            registry,
            writers,
            observed,
            runtime: Handle::current(),
            waiting: Mutex::default(),
        }
    }

    /// Calls `told` once the registry has said what there is under `id`; at once, if it has.
    pub fn find(self: &Arc<Self>, id: SchemaId, told: impl FnOnce() + Send + 'static) {
        let mut waiting = self.waiting();
        if self.writers.knows(id) {
            drop(waiting);
            return told();
        }
        let first = !waiting.contains_key(&id);
        waiting.entry(id).or_default().push(Box::new(told));
        drop(waiting);
        if first {
            self.observed.awaits_schema(id);
            self.runtime.spawn(self.clone().look_up(id));
        }
    }

    /// Waits until all of them are known.
    pub async fn find_all(self: &Arc<Self>, ids: Vec<SchemaId>) {
        for id in ids {
            let (sender, known) = oneshot::channel();
            self.find(id, move || {
                // Whoever waited may have left.
                let _ = sender.send(());
            });
            // A lookup that is given up with its runtime takes this future along.
            let _ = known.await;
        }
    }

    async fn look_up(self: Arc<Self>, id: SchemaId) {
        let mut pause = FIRST_PAUSE;
        while let Err(outage) = learn(self.registry.as_ref(), &self.writers, id).await {
            self.observed.registry_failed(id, &outage.to_string());
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.observed.has_schema(id);
        let told = self.waiting().remove(&id).unwrap_or_default();
        told.into_iter().for_each(|told| told());
        tokio::time::sleep(ABSENT_FOR).await;
        self.writers.forget_absent(id);
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<SchemaId, Vec<Told>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the registry once, and remembers what it says.
///
/// # Errors
/// It says nothing.
pub async fn learn(registry: &dyn Registry, writers: &WriterSchemas, id: SchemaId) -> Result<(), Outage> {
    match registry.schema(id).await? {
        Answer::Schema(schema) => understand(writers, id, schema),
        Answer::Unusable(problem) => writers.learn_unusable(id, problem),
        Answer::NoSuchId => writers.learn_absent(id),
    }
    Ok(())
}

fn understand(writers: &WriterSchemas, id: SchemaId, schema: RegisteredSchema) {
    let RegisteredSchema {
        kind,
        text,
        references,
    } = schema;
    match kind.as_str() {
        "AVRO" => {
            let texts: Vec<String> = references.into_iter().map(|reference| reference.text).collect();
            writers.learn_avro(id, &text, &texts);
        }
        "PROTOBUF" => writers.learn_protobuf(id, &text, &imports(references)),
        "JSON" => writers.learn_json(id, &text, &imports(references)),
        kind => {
            let problem = format!("it is registered as {kind}, and only AVRO, PROTOBUF and JSON are read");
            writers.learn_unusable(id, problem);
        }
    }
}

/// What a registered schema refers to, as decoders know it.
pub fn imports(references: Vec<ReferencedSchema>) -> Vec<Import> {
    let import = |ReferencedSchema { name, text }| Import { name, text };
    references.into_iter().map(import).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use tabletopic_clock::SystemClock;
    use tabletopic_registry::Versioned;
    use tokio::sync::mpsc;

    use super::*;
    use crate::observe::Metrics;

    /// Fails as often as it is told, then has a schema under 7 and nothing else.
    #[derive(Debug)]
    struct Failing {
        left: AtomicUsize,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Registry for Failing {
        async fn schema(&self, id: SchemaId) -> Result<Answer, Outage> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let less = |left: usize| left.checked_sub(1);
            if self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
            {
                return Err(Outage("registry http://r: it cannot be reached".to_owned()));
            }
            Ok(match id {
                SchemaId::Number(7) => Answer::Schema(RegisteredSchema {
                    kind: "AVRO".to_owned(),
                    text: r#"{"type":"record","name":"r","fields":[]}"#.to_owned(),
                    references: Vec::new(),
                }),
                _ => Answer::NoSuchId,
            })
        }

        async fn version(&self, _subject: &str, _version: Option<u32>) -> Result<Versioned, Outage> {
            Ok(Versioned::NoSuchVersion)
        }
    }

    fn lookups(failures: usize) -> (Arc<SchemaLookups>, Arc<Failing>, Arc<Observed>) {
        let registry = Arc::new(Failing {
            left: AtomicUsize::new(failures),
            asked: AtomicUsize::new(0),
        });
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let observed = Observed::new(Vec::new(), Arc::new(SystemClock), metrics, "resolve".to_owned());
        let observed = Arc::new(observed);
        let writers = WriterSchemas::of_registry();
        let lookups = SchemaLookups::new(registry.clone(), writers, observed.clone());
        (Arc::new(lookups), registry, observed)
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_out_and_shown_and_everybody_is_told_once() {
        let (lookups, registry, observed) = lookups(3);
        let (sender, mut told) = mpsc::unbounded_channel();
        for asker in 0..2 {
            let sender = sender.clone();
            lookups.find(SchemaId::Number(7), move || sender.send(asker).unwrap());
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
        let awaited = observed.report().schemas_awaited;
        assert_eq!(awaited.len(), 1);
        assert_eq!(awaited[0].schema_id, "7");
        assert_eq!(
            awaited[0].error.as_deref(),
            Some("registry http://r: it cannot be reached")
        );
        assert_eq!((told.recv().await, told.recv().await), (Some(0), Some(1)));
        assert_eq!(registry.asked.load(Ordering::SeqCst), 4);
        assert_eq!(observed.report().schemas_awaited, []);
        // Now it is known.
        lookups.find(SchemaId::Number(7), move || sender.send(9).unwrap());
        assert_eq!(told.try_recv(), Ok(9));
        assert_eq!(registry.asked.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_that_is_absent_is_asked_for_again_later() {
        let (lookups, registry, _) = lookups(0);
        let asked = || registry.asked.load(Ordering::SeqCst);
        lookups.find_all(vec![SchemaId::Number(8)]).await;
        tokio::time::sleep(ABSENT_FOR / 2).await;
        lookups.find_all(vec![SchemaId::Number(8)]).await;
        assert_eq!(asked(), 1);
        tokio::time::sleep(ABSENT_FOR).await;
        lookups.find_all(vec![SchemaId::Number(8)]).await;
        assert_eq!(asked(), 2);
    }
}
