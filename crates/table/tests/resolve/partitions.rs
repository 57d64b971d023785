//! A table whose `partition_by` was changed: what was cut under the older spec is committed under it, and a log that was
//! cut takes rows from files of both.

use std::collections::BTreeSet;

use tabletopic_table::commit::ChangePartitions;
use tabletopic_table::snapshot::live;

use crate::table::{Table, job, rows};

/// The specs that live files were written under.
async fn specs(table: &Table) -> BTreeSet<i32> {
    let base = table.base().await;
    let manifests = live::manifests(&table.0, base.metadata(), base.head().unwrap()).await;
    let mut specs = BTreeSet::new();
    for manifest in manifests.unwrap() {
        if !live::files(&table.0, &manifest).await.unwrap().is_empty() {
            specs.insert(manifest.partition_spec_id);
        }
    }
    specs
}

async fn offsets(table: &Table) -> Vec<i64> {
    let rows = table.rows().await;
    rows.keys().map(|place| place.expect("ours").1).collect()
}

#[tokio::test]
async fn what_was_cut_under_an_older_spec_stays_under_it() {
    let table = Table::new().await;
    let older = table.file("a", &rows(0, 0..10)).await;
    let unit = table.unit(&job(), vec![older], &[(0, 0, 10)]).await;

    let partition_by = ["truncate(50, region)".to_owned()];
    let mut change = ChangePartitions {
        lake: &table.0,
        partition_by: &partition_by,
    };
    let changed = table.commit(&mut change).await;
    assert_eq!(changed.base.metadata().default_partition_spec_id(), 1);
    let told = changed.base.state().unwrap().evolved.clone().unwrap();
    assert_eq!(
        (told.changes.as_slice(), told.cause),
        (&["partition by truncate(50, region)".to_owned()][..], None)
    );
    let again = table.commit(&mut change).await;
    assert!(again.snapshot.is_none(), "it is partitioned so already");

    table.append_units(&[unit]).await;
    let newer = table.file("a", &rows(0, 10..20)).await;
    table.append(vec![newer], &[(0, 10, 20)]).await;
    assert_eq!(specs(&table).await, [0, 1].into());
    assert_eq!(offsets(&table).await, (0..20).collect::<Vec<_>>());

    table.commit(&mut table.truncate(0, &[(0, 15)])).await;
    assert_eq!(specs(&table).await, [0, 1].into());
    assert_eq!(offsets(&table).await, (0..15).collect::<Vec<_>>());
    table.commit(&mut table.truncate(1, &[(0, 5)])).await;
    assert_eq!(specs(&table).await, [0].into());
    assert_eq!(offsets(&table).await, (0..5).collect::<Vec<_>>());
}
