//! A worker that reads one topic partition, as its driver has it do.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use iceberg::TableIdent;
use iceberg::spec::PartitionSpec;
use tabletopic_clock::{ManualClock, SeededEntropy};
use tabletopic_decode::{DecodeSettings, FormerNames};
use tabletopic_ingest::memory_budget::{MemoryBudget, Untold};
use tabletopic_ingest::observe::{Meter, Metrics, Stage};
use tabletopic_ingest::worker::{Effect, Grant, Message, Reply, TableVersion, Worker};
use tabletopic_ingest::{Backfill, Job, Lane, PartitionBy, Start, Stretch};
use tabletopic_offsets::{Generation, JobId, TopicIdentity, TopicPartition};
use tabletopic_records::Record;
use tabletopic_source::{Position, SourceEvent};
use tabletopic_table::file::{FileNames, FileSchema, FileSettings};
use tabletopic_table::follower::dead_letters;

use crate::sample::{BATCH, RECORDS, Table};

/// The time does not pass.
const NOW: i64 = 0;

/// See the module.
pub struct Fed {
    worker: Worker,
    tp: TopicPartition,
}

impl Fed {
    pub fn new(decode: &DecodeSettings, table: &Table) -> Self {
        let job = Job {
            id: JobId::new("bids"),
            topic: "bids".into(),
            table: TableIdent::from_strs(["bench", "bids"]).unwrap(),
            decode: decode.clone(),
            shape: None,
            ddl: None,
            partition_by: PartitionBy::Usual(vec!["day(dateTime)".to_owned()]),
            start: Start::Earliest,
            backfill: Backfill::First,
            partitions: None,
            files: FileSettings::default(),
            commit_interval: Duration::from_secs(10),
        };
        let (tp, granted) = (TopicPartition::new("bids", 0), granted(table));
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let mut worker = Worker::new(
            Lane::Live,
            vec![Arc::new(job)],
            Arc::new(SeededEntropy::new(1)),
            MemoryBudget::new(1 << 30, Arc::new(Untold)).part(),
            // The system's clock can't be read under valgrind, which hides where the kernel has it.
            Meter::new(0, Arc::new(ManualClock::at(NOW)), metrics),
        );
        let mut effects = Vec::new();
        worker.source_event(NOW, SourceEvent::Assigned(vec![tp.clone()]), &mut effects);
        worker.reply(NOW, granted, &mut effects);
        assert_eq!(worker.reading().len(), 1, "{effects:?}");
        Self { worker, tp }
    }

    /// Polls as many as there are batches, and a cut at the end.
    pub fn take(&mut self, records: &[Record<'_>]) {
        let Self { worker, tp } = self;
        let mut effects = Vec::new();
        for records in records.chunks(BATCH) {
            let topic = &tp.topic;
            worker.source_event(NOW, SourceEvent::Records { topic, records }, &mut effects);
            let position = Position::new(records[records.len() - 1].offset + 1, None);
            worker.source_event(
                NOW,
                SourceEvent::Positions(&[(tp.clone(), position)]),
                &mut effects,
            );
            worker.note(Stage::Consume);
            worker.tick(NOW, &mut effects);
            worker.note(Stage::Encode);
        }
        worker.cut_all(NOW, &mut effects);
        let rows: u64 = effects.iter().map(rows).sum();
        assert_eq!(rows, RECORDS as u64, "{effects:?}");
        black_box(effects);
    }
}

/// Those of a file to be stored.
fn rows(effect: &Effect) -> u64 {
    match effect {
        Effect::Upload { file, .. } => file.data_file.record_count(),
        _ => 0,
    }
}

fn granted(table: &Table) -> Message {
    let dead_letters = Arc::new(dead_letters::schema().unwrap());
    let unpartitioned = Arc::new(PartitionSpec::unpartition_spec());
    let version = TableVersion {
        schema: table.schema.clone(),
        spec: table.spec.clone(),
        former_names: FormerNames::default(),
        files: FileNames::new("file:///nowhere"),
        dead_letter_schema: FileSchema::new(dead_letters, unpartitioned).unwrap(),
        dead_letter_files: FileNames::new("file:///nowhere"),
    };
    let from_start = Stretch {
        from: Position::new(0, None),
        until: None,
    };
    let grant = Grant {
        version: Arc::new(version),
        identity: TopicIdentity {
            cluster_id: None,
            topic: "bids".into(),
            topic_id: None,
        },
        generation: Generation::default(),
        stretches: BTreeMap::from([(0, from_start)]),
    };
    let job = JobId::new("bids");
    Message {
        to: None,
        reply: Reply::Granted { job, grant },
    }
}
