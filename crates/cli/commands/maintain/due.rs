//! `maintain`: all that is due to tables, in its order: what expiry lets go of need not be looked at by what follows.

use std::io::{self, Write};
use std::path::Path;

use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_maintain::compact::Options;
use tabletopic_maintain::orphans::Means;
use tabletopic_maintain::retain::Retention;
use tabletopic_table::commit::expire::by_hand::Limits;

use super::compact::Compacted;
use super::each::failed;
use super::expire::{Expired, millis};
use super::manifests::Rewritten;
use super::orphans::Answer;
use super::retain::Retained;
use super::{Removal, compact, engine, expire, manifests, named, orphans, retain};
use crate::args::{Engine, Maintain, Output};
use crate::commands::{environment, runtime};
use crate::config::Config;
use crate::exit::Exit;
use crate::parts::Opened;
use crate::progress::Progress;
use crate::{logging, parts};

pub fn run(file: &Path, asked: &Maintain) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    let progress = Progress::new();
    logging::start(&config.log, progress.writer());
    runtime()?.block_on(async {
        match asked.engine {
            None => here(&config, asked, &progress).await,
            Some(Engine::Spark) => engine::spark(&config, asked).await,
            Some(Engine::Trino) => engine::trino(&config, asked).await,
        }
    })
}

/// What was done to one table, or would be; what is `null` was not come to, or not asked for.
#[derive(Debug, Serialize)]
struct Maintained {
    table: String,
    dry_run: bool,
    retain: Option<Retained>,
    expire: Option<Expired>,
    compact: Option<Compacted>,
    manifests: Option<Rewritten>,
    orphans: Option<Answer>,
    /// Why it went no further.
    error: Option<String>,
}

async fn here(config: &Config, asked: &Maintain, progress: &Progress) -> anyhow::Result<Exit> {
    let tables = named(&asked.table)?;
    let steps = Steps {
        config,
        opened: &parts::open_to_ask(config).await?,
        asked,
        progress,
    };
    let (mut exits, mut documents) = (Vec::new(), Vec::new());
    for table in &tables {
        let mut done = Maintained {
            table: table.to_string(),
            dry_run: asked.dry_run,
            retain: None,
            expire: None,
            compact: None,
            manifests: None,
            orphans: None,
            error: None,
        };
        exits.push(match steps.all(table, &mut done).await {
            Ok(exit) => exit,
            Err(error) => {
                done.error = Some(crate::sentence(&error));
                failed(table, &error)
            }
        });
        documents.push(done);
    }
    if asked.output == Output::Json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&documents)?)?;
    }
    Ok(Exit::first_of(exits))
}

/// What the steps are done with.
struct Steps<'a> {
    config: &'a Config,
    opened: &'a Opened,
    asked: &'a Maintain,
    progress: &'a Progress,
}

impl Steps<'_> {
    /// Each as the command of its name does it.
    async fn all(&self, table: &TableIdent, done: &mut Maintained) -> anyhow::Result<Exit> {
        let Steps { asked, progress, .. } = *self;
        let lake = &self.opened.lake;
        let removal = Removal::asked(asked.dry_run, asked.yes);

        if let Some(retention) = self.retention(table) {
            let retained = retain::one(lake, table, &retention, removal).await?;
            self.show(&format!("{}\n", retain::text(&retained)))?;
            done.retain = Some(retained);
        }

        let limits = Limits {
            older_than: asked.older_than.map(millis),
            keep: None,
        };
        let expired = expire::one(lake, table, limits, removal).await?;
        self.show(&expire::text(&expired))?;
        done.expire = Some(expired);

        let what = match asked.dry_run {
            true => compact::What::Show,
            false => compact::What::Merge { jobs: asked.jobs },
        };
        let compacted = compact::one(self.config, lake, table, &Options::BY_HAND, what, progress).await?;
        self.show(&compact::text(&compacted))?;
        let mut exit = compacted.exit();
        done.compact = Some(compacted);

        let rewritten = manifests::one(lake, table, asked.dry_run).await?;
        self.show(&manifests::text(&rewritten))?;
        exit = Exit::first_of([exit, rewritten.exit()]);
        done.manifests = Some(rewritten);

        if asked.orphans {
            let means = Means {
                lake,
                listing: self.opened.listing.as_ref(),
            };
            let found = orphans::one(means, table, asked.orphans_older_than(), removal, progress).await?;
            self.show(&orphans::text(&found))?;
            done.orphans = Some(found);
        }
        Ok(exit)
    }

    /// What a topic says that feeds the table. Tables of a pattern's topics are left to `run`, which knows them.
    fn retention(&self, table: &TableIdent) -> Option<Retention> {
        let name = table.to_string();
        let mut topics = self.config.topics.iter();
        let retain = topics
            .find(|topic| topic.table.to_string() == name)?
            .retain
            .as_ref()?;
        Some(Retention {
            age: retain.age,
            column: Some(retain.column.clone()),
        })
    }

    /// As soon as a step is done.
    fn show(&self, text: &str) -> io::Result<()> {
        match self.asked.output {
            Output::Text => write!(anstream::stdout(), "{text}"),
            Output::Json => Ok(()),
        }
    }
}
