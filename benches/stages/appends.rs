//! Commits of one file each, to a new table in an SQLite catalog.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use arrow::array::RecordBatch;
use futures::executor::block_on;
use iceberg::TableIdent;
use iceberg::spec::Struct;
use tabletopic_catalog::{SqliteCatalog, SqliteOptions};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_offsets::{Counts, Generation, JobId, Offset, OffsetRange, TopicIdentity, UnitRange};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Anchor, Append, Fate, LogWaiting, Unit, commit};
use tabletopic_table::file::{FileNames, FileSettings, OpenFiles};
use tabletopic_table::follower::create;
use tabletopic_table::storage::{DurableLocal, RequestCounts, file_io};

use crate::table::Table;

pub struct Appends<'a> {
    lake: Lake,
    ident: TableIdent,
    table: &'a Table,
    identity: TopicIdentity,
}

const JOB: &str = "bids";

impl<'a> Appends<'a> {
    /// Makes catalog and table in `folder`, and anchors one topic partition.
    pub fn prepare(folder: &Path, table: &'a Table) -> Result<Self> {
        block_on(async {
            let file_io = file_io(
                Arc::new(DurableLocal::new()),
                "file:///",
                Arc::new(RequestCounts::default()),
            );
            let options = SqliteOptions {
                name: "bench".to_owned(),
                path: folder.join("catalog.db"),
                warehouse: format!("file://{}", folder.display()),
                busy_timeout: Duration::from_secs(10),
                commit_timeout: Duration::from_secs(30),
            };
            let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
            let catalog =
                SqliteCatalog::open(options, file_io.clone(), clock.clone(), entropy.clone()).await?;
            let lake = Lake {
                catalog: Arc::new(catalog),
                file_io,
                clock,
                entropy,
                actor: "bench".into(),
            };
            let ident = TableIdent::from_strs(["bench", "bids"])?;
            create::table(
                &lake,
                &ident,
                table.schema.as_ref().clone(),
                Some(table.unbound.clone()),
            )
            .await?;
            let identity = TopicIdentity {
                cluster_id: None,
                topic: JOB.into(),
                topic_id: None,
            };
            let starts = BTreeMap::from([(0, 0)]);
            let job = JobId::new(JOB);
            let mut anchor = Anchor {
                lake: &lake,
                job: &job,
                identity: &identity,
                starts: &starts,
            };
            commit(&lake, &ident, &mut anchor, &LogWaiting).await?;
            Ok(Self {
                lake,
                ident,
                table,
                identity,
            })
        })
    }

    /// Units of one file with the rows of one batch each.
    pub fn units(&self, batches: &[Vec<(Struct, RecordBatch)>], count: u64) -> Result<Vec<Unit>> {
        let names = FileNames::new("file:///nowhere");
        let mut open = OpenFiles::new(FileSettings::default(), self.table.file_schema()?, names);
        let mut units = Vec::new();
        let mut start: Offset = 0;
        for batch in batches.iter().take(count as usize) {
            open.write(batch, &OsEntropy)?;
            let rows: usize = batch.iter().map(|(_, rows)| rows.num_rows()).sum();
            let range = OffsetRange::new(start, start + rows as Offset);
            start = range.end;
            units.push(Unit {
                created: self.lake.clock.now(),
                schema: self.table.schema.clone(),
                spec_id: 0,
                files: open
                    .close_all(&OsEntropy)?
                    .into_iter()
                    .map(|file| file.data_file)
                    .collect(),
                dead_letters: None,
                ranges: vec![UnitRange {
                    job: JobId::new(JOB),
                    partition: 0,
                    identity: self.identity.clone(),
                    generation: Generation::default(),
                    range,
                    leader_epoch: None,
                    counts: Counts::of_rows(range.len(), range.offset_sum()),
                }],
            });
        }
        Ok(units)
    }

    /// One snapshot for each unit.
    pub fn commit(&mut self, units: Vec<Unit>) -> Result<()> {
        block_on(async {
            for unit in units {
                let units = [unit];
                let mut append = Append::new(&self.lake, &units, &[]);
                commit(&self.lake, &self.ident, &mut append, &LogWaiting).await?;
                match append.into_fates().pop().context("no fate")? {
                    Fate::Committed => {}
                    Fate::Dropped(dropped) => bail!("a unit was dropped: {dropped}"),
                }
            }
            Ok(())
        })
    }
}
