//! Written back while everything fails now and then: each record once, in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tabletopic_history::History;
use tabletopic_history::restore::{
    Begun, Log as Source, Plan, Progress, Restored, Topic, Whole, Writer, restore,
};
use tabletopic_offsets::{Offset, TopicIdentity};
use tabletopic_records::Record;
use tabletopic_source::{LogOffsets, Mark, Retention, TopicDescription, WriteError};
use tokio::runtime::Handle;

use crate::feed::{NOW, table};
use crate::read::{Log, Owned, Reading, on_a_thread};
use crate::same::{fed, of_topic};

/// A topic that fails: what is written counts once it is committed, along with the marks, and nobody learns which of both
/// has happened when an answer is lost.
#[derive(Default)]
struct Failing {
    log: Log,
    marks: BTreeMap<i32, Mark>,
    open: Reading,
    random: Option<fastrand::Rng>,
    commits: u32,
}

impl Failing {
    fn fails(&mut self, one_in: u32) -> bool {
        self.random
            .as_mut()
            .is_some_and(|random| random.u32(..one_in) == 0)
    }

    fn error() -> WriteError {
        WriteError::Fenced {
            topic: "restored".to_owned(),
        }
    }
}

impl Writer for Failing {
    fn write(&mut self, record: &Record<'_>) -> Result<(), WriteError> {
        if self.fails(300) {
            return Err(Self::error());
        }
        let topic = crate::feed::TOPIC.into();
        self.open.take(tabletopic_source::SourceEvent::Records {
            topic: &topic,
            records: &[*record],
        });
        Ok(())
    }

    fn commit(&mut self, next: &BTreeMap<i32, Offset>, note: &str) -> Result<(), WriteError> {
        if self.fails(3) {
            return Err(Self::error());
        }
        for (partition, records) in std::mem::take(&mut self.open).log {
            self.log
                .entry(partition)
                .or_default()
                .extend::<Vec<Owned>>(records);
        }
        let marks = next.iter().map(|(partition, next)| {
            let (next, note) = (*next, note.to_owned());
            (*partition, Mark { next, note })
        });
        self.marks = marks.collect();
        self.commits += 1;
        match self.fails(3) {
            true => Err(Self::error()),
            false => Ok(()),
        }
    }
}

#[derive(Default)]
struct Counting(AtomicU64);

impl Progress for Counting {
    fn committed(&self, so_far: &Restored) {
        self.0.store(so_far.bytes, Ordering::Relaxed);
    }
}

fn plan(history: &History, marks: &BTreeMap<i32, Mark>, empty: bool) -> Plan {
    let source = Source::of(history);
    let end = if empty { 0 } else { 1_000 };
    let topic = Topic {
        description: TopicDescription {
            identity: TopicIdentity {
                cluster_id: None,
                topic: "restored".into(),
                topic_id: Some("new".to_owned()),
            },
            partitions: vec![0, 1, 2],
        },
        offsets: (0..3)
            .map(|number| (number, LogOffsets { start: 0, end }))
            .collect(),
        retention: Retention {
            ms: None,
            bytes: None,
            deletes: true,
        },
        keeps_timestamps: true,
        marks: marks.clone(),
    };
    Plan::of(&source, &topic, NOW).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_is_written_once_whatever_fails() {
    let (lake, broker) = fed("raw").await;
    let expected = of_topic(&broker);
    let history = History::open(&lake, &table("raw"), None).await.unwrap();
    let runtime = Handle::current();
    on_a_thread(move || {
        for seed in 0..20 {
            let mut topic = Failing {
                random: Some(fastrand::Rng::with_seed(seed)),
                ..Failing::default()
            };
            let mut attempts = 0;
            let last = loop {
                // What a process that died had open is given up by the next one.
                topic.open = Reading::default();
                let plan = plan(&history, &topic.marks, topic.commits == 0);
                assert_eq!(plan.begun == Begun::Now, topic.commits == 0);
                attempts += 1;
                match restore(&history, &plan, &mut topic, None, &runtime, &Counting::default()) {
                    Ok(_) => break plan,
                    Err(_) => assert!(attempts < 1_000),
                }
            };
            assert!(topic.log == expected.log, "seed {seed}");
            assert_eq!(last.note, topic.marks[&0].note);
            assert_eq!(plan(&history, &topic.marks, false).whole(), Whole::Yes);
        }
        let (mut topic, counting) = (Failing::default(), Counting::default());
        let all = plan(&history, &BTreeMap::new(), true);
        let restored = restore(&history, &all, &mut topic, None, &runtime, &counting).unwrap();
        assert_eq!(
            restored.records as usize,
            expected.log.values().map(Vec::len).sum::<usize>()
        );
        assert_eq!(restored.bytes, counting.0.load(Ordering::Relaxed));
        assert_eq!(
            (restored.retimed, restored.transactions),
            (0, u64::from(topic.commits))
        );
    })
    .await;
}
