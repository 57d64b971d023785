//! Reads the tables back, file by file, and judges them against what was produced.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use iceberg::TableIdent;
use iceberg::spec::ManifestList;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tabletopic_ingest::{Backfill, Job};
use tabletopic_offsets::{Follower, TableState};
use tabletopic_table::Lake;
use tabletopic_table::commit::TAG;
use tabletopic_table::follower::ident;
use tabletopic_table::snapshot::live;

use crate::truth::{Kind, Truth};
use crate::world::World;

/// Our state in a table, if it has one.
pub async fn state(lake: &Lake, table: &TableIdent) -> Option<TableState> {
    let table = lake.catalog.load(table).await.ok()?;
    let tagged = table.metadata.snapshot_for_ref(TAG)?;
    TableState::decode(&tagged.summary().additional_properties).expect("a state that can be read")
}

/// Whether the tables account for all that the broker has.
pub async fn is_complete(world: &World) -> bool {
    for job in world.jobs() {
        if !has_all(world, &job).await {
            return false;
        }
    }
    true
}

async fn has_all(world: &World, job: &Job) -> bool {
    let Some(state) = state(&world.lake, &job.table).await else {
        return false;
    };
    let Some(job) = state.job(&job.id) else {
        return false;
    };
    job.identity.topic_id == world.topic_id()
        && world.partitions().into_iter().all(|partition| {
            let end = world.log(&world.topic_partition(partition)).end;
            job.partitions
                .get(&partition)
                .is_some_and(|held| held.progress.live_end() == end && held.progress.backfill().is_none())
        })
}

/// What the tables account for of each partition, beside the log's end; for messages.
pub async fn held(world: &World) -> String {
    let mut all = Vec::new();
    for job in world.jobs() {
        all.push(format!("{}: {}", job.table, held_by(world, &job).await));
    }
    all.join("; ")
}

async fn held_by(world: &World, job: &Job) -> String {
    let state = state(&world.lake, &job.table).await;
    let held = |partition: i32| {
        state
            .as_ref()?
            .partition(&job.id, partition)
            .map(|held| held.progress.offsets())
    };
    let ends = |partition: i32| world.log(&world.topic_partition(partition)).end;
    let of = |partition| {
        format!(
            "partition {partition} has {:?} of {}",
            held(partition),
            ends(partition)
        )
    };
    world
        .partitions()
        .into_iter()
        .map(of)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Judges each job's main table, dead letters and ledger. Returns the rows of the main tables.
pub async fn judge(world: &World) -> Result<u64, String> {
    let mut rows = 0;
    for job in world.jobs() {
        let judged = judge_job(world, &job).await;
        rows += judged.map_err(|error| format!("{}: {error}", job.table))?;
    }
    Ok(rows)
}

async fn judge_job(world: &World, job: &Job) -> Result<u64, String> {
    let table = &job.table;
    let main = rows(&world.lake, table).await?;
    let letters = rows(&world.lake, &ident(table, Follower::DeadLetters)).await?;
    let ledger = rows(&world.lake, &ident(table, Follower::Ledger)).await?;
    for follower in [Follower::DeadLetters, Follower::Ledger] {
        history_is_whole(&world.lake, &ident(table, follower)).await?;
    }
    history_is_whole(&world.lake, table).await?;
    let state = state(&world.lake, table).await.ok_or("the table has no state")?;
    let found = Found::of(&main, &letters, &world.truth)?;
    every_record_once(world, job, &state, &found)?;
    counts(world, &state, &main, &found)?;
    ledger_is_contiguous(world, job, &state, &ledger, &main)?;
    Ok(main.iter().map(|batch| batch.num_rows() as u64).sum())
}

/// How often each record was found.
struct Found {
    rows: BTreeMap<usize, usize>,
    letters: BTreeMap<usize, usize>,
}

impl Found {
    fn of(main: &[RecordBatch], letters: &[RecordBatch], truth: &Truth) -> Result<Self, String> {
        let mut found = Self {
            rows: BTreeMap::new(),
            letters: BTreeMap::new(),
        };
        for batch in main {
            let places = Places::of(batch, "_kafka_partition", "_kafka_offset", "_kafka_timestamp");
            let values = batch.column_by_name("n");
            for row in 0..batch.num_rows() {
                let number = places.number(row, truth)?;
                let value = values
                    .filter(|values| values.is_valid(row))
                    .map(|values| integer(values, row));
                let expected = (truth.records[number].kind == Kind::Row).then_some(number as i64);
                if value != expected {
                    return Err(format!("record {number} has n = {value:?}, not {expected:?}"));
                }
                *found.rows.entry(number).or_default() += 1;
            }
        }
        for batch in letters {
            let places = Places::of(batch, "partition", "offset", "timestamp");
            for row in 0..batch.num_rows() {
                *found.letters.entry(places.number(row, truth)?).or_default() += 1;
            }
        }
        Ok(found)
    }
}

/// Where the records of a batch came from.
struct Places<'a> {
    partitions: &'a arrow::array::Int32Array,
    offsets: &'a arrow::array::Int64Array,
    timestamps: &'a arrow::array::TimestampMicrosecondArray,
}

impl<'a> Places<'a> {
    fn of(batch: &'a RecordBatch, partition: &str, offset: &str, timestamp: &str) -> Self {
        let column = |name: &str| batch.column_by_name(name).expect("a column that is always there");
        Self {
            partitions: column(partition).as_primitive::<Int32Type>(),
            offsets: column(offset).as_primitive::<Int64Type>(),
            timestamps: column(timestamp).as_primitive::<TimestampMicrosecondType>(),
        }
    }

    /// The record of a row, which has to say where it really came from.
    fn number(&self, row: usize, truth: &Truth) -> Result<usize, String> {
        let number = Truth::number(self.timestamps.value(row));
        let place = (self.partitions.value(row), self.offsets.value(row));
        match truth.records.get(number) {
            Some(record) if (record.partition, record.offset) == place => Ok(number),
            record => Err(format!(
                "a row says that {place:?} is record {number}, which is {record:?}"
            )),
        }
    }
}

fn integer(values: &dyn Array, row: usize) -> i64 {
    match values.as_primitive_opt::<Int64Type>() {
        Some(longs) => longs.value(row),
        None => i64::from(values.as_primitive::<Int32Type>().value(row)),
    }
}

fn every_record_once(world: &World, job: &Job, state: &TableState, found: &Found) -> Result<(), String> {
    let things_happen_to_it = job.id == world.job.id;
    let job = state.job(&job.id).ok_or("the table does not know the job")?;
    for (number, record) in world.truth.records.iter().enumerate() {
        let times = |found: &BTreeMap<usize, usize>| found.get(&number).copied().unwrap_or(0);
        let (right, wrong) = match record.kind {
            Kind::Row | Kind::Tombstone => (times(&found.rows), times(&found.letters)),
            Kind::Poison => (times(&found.letters), times(&found.rows)),
        };
        let told = || format!("record {number} ({record:?})");
        // A letter that was redriven stays one.
        let redriven = record.kind == Kind::Poison && world.happened.redriven && things_happen_to_it;
        if wrong > usize::from(redriven) {
            return Err(format!("{} is in the wrong table, {wrong} times", told()));
        }
        let current = record.topic == world.truth.topic;
        if record.cut && current && right + wrong > 0 {
            return Err(format!("{} is there, and its log was cut below it", told()));
        }
        if right > 1 {
            return Err(format!("{} is there {right} times", told()));
        }
        if right == 1 {
            continue;
        }
        let partition = job.partitions.get(&record.partition);
        let excused = if current {
            let below_anchor = partition.is_some_and(|held| record.offset < held.progress.anchor());
            let lost = partition.is_some_and(|held| held.lost.contains(record.offset));
            record.cut || record.compacted || record.expired && (lost || below_anchor)
        } else {
            !(things_happen_to_it && world.kept.contains(&number))
        };
        if !excused {
            return Err(format!("{} is missing", told()));
        }
    }
    Ok(())
}

/// The cumulative counts say what is there.
fn counts(world: &World, state: &TableState, main: &[RecordBatch], found: &Found) -> Result<(), String> {
    let mut held = BTreeMap::<i32, (u64, u64)>::new();
    for batch in main {
        let places = Places::of(batch, "_kafka_partition", "_kafka_offset", "_kafka_timestamp");
        for row in 0..batch.num_rows() {
            let (rows, sum) = held.entry(places.partitions.value(row)).or_default();
            *rows += 1;
            *sum = sum.wrapping_add(places.offsets.value(row) as u64);
        }
    }
    let mut letters = BTreeMap::<i32, u64>::new();
    for number in found.letters.keys() {
        *letters.entry(world.truth.records[*number].partition).or_default() += 1;
    }
    for (number, partition) in state.jobs.values().flat_map(|job| &job.partitions) {
        let counts = &partition.counts;
        let (rows, sum) = held.remove(number).unwrap_or_default();
        let set_aside = letters.remove(number).unwrap_or_default();
        if (counts.rows, counts.offset_sum, counts.dead_letters) != (rows, sum, set_aside) {
            return Err(format!(
                "partition {number}: there are {rows} rows (offset sum {sum}) and {set_aside} dead letters, and the \
                 state counts {counts:?}"
            ));
        }
    }
    match (held.is_empty(), letters.is_empty()) {
        (true, true) => Ok(()),
        _ => Err(format!(
            "rows and dead letters of unknown partitions: {held:?} {letters:?}"
        )),
    }
}

/// A row of the ledger that has a range.
struct LedgerRange {
    sequence_number: i64,
    kind: String,
    partition: i32,
    start: i64,
    end: i64,
    rows: i64,
}

fn ledger_is_contiguous(
    world: &World,
    job: &Job,
    state: &TableState,
    ledger: &[RecordBatch],
    main: &[RecordBatch],
) -> Result<(), String> {
    let mut ranges = Vec::new();
    let mut seen = BTreeSet::new();
    let mut abandoned = Vec::new();
    let mut restarts = BTreeSet::new();
    for batch in ledger {
        let long = |name: &str| {
            batch
                .column_by_name(name)
                .expect("a ledger column")
                .as_primitive::<Int64Type>()
        };
        let kinds = batch
            .column_by_name("kind")
            .expect("a ledger column")
            .as_string::<i32>();
        let partitions = batch
            .column_by_name("partition")
            .expect("a ledger column")
            .as_primitive::<Int32Type>();
        let changes = batch
            .column_by_name("change")
            .expect("a ledger column")
            .as_string::<i32>();
        let (sequence_numbers, snapshots) = (long("sequence_number"), long("snapshot_id"));
        let (starts, ends, rows, since) = (
            long("start_offset"),
            long("end_offset"),
            long("rows"),
            long("abandons_since"),
        );
        for row in 0..batch.num_rows() {
            let sequence_number = sequence_numbers.value(row);
            let place = starts
                .is_valid(row)
                .then(|| (partitions.value(row), starts.value(row), ends.value(row)));
            let change = changes.is_valid(row).then(|| changes.value(row).to_owned());
            if !seen.insert((sequence_number, snapshots.value(row), place, change)) {
                return Err(format!(
                    "the ledger has snapshot {sequence_number} with {place:?} twice"
                ));
            }
            if since.is_valid(row) {
                abandoned.push((since.value(row), sequence_number));
            }
            if matches!(kinds.value(row), "anchor" | "rewind" | "replace") {
                restarts.insert(sequence_number);
            }
            if let Some((partition, start, end)) = place {
                ranges.push(LedgerRange {
                    sequence_number,
                    kind: kinds.value(row).to_owned(),
                    partition,
                    start,
                    end,
                    rows: rows.value(row),
                });
            }
        }
    }
    ranges.sort_by_key(|range| (range.sequence_number, range.partition, range.start));
    let lanes = match job.backfill {
        Backfill::First => 1,
        Backfill::Behind => 2,
    };
    let mut ends = BTreeMap::<i32, Vec<(i64, i64)>>::new();
    let mut total = 0;
    for range in &ranges {
        let given_up = abandoned
            .iter()
            .any(|(since, by)| *since < range.sequence_number && range.sequence_number < *by);
        if !given_up {
            total += match range.kind.as_str() {
                "replace" => -range.rows,
                _ => range.rows,
            };
        }
        if !matches!(range.kind.as_str(), "append" | "declare-lost") {
            continue;
        }
        let of_partition = ends.entry(range.partition).or_default();
        let grown = (range.end, range.sequence_number);
        if let Some(lane) = of_partition.iter_mut().find(|(end, _)| *end == range.start) {
            *lane = grown;
            continue;
        }
        let restarted = |(_, at): &(i64, i64)| restarts.range(*at..=range.sequence_number).next().is_some();
        of_partition.retain(|lane| !restarted(lane));
        if of_partition.len() == lanes {
            return Err(format!(
                "the ledger of partition {} goes on at {} (snapshot {}) after {of_partition:?}",
                range.partition, range.start, range.sequence_number
            ));
        }
        of_partition.push(grown);
    }
    let there: usize = main.iter().map(RecordBatch::num_rows).sum();
    if total != there as i64 {
        return Err(format!(
            "the ledger has {total} rows that were not given up, and there are {there}"
        ));
    }
    for partition in world.partitions() {
        let live_end = state
            .partition(&job.id, partition)
            .map(|held| held.progress.live_end());
        let of_partition = ends.get(&partition).into_iter().flatten();
        let last = of_partition.map(|(end, _)| *end).max();
        if last.is_some() && restarts.is_empty() && last != live_end {
            return Err(format!(
                "the ledger of partition {partition} ends at {last:?}, progress at {live_end:?}"
            ));
        }
    }
    Ok(())
}

/// Whatever snapshot the table still has can be read: its manifest list, its manifests, and the files in them.
async fn history_is_whole(lake: &Lake, table: &TableIdent) -> Result<(), String> {
    let loaded = lake
        .catalog
        .load(table)
        .await
        .map_err(|error| error.to_string())?;
    for snapshot in loaded.metadata.snapshots() {
        let of = |error: &dyn std::fmt::Display| {
            format!(
                "{table}: snapshot {} can't be read any more: {error}",
                snapshot.snapshot_id()
            )
        };
        let manifests = live::manifests(lake, &loaded.metadata, snapshot).await;
        for manifest in manifests.map_err(|error| of(&error))? {
            for live in live::files(lake, &manifest).await.map_err(|error| of(&error))? {
                let path = live.file.file_path();
                if !lake.file_io.exists(path).await.map_err(|error| of(&error))? {
                    return Err(of(&format!("{path} is gone")));
                }
            }
        }
    }
    Ok(())
}

/// The rows of a table's head, each file read whole and counted against its manifest entry.
async fn rows(lake: &Lake, table: &TableIdent) -> Result<Vec<RecordBatch>, String> {
    let loaded = lake
        .catalog
        .load(table)
        .await
        .map_err(|error| error.to_string())?;
    let metadata = &loaded.metadata;
    let Some(head) = metadata.current_snapshot() else {
        return Ok(Vec::new());
    };
    let read = async |path: &str| {
        let input = lake.file_io.new_input(path).map_err(|error| error.to_string())?;
        input
            .read()
            .await
            .map_err(|error| format!("{table} names {path}: {error}"))
    };
    let list = read(head.manifest_list()).await?;
    let list = ManifestList::parse_with_version(&list, metadata.format_version())
        .map_err(|error| error.to_string())?;
    let mut batches = Vec::new();
    let mut paths = BTreeSet::new();
    for manifest in list.entries() {
        let manifest = manifest
            .load_manifest(&lake.file_io)
            .await
            .map_err(|error| error.to_string())?;
        for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
            let path = entry.data_file().file_path();
            if !paths.insert(path.to_owned()) {
                return Err(format!("{table} names {path} twice"));
            }
            let reader = ParquetRecordBatchReaderBuilder::try_new(read(path).await?)
                .and_then(ParquetRecordBatchReaderBuilder::build)
                .map_err(|error| format!("{path}: {error}"))?;
            let before: usize = batches.iter().map(RecordBatch::num_rows).sum();
            for batch in reader {
                batches.push(batch.map_err(|error| format!("{path}: {error}"))?);
            }
            let after: usize = batches.iter().map(RecordBatch::num_rows).sum();
            if (after - before) as u64 != entry.data_file().record_count() {
                return Err(format!(
                    "{path} has {} rows, its entry says otherwise",
                    after - before
                ));
            }
        }
    }
    let total = head.summary().additional_properties.get("total-records");
    let there: usize = batches.iter().map(RecordBatch::num_rows).sum();
    match total {
        Some(total) if *total != there.to_string() => {
            Err(format!("{table}: total-records is {total}, not {there}"))
        }
        _ => Ok(batches),
    }
}
