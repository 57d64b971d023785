//! Requests that are sent again. A client that lost the answer to a change sends the same `Idempotency-Key` once more,
//! and gets the same answer without the change being made twice; a second request that comes while the first is under
//! way waits for it.
//!
//! Keys are kept in memory. After a restart they are forgotten; commits that add snapshots are recognised all the same,
//! by these.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderName, StatusCode};
use iceberg::TableIdent;
use tabletopic_clock::Millis;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::RestCatalog;
use super::error::Refusal;
use super::reply::{Reply, Snapshots};
use super::request::Asked;

pub struct Lifetime {
    pub iso: &'static str,
    millis: Millis,
}

/// How long a key is good for.
pub const LIFETIME: Lifetime = Lifetime {
    iso: "PT30M",
    millis: 30 * 60 * 1000,
};

/// Keys that are kept; the oldest make room.
const MOST: usize = 10_000;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// An answer that can be given again. Of a table its name is enough: it may be told as it is then.
#[derive(Debug, Clone)]
enum Answer {
    Done,
    Json(Bytes),
    Table(TableIdent),
    Refused(Refusal),
}

#[derive(Debug)]
struct Known {
    /// What was asked under the key.
    asked: String,
    answer: Arc<OnceCell<Answer>>,
}

/// The keys of the last half hour.
#[derive(Debug, Default)]
pub struct Keys(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    known: HashMap<Uuid, Known>,
    /// When each came, to forget it.
    came: BTreeSet<(Millis, Uuid)>,
}

impl Keys {
    /// The place of the answer to what is asked under `key`.
    fn of(&self, key: Uuid, asked: String, now: Millis) -> Result<Arc<OnceCell<Answer>>, Refusal> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.forget(now - LIFETIME.millis);
        if let Some(known) = table.known.get(&key) {
            return match known.asked == asked {
                true => Ok(known.answer.clone()),
                false => Err(Refusal::bad_request(
                    "this Idempotency-Key was used for another request; each request needs its own",
                )),
            };
        }
        let answer = Arc::new(OnceCell::new());
        let known = Known {
            asked,
            answer: answer.clone(),
        };
        table.known.insert(key, known);
        table.came.insert((now, key));
        Ok(answer)
    }
}

impl Table {
    fn forget(&mut self, before: Millis) {
        while let Some((came, key)) = self.came.first() {
            if *came >= before && self.known.len() < MOST {
                return;
            }
            self.known.remove(key);
            self.came.pop_first();
        }
    }
}

impl RestCatalog {
    /// Answers a change, once for its key if it has one.
    pub(super) async fn once(
        &self,
        asked: &Asked,
        change: impl Future<Output = Result<Reply, Refusal>>,
    ) -> Result<Reply, Refusal> {
        let Some(key) = asked.header(HEADER) else {
            return change.await;
        };
        let key = Uuid::try_parse(key).map_err(|_| {
            Refusal::bad_request(format!("{key:?} is no Idempotency-Key: it has to be a UUID"))
        })?;
        let place = self.keys.of(key, fingerprint(asked), self.clock.now())?;
        let mut fresh = None;
        let answer = place
            .get_or_try_init(|| async {
                let answered = change.await;
                let kept = match &answered {
                    Ok(Reply::Done | Reply::NotModified { .. }) => Ok(Answer::Done),
                    Ok(Reply::Json(json)) => Ok(Answer::Json(json.clone())),
                    Ok(Reply::Table {
                        ident: Some(table), ..
                    }) => Ok(Answer::Table(table.clone())),
                    Ok(Reply::Table {
                        ident: None, json, ..
                    }) => Ok(Answer::Json(json.clone())),
                    Err(refusal) if refusal.status.is_client_error() => Ok(Answer::Refused(refusal.clone())),
                    // What went wrong here may go well next time.
                    Err(_) => Err(()),
                };
                fresh = Some(answered);
                kept
            })
            .await;
        if let Some(answered) = fresh {
            return answered;
        }
        match answer {
            Ok(Answer::Done) => Ok(Reply::Done),
            Ok(Answer::Json(json)) => Ok(Reply::Json(json.clone())),
            Ok(Answer::Table(table)) => Reply::table(&self.catalog.load(table).await?, Snapshots::All),
            Ok(Answer::Refused(refusal)) => Err(refusal.clone()),
            Err(()) => Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerError",
                "the request was not answered",
            )),
        }
    }
}

/// What is asked, to tell requests apart that come under one key.
fn fingerprint(asked: &Asked) -> String {
    let mut hasher = DefaultHasher::new();
    asked.body().hash(&mut hasher);
    format!("{} {} {:x}", asked.method, asked.target(), hasher.finish())
}
