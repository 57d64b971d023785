//! `shop.orders`: eleven days of a hundred orders in units of ours, a schema that changed in between, files of
//! several row groups, and a ledger that is one commit behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::json::ReaderBuilder;
use bytes::Bytes;
use iceberg::TableIdent;
use iceberg::spec::{ListType, NestedField, PrimitiveType, Schema, StructType, Type};
use serde_json::{Value, json};
use tabletopic_offsets::{
    Counts, Follower, Generation, JobId, OffsetRange, RecordAt, TopicIdentity, UnitRange,
};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Anchor, Append, ChangeSchema, Fate, LogWaiting, Look, Unit, commit};
use tabletopic_table::file::{Encodings, FileNames, FileSchema, FileSettings, FileWriter};
use tabletopic_table::follower::{create, drain};
use tabletopic_table::partition::{Splitter, parse_partition_by};
use tabletopic_table::schema::SchemaChange;

/// Orders on one day.
pub const DAILY: i64 = 100;

/// Writes the table; answers the snapshot before the schema changed.
pub async fn write(lake: &Lake) -> i64 {
    let schema = schema();
    let spec = parse_partition_by(&["day(created_at)".to_owned()], &schema).unwrap();
    create::table(lake, &table(), schema, Some(spec)).await.unwrap();
    create::followers(lake, &table()).await.unwrap();
    let starts = BTreeMap::from([(0, 0)]);
    let mut anchor = Anchor {
        lake,
        job: &job(),
        identity: &topic(),
        starts: &starts,
    };
    commit(lake, &table(), &mut anchor, &LogWaiting).await.unwrap();

    append(lake, 0..5 * DAILY, |_| json!({})).await;
    let before = current(lake).await;
    change_schema(lake).await;
    let more = |i: i64| json!({ "note": format!("note {i}"), "quantity": i + (1_i64 << 40), "address": { "city": city(i), "zip": "1", "country": "FI" } });
    append(lake, 5 * DAILY..10 * DAILY, more).await;

    let look = commit(lake, &table(), &mut Look, &LogWaiting).await.unwrap();
    for follower in [Follower::DeadLetters, Follower::Ledger] {
        drain::drain(lake, &look.base, follower, &LogWaiting)
            .await
            .unwrap();
    }
    append(lake, 10 * DAILY..11 * DAILY, more).await;
    before
}

fn table() -> TableIdent {
    TableIdent::from_strs(["shop", "orders"]).unwrap()
}

fn job() -> JobId {
    JobId::new("orders")
}

fn topic() -> TopicIdentity {
    TopicIdentity {
        cluster_id: None,
        topic: "orders".into(),
        topic_id: Some("orders-1".to_owned()),
    }
}

fn schema() -> Schema {
    let primitive = |id, name: &str, ty| Arc::new(NestedField::optional(id, name, Type::Primitive(ty)));
    let address = Type::Struct(StructType::new(vec![
        primitive(20, "city", PrimitiveType::String),
        primitive(21, "zip", PrimitiveType::String),
    ]));
    let tag = NestedField::list_element(22, Type::Primitive(PrimitiveType::String), false);
    let tags = Type::List(ListType::new(Arc::new(tag)));
    let money = PrimitiveType::Decimal {
        precision: 10,
        scale: 2,
    };
    Schema::builder()
        .with_fields([
            primitive(1, "order_id", PrimitiveType::Long),
            primitive(2, "customer", PrimitiveType::String),
            primitive(3, "price", PrimitiveType::Double),
            primitive(4, "amount", money),
            primitive(5, "quantity", PrimitiveType::Int),
            primitive(6, "paid", PrimitiveType::Boolean),
            primitive(7, "created_at", PrimitiveType::Timestamptz),
            primitive(8, "shipOn", PrimitiveType::Date),
            Arc::new(NestedField::optional(9, "tags", tags)),
            Arc::new(NestedField::optional(10, "address", address)),
            primitive(11, "_kafka_partition", PrimitiveType::Int),
            primitive(12, "_kafka_offset", PrimitiveType::Long),
        ])
        .build()
        .unwrap()
}

async fn change_schema(lake: &Lake) {
    let changes = [
        SchemaChange::Widen {
            path: vec!["quantity".to_owned()],
            to: PrimitiveType::Long,
        },
        SchemaChange::AddColumn {
            parent: Vec::new(),
            name: "note".to_owned(),
            ty: Type::Primitive(PrimitiveType::String),
        },
        SchemaChange::AddColumn {
            parent: vec!["address".to_owned()],
            name: "country".to_owned(),
            ty: Type::Primitive(PrimitiveType::String),
        },
    ];
    let loaded = lake.catalog.load(&table()).await.unwrap();
    let mut change = ChangeSchema {
        lake,
        made_for: loaded.metadata.current_schema_id(),
        changes: &changes,
        cause: RecordAt {
            job: job(),
            topic: topic().topic,
            topic_id: topic().topic_id,
            partition: 0,
            offset: 5 * DAILY,
        },
    };
    commit(lake, &table(), &mut change, &LogWaiting).await.unwrap();
}

async fn current(lake: &Lake) -> i64 {
    let loaded = lake.catalog.load(&table()).await.unwrap();
    loaded.metadata.current_snapshot_id().unwrap()
}

fn city(i: i64) -> Option<&'static str> {
    ["Turku", "Lahti", "Äänekoski"].get(i as usize % 4).copied()
}

/// One order; `i` is also its offset. Ten minutes apart, so that a day has a hundred and some hours to spare.
fn order(i: i64) -> Value {
    let customer = ["ann", "anna", "bob", "it's \"c\""].get(i as usize % 5);
    let (day, minute) = (1 + i / DAILY, i % DAILY * 10);
    json!({
        "order_id": i,
        "customer": customer,
        "price": (i % 50 != 0).then(|| i as f64 / 4.0),
        "amount": format!("{}.{:02}", i % 1000, i % 100),
        "quantity": i % 7,
        "paid": i % 3 == 0,
        "created_at": format!("2026-01-{day:02}T{:02}:{:02}:00Z", minute / 60, minute % 60),
        "shipOn": format!("2026-02-{day:02}"),
        "tags": match i % 3 { 0 => json!(["new", "gift"]), 1 => json!([]), _ => Value::Null },
        "address": (i % 10 != 0).then(|| json!({ "city": city(i), "zip": format!("{i:05}") })),
        "_kafka_partition": 0,
        "_kafka_offset": i,
    })
}

/// Commits the orders `range` as one unit, in files as a worker makes them.
async fn append(lake: &Lake, range: std::ops::Range<i64>, more: impl Fn(i64) -> Value) {
    let loaded = lake.catalog.load(&table()).await.unwrap();
    let schema = loaded.metadata.current_schema().clone();
    let spec = loaded.metadata.default_partition_spec().clone();
    let files = FileSchema::new(schema.clone(), spec.clone()).unwrap();
    let splitter = Splitter::new(&spec, &schema).unwrap();
    // A row group for a few dozen orders, so that there is something to prune within a file.
    let settings = FileSettings {
        row_group_size: 1,
        ..FileSettings::default()
    };
    let names = FileNames::new(loaded.metadata.location());
    let mut open: Vec<FileWriter> = Vec::new();
    let orders: Vec<Value> = range
        .clone()
        .map(|i| {
            let mut order = order(i);
            let fields = order.as_object_mut().unwrap();
            fields.extend(more(i).as_object().unwrap().clone());
            order
        })
        .collect();
    for orders in orders.chunks(25) {
        let mut reader = ReaderBuilder::new(files.arrow().clone()).build_decoder().unwrap();
        reader.serialize(orders).unwrap();
        let batch: RecordBatch = reader.flush().unwrap().unwrap();
        for (partition, rows) in splitter.split(&batch).unwrap() {
            let known = open.iter().position(|file| *file.partition() == partition);
            let number = known.unwrap_or_else(|| {
                let path = names.next(&files, &partition, lake.entropy.as_ref()).unwrap();
                let encodings = Encodings::choose(&files, &rows);
                open.push(FileWriter::new(&settings, files.clone(), &encodings, partition, path).unwrap());
                open.len() - 1
            });
            open[number].write(&rows).unwrap();
        }
    }
    let mut data_files = Vec::new();
    for file in open {
        let file = file.finish().unwrap();
        let output = lake.file_io.new_output(&file.path).unwrap();
        output.write(Bytes::from(file.payload)).await.unwrap();
        data_files.push(file.data_file);
    }
    let range = OffsetRange::new(range.start, range.end);
    let unit = Unit {
        created: lake.clock.now(),
        schema,
        spec_id: spec.spec_id(),
        files: data_files,
        dead_letters: None,
        ranges: vec![UnitRange {
            job: job(),
            partition: 0,
            identity: topic(),
            generation: Generation::default(),
            range,
            leader_epoch: None,
            counts: Counts::of_rows(range.len(), range.offset_sum()),
        }],
    };
    let units = [unit];
    let mut plan = Append::new(lake, &units, &[]);
    commit(lake, &table(), &mut plan, &LogWaiting).await.unwrap();
    assert!(matches!(plan.into_fates()[..], [Fate::Committed]));
}
