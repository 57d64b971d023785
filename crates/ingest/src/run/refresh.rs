//! Asks the broker, beside the workers, how far the tables are behind it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tabletopic_table::Lake;

use crate::ask_broker::AskBroker;
use crate::observe::Observed;

/// How old lag, time to retention and freshness may be.
const EVERY: Duration = Duration::from_secs(10);

/// Until the first table is seen, which is soon.
const AT_FIRST: Duration = Duration::from_millis(500);

/// Goes on until it is aborted. An outage is in the report; the next round asks again.
pub(super) async fn refresh(lake: Lake, broker: Arc<dyn AskBroker>, observed: Arc<Observed>) {
    let mut looked_at = BTreeSet::new();
    loop {
        for table in observed.tables().into_keys() {
            if looked_at.insert(table.clone()) {
                observed.find_newest_record(&lake, &table).await;
            }
        }
        observed.refresh(broker.as_ref()).await;
        observed.metrics.threads.look();
        let pause = match looked_at.is_empty() {
            true => AT_FIRST,
            false => EVERY,
        };
        tokio::time::sleep(pause).await;
    }
}
