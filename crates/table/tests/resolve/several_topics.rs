//! Tables whose rows do not tell which topic they came from.

use iceberg::spec::DataFile;
use tabletopic_offsets::{JobId, TopicIdentity};
use tabletopic_table::commit::resolve::Rewind;
use tabletopic_table::commit::{Anchor, LogWaiting, commit};

use crate::table::{Table, ident, rows};

/// Two topics with a partition 0 each; `orders` has given offsets 0 to 8, `returns` 0 to 4, and again as many.
/// Answers the snapshot before the last unit, and the file of that.
async fn fed_by_two() -> (Table, i64, DataFile) {
    let table = Table::new().await;
    let returns = JobId::new("returns");
    let mut anchor = Anchor {
        lake: &table.0,
        job: &returns,
        identity: &TopicIdentity {
            cluster_id: None,
            topic: "returns".into(),
            topic_id: Some("returns-1".to_owned()),
        },
        starts: &[(0, 0)].into(),
    };
    table.commit(&mut anchor).await;
    let file = table.file("a", &rows(0, 0..9)).await;
    table.append(vec![file], &[(0, 0, 9)]).await;
    let file = table.file("b", &rows(0, 0..5)).await;
    table.append_of(&returns, vec![file], &[(0, 0, 5)]).await;
    let before = table.base().await.head().unwrap().snapshot_id();
    let last = table.file("b", &rows(0, 5..10)).await;
    table.append_of(&returns, vec![last.clone()], &[(0, 5, 10)]).await;
    (table, before, last)
}

#[tokio::test]
async fn a_rewind_goes_back_to_a_state_that_counted_the_very_rows_that_main_holds() {
    let (table, before, _) = fed_by_two().await;
    table.roll_back_to(before).await;
    let mut rewind = Rewind::new(&table.0, String::new());
    table.commit(&mut rewind).await;
    let base = table.base().await;
    let ends = base.state().unwrap().jobs.iter();
    let ends: Vec<_> = ends
        .map(|(id, job)| (id.as_str(), job.partitions[&0].progress.live_end()))
        .collect();
    assert_eq!(ends, [("orders", 9), ("returns", 5)]);
    let file = table.file("b", &rows(0, 5..10)).await;
    table
        .append_of(&JobId::new("returns"), vec![file], &[(0, 5, 10)])
        .await;
    assert_eq!(table.rows().await.values().map(Vec::len).sum::<usize>(), 9 + 10);
}

#[tokio::test]
async fn a_rewind_is_refused_where_main_holds_others() {
    let (table, before, last) = fed_by_two().await;
    table.roll_back_to(before).await;
    // By their offsets they could be of the other topic.
    table.put_back(vec![last]).await;
    let mut rewind = Rewind::new(&table.0, String::new());
    let refused = commit(&table.0, &ident(), &mut rewind, &LogWaiting).await;
    let words = refused.expect_err("rows would be there twice").to_string();
    assert!(words.contains("several jobs feed it"), "{words}");
    assert!(words.contains("Set `main` forwards again"), "{words}");
}
