//! The state as snapshot summary properties: text that a person can read in any engine.
//!
//! `text` has the grammar of values. Every key starts with [`PREFIX`], and every key with
//! that prefix is the encoding's own: one that a reader does not know is an error, never skipped,
//! because what it means could be an offset. A change of meaning is a new version.

mod pending;
mod text;

use std::collections::{BTreeMap, HashMap};

use crate::{
    AddedRange, Counts, Follower, FollowerPosition, Generation, JobId, JobState, Kind, Outbox,
    PartitionState, Progress, RangeSet, TableState, TopicIdentity,
};

/// What all keys start with.
pub const PREFIX: &str = "tabletopic.";

const VERSION: u32 = 1;

/// A state that is there and can't be read. Fail closed: the table halts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("{PREFIX}{key}: missing, though other properties of the table's state are there")]
    Missing { key: String },
    #[error("{PREFIX}{key}={value}: {why}")]
    Malformed { key: String, value: String, why: String },
    #[error("{PREFIX}{key}={value}: this release does not know such a property")]
    Unknown { key: String, value: String },
    #[error(
        "{PREFIX}version={found}: written by a newer release; this one reads up to {VERSION}. Upgrade it"
    )]
    NewerVersion { found: u32 },
}

impl Kind {
    pub const ALL: [Kind; 12] = [
        Kind::Anchor,
        Kind::Append,
        Kind::Replace,
        Kind::DeclareLost,
        Kind::Redrive,
        Kind::Schema,
        Kind::Maintenance,
        Kind::Rewind,
        Kind::Retention,
        Kind::Promote,
        Kind::Withdraw,
        Kind::Repair,
    ];

    /// As summaries and the ledger name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Anchor => "anchor",
            Kind::Append => "append",
            Kind::Replace => "replace",
            Kind::DeclareLost => "declare-lost",
            Kind::Redrive => "redrive",
            Kind::Schema => "schema",
            Kind::Maintenance => "maintenance",
            Kind::Rewind => "rewind",
            Kind::Retention => "retention",
            Kind::Promote => "promote",
            Kind::Withdraw => "withdraw",
            Kind::Repair => "repair",
        }
    }

    /// `None` for a name that this release does not know.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

const FOLLOWERS: [(Follower, &str); 2] = [
    (Follower::DeadLetters, "acknowledged.dead-letters"),
    (Follower::Ledger, "acknowledged.ledger"),
];

impl TableState {
    /// The snapshot summary properties of this state. Empty lists have no key.
    pub fn encode(&self) -> BTreeMap<String, String> {
        let mut writer = Writer::default();
        writer.put("version", VERSION.to_string());
        writer.put("kind", self.kind.name().to_owned());
        for (id, job) in &self.jobs {
            encode_job(&mut writer, id, job);
            let added = self.added.iter().filter(|added| added.job == *id);
            writer.put_list(
                job_key(id, "added"),
                added.map(|added| (added.partition, text::added(added.range, added.counts))),
            );
        }
        let retired = self.retired.iter();
        writer.put_list(
            "retired".to_owned(),
            retired.map(|(partition, counts)| (*partition, text::counts(*counts))),
        );
        if let Some(evolved) = &self.evolved {
            writer.put("evolved", pending::evolved(evolved).to_string());
        }
        encode_outbox(&mut writer, &self.outbox);
        writer.0
    }

    /// Reads a snapshot's summary; `None` when it holds no state of ours.
    pub fn decode(summary: &HashMap<String, String>) -> Result<Option<TableState>, StateError> {
        let mut reader = Reader::of(summary);
        if reader.0.is_empty() {
            return Ok(None);
        }
        let version = reader.parse("version", text::parse_number)?;
        if version > VERSION {
            return Err(StateError::NewerVersion { found: version });
        }
        if version == 0 {
            return Err(malformed("version", "0", "versions start at 1"));
        }
        let kind = reader.parse("kind", Kind::from_name)?;
        let mut jobs = BTreeMap::new();
        let mut added = Vec::new();
        for id in reader.jobs() {
            let job = decode_job(&mut reader, &id)?;
            for (partition, (range, counts)) in reader.list(&job_key(&id, "added"), text::parse_added)? {
                if !job.partitions.contains_key(&partition) {
                    let key = job_key(&id, "added");
                    return Err(malformed(
                        &key,
                        &partition.to_string(),
                        "this partition has no progress",
                    ));
                }
                added.push(AddedRange {
                    job: id.clone(),
                    partition,
                    range,
                    counts,
                });
            }
            jobs.insert(id, job);
        }
        let retired = reader.map("retired", text::parse_rows)?.into_iter().collect();
        let evolved = match reader.take("evolved") {
            Some(value) => {
                Some(pending::parse_evolved(value).map_err(|why| malformed("evolved", value, &why))?)
            }
            None => None,
        };
        let outbox = decode_outbox(&mut reader)?;
        reader.finish()?;
        Ok(Some(TableState {
            kind,
            jobs,
            retired,
            added,
            replaced: Vec::new(),
            evolved,
            outbox,
        }))
    }
}

impl Outbox {
    /// How much of a snapshot summary the outbox takes, keys and values.
    pub fn encoded_bytes(&self) -> usize {
        let mut writer = Writer::default();
        encode_outbox(&mut writer, self);
        writer.0.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

fn job_key(id: &JobId, field: &str) -> String {
    format!("job.{id}.{field}")
}

fn encode_job(writer: &mut Writer, id: &JobId, job: &JobState) {
    let key = |field| job_key(id, field);
    writer.put(&key("topic"), job.identity.topic.to_string());
    writer.put_known(key("cluster-id"), &job.identity.cluster_id);
    writer.put_known(key("topic-id"), &job.identity.topic_id);
    writer.put(&key("generation"), job.generation.to_string());
    let each = || {
        job.partitions
            .iter()
            .map(|(partition, state)| (*partition, state))
    };
    // A job without partitions still has its key: without one it would be a job that lost its progress.
    writer.put(
        &key("progress"),
        text::list(each().map(|(p, s)| (p, text::ranges(s.progress.ranges())))),
    );
    let epochs = each().filter_map(|(p, s)| Some((p, s.leader_epoch?)));
    writer.put_text(key("epochs"), text::runs(epochs));
    let epochs = each().filter_map(|(p, s)| Some((p, s.backfill_epoch?)));
    writer.put_text(key("backfill-epochs"), text::runs(epochs));
    let counts = |of: fn(&PartitionState) -> Counts| {
        each()
            .map(move |(p, s)| (p, of(s)))
            .filter(|(_, c)| !c.is_zero())
            .map(|(p, c)| (p, text::counts(c)))
    };
    writer.put_list(key("counts"), counts(|state| state.counts));
    writer.put_list(key("inherited"), counts(|state| state.inherited));
    let sets = |of: fn(&PartitionState) -> &RangeSet| {
        let held = each()
            .map(move |(p, s)| (p, of(s)))
            .filter(|(_, set)| !set.is_empty());
        held.map(|(p, set)| (p, text::ranges(set.ranges())))
    };
    writer.put_list(key("lost"), sets(|state| &state.lost));
    writer.put_list(key("abandoned"), sets(|state| &state.abandoned));
    let past = each().flat_map(|(p, s)| s.past.iter().map(move |past| (p, text::past(past))));
    writer.put_list(key("past"), past);
}

fn decode_job(reader: &mut Reader<'_>, id: &JobId) -> Result<JobState, StateError> {
    let key = |field| job_key(id, field);
    let identity = TopicIdentity {
        topic: reader.require(&key("topic"))?.into(),
        cluster_id: reader.take(&key("cluster-id")).map(str::to_owned),
        topic_id: reader.take(&key("topic-id")).map(str::to_owned),
    };
    let generation = Generation(reader.parse(&key("generation"), text::parse_number)?);
    if !reader.0.contains_key(key("progress").as_str()) {
        return Err(StateError::Missing { key: key("progress") });
    }
    let mut partitions = BTreeMap::new();
    for (partition, ranges) in reader.map(&key("progress"), text::parse_ranges)? {
        let progress = Progress::from_ranges(ranges).ok_or_else(|| {
            malformed(
                &key("progress"),
                &partition.to_string(),
                "its ranges are not sorted and apart",
            )
        })?;
        let state = PartitionState {
            progress,
            ..PartitionState::anchored(0)
        };
        partitions.insert(partition, state);
    }
    let mut set = |field: &'static str, value: Vec<(i32, Field)>| -> Result<(), StateError> {
        for (partition, value) in value {
            let Some(state) = partitions.get_mut(&partition) else {
                let key = key(field);
                return Err(malformed(
                    &key,
                    &partition.to_string(),
                    "this partition has no progress",
                ));
            };
            value.put_into(state);
        }
        Ok(())
    };
    set("epochs", reader.epochs(&key("epochs"), Field::Epoch)?)?;
    set(
        "backfill-epochs",
        reader.epochs(&key("backfill-epochs"), Field::BackfillEpoch)?,
    )?;
    set(
        "counts",
        reader.fields(&key("counts"), |v| text::parse_counts(v).map(Field::Counts))?,
    )?;
    set(
        "inherited",
        reader.fields(&key("inherited"), |v| text::parse_counts(v).map(Field::Inherited))?,
    )?;
    set(
        "lost",
        reader.fields(&key("lost"), |v| text::parse_set(v).map(Field::Lost))?,
    )?;
    set(
        "abandoned",
        reader.fields(&key("abandoned"), |v| text::parse_set(v).map(Field::Abandoned))?,
    )?;
    for (partition, past) in reader.list(&key("past"), text::parse_past)? {
        let Some(state) = partitions.get_mut(&partition) else {
            let why = "this partition has no progress";
            return Err(malformed(&key("past"), &partition.to_string(), why));
        };
        if state
            .past
            .last()
            .is_some_and(|before| before.generation >= past.generation)
        {
            let why = "its generations are not in order";
            return Err(malformed(&key("past"), &partition.to_string(), why));
        }
        state.past.push(past);
    }
    Ok(JobState {
        identity,
        generation,
        partitions,
    })
}

/// One value of a partition, on its way into the partition's state.
enum Field {
    Epoch(i32),
    BackfillEpoch(i32),
    Counts(Counts),
    Inherited(Counts),
    Lost(RangeSet),
    Abandoned(RangeSet),
}

impl Field {
    fn put_into(self, state: &mut PartitionState) {
        match self {
            Field::Epoch(epoch) => state.leader_epoch = Some(epoch),
            Field::BackfillEpoch(epoch) => state.backfill_epoch = Some(epoch),
            Field::Counts(counts) => state.counts = counts,
            Field::Inherited(counts) => state.inherited = counts,
            Field::Lost(set) => state.lost = set,
            Field::Abandoned(set) => state.abandoned = set,
        }
    }
}

fn encode_outbox(writer: &mut Writer, outbox: &Outbox) {
    writer.put_text(
        "pending.dead-letters".into(),
        pending::dead_letters(&outbox.dead_letters),
    );
    writer.put_text("pending.removals".into(), pending::removals(&outbox.removals));
    writer.put_text("pending.ledger".into(), pending::ledger(&outbox.ledger));
    let snapshots: Vec<_> = outbox
        .snapshots
        .iter()
        .map(|snapshot| text::snapshot(*snapshot))
        .collect();
    writer.put_text("snapshots".into(), snapshots.join(" "));
    for (follower, key) in FOLLOWERS {
        if let Some(position) = outbox.acknowledged.get(&follower) {
            let snapshot = text::snapshot(position.snapshot);
            writer.put(key, format!("{} {snapshot}", position.table_uuid));
        }
    }
}

fn decode_outbox(reader: &mut Reader<'_>) -> Result<Outbox, StateError> {
    let dead_letters = reader.json("pending.dead-letters", pending::parse_dead_letters)?;
    let removals = reader.json("pending.removals", pending::parse_removals)?;
    let ledger = reader.json("pending.ledger", pending::parse_ledger)?;
    let snapshots = match reader.0.contains_key("snapshots") {
        true => reader.parse("snapshots", |value| {
            value.split(' ').map(text::parse_snapshot).collect()
        })?,
        false => Vec::new(),
    };
    let mut acknowledged = BTreeMap::new();
    for (follower, key) in FOLLOWERS {
        if reader.0.contains_key(key) {
            let position = reader.parse(key, |value| {
                let (uuid, snapshot) = value.rsplit_once(' ')?;
                let snapshot = text::parse_snapshot(snapshot)?;
                (!uuid.is_empty()).then(|| FollowerPosition {
                    table_uuid: uuid.into(),
                    snapshot,
                })
            })?;
            acknowledged.insert(follower, position);
        }
    }
    Ok(Outbox {
        dead_letters,
        removals,
        ledger,
        snapshots,
        acknowledged,
    })
}

fn malformed(key: &str, value: &str, why: &str) -> StateError {
    StateError::Malformed {
        key: key.into(),
        value: value.into(),
        why: why.into(),
    }
}

#[derive(Default)]
struct Writer(BTreeMap<String, String>);

impl Writer {
    fn put(&mut self, key: &str, value: String) {
        self.0.insert(format!("{PREFIX}{key}"), value);
    }

    fn put_text(&mut self, key: String, value: String) {
        if !value.is_empty() {
            self.put(&key, value);
        }
    }

    fn put_known(&mut self, key: String, value: &Option<String>) {
        if let Some(value) = value {
            self.put(&key, value.clone());
        }
    }

    fn put_list(&mut self, key: String, entries: impl Iterator<Item = (i32, String)>) {
        self.put_text(key, text::list(entries));
    }
}

/// The properties that nobody has read yet, without the prefix.
struct Reader<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Reader<'a> {
    fn of(summary: &'a HashMap<String, String>) -> Self {
        let ours = summary
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value.as_str())));
        Self(ours.collect())
    }

    fn jobs(&self) -> Vec<JobId> {
        let ids = self
            .0
            .keys()
            .filter_map(|key| key.strip_prefix("job.")?.rsplit_once('.'));
        let mut ids: Vec<_> = ids.map(|(id, _)| JobId::new(id)).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    fn take(&mut self, key: &str) -> Option<&'a str> {
        self.0.remove(key)
    }

    fn require(&mut self, key: &str) -> Result<&'a str, StateError> {
        self.take(key)
            .ok_or_else(|| StateError::Missing { key: key.into() })
    }

    fn parse<T>(&mut self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, StateError> {
        let value = self.require(key)?;
        parse(value).ok_or_else(|| malformed(key, value, "cannot be read"))
    }

    /// A list that may name a partition several times; empty where there is no key.
    fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<(i32, T)>, StateError> {
        let Some(value) = self.take(key) else {
            return Ok(Vec::new());
        };
        text::parse_list(value, parse).map_err(|entry| malformed(key, entry, "cannot be read"))
    }

    /// A list that names each partition once, in order.
    fn map<T>(&mut self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<(i32, T)>, StateError> {
        let list = self.list(key, parse)?;
        match list.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            Some(pair) => Err(malformed(
                key,
                &pair[1].0.to_string(),
                "partitions are not in order",
            )),
            None => Ok(list),
        }
    }

    fn fields(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Option<Field>,
    ) -> Result<Vec<(i32, Field)>, StateError> {
        self.map(key, parse)
    }

    fn epochs(&mut self, key: &str, of: fn(i32) -> Field) -> Result<Vec<(i32, Field)>, StateError> {
        let Some(value) = self.take(key) else {
            return Ok(Vec::new());
        };
        let runs = text::parse_runs(value).ok_or_else(|| malformed(key, value, "cannot be read"))?;
        Ok(runs
            .into_iter()
            .map(|(partition, epoch)| (partition, of(epoch)))
            .collect())
    }

    fn json<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<Vec<T>, String>,
    ) -> Result<Vec<T>, StateError> {
        let Some(value) = self.take(key) else {
            return Ok(Vec::new());
        };
        parse(value).map_err(|why| malformed(key, value, &why))
    }

    fn finish(self) -> Result<(), StateError> {
        match self.0.into_iter().next() {
            Some((key, value)) => Err(StateError::Unknown {
                key: key.into(),
                value: value.into(),
            }),
            None => Ok(()),
        }
    }
}
