//! `verify`: what a table holds is proven, or what is wrong with it is named.

mod text;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tabletopic_audit::verify::{Brokers, Conclusion, MakeSource, Means, Verdict, verify};
use tabletopic_source::{KafkaSource, Source};

use super::maintain::{named, part};
use super::{environment, runtime};
use crate::args::{Output, Verify};
use crate::config::Config;
use crate::exit::Exit;
use crate::progress::{Counted, Progress};
use crate::{logging, parts};

pub fn run(file: &Path, asked: &Verify) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    let progress = Progress::new();
    logging::start(&config.log, progress.writer());
    let verdict = runtime()?.block_on(judge(&config, asked, &progress))?;
    let exit = exit(&verdict);
    let mut out = anstream::stdout().lock();
    match asked.output {
        Output::Text => write!(out, "{}", text::Shown(&verdict))?,
        Output::Json => {
            let document = Document {
                exit_code: exit as u8,
                verdict: &verdict,
            };
            writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        }
    }
    Ok(exit)
}

#[derive(Serialize)]
struct Document<'a> {
    exit_code: u8,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

async fn judge(config: &Config, asked: &Verify, progress: &Progress) -> anyhow::Result<Verdict> {
    let tables = named(std::slice::from_ref(&asked.table))?;
    let lake = parts::lake_to_ask(config).await?;
    let shown = Shown(progress.of_counted(format!("verifying {}", asked.table)));
    let means = Means {
        lake: &lake,
        brokers: match asked.offline {
            true => Err("the broker was left out (--offline)".to_owned()),
            false => Ok(brokers(config)?),
        },
        memory: part(config),
        progress: &shown,
    };
    Ok(verify(&means, &tables[0], asked.since).await?)
}

/// The brokers of the configuration, with clients that take no part in its group.
pub fn brokers(config: &Config) -> anyhow::Result<Brokers> {
    let settings = parts::kafka_settings(&config.kafka);
    let source: MakeSource = Arc::new(move || Ok(Box::new(KafkaSource::new(&settings)?) as Box<dyn Source>));
    Ok(Brokers {
        broker: Arc::new(parts::broker(&config.kafka)?),
        source,
    })
}

/// What the verification tells of its progress.
struct Shown(Counted);

impl tabletopic_audit::verify::Progress for Shown {
    fn done(&self, what: &'static str, done: u64, all: u64) {
        self.0.set(what, done, all);
    }
}

fn exit(verdict: &Verdict) -> Exit {
    match verdict.conclusion {
        Conclusion::Proven => Exit::Done,
        Conclusion::Differs => Exit::Differs,
        Conclusion::Halted => Exit::Halted,
    }
}
