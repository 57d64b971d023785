//! A repair in words.

use tabletopic_ingest::resolve::Files;
use tabletopic_ingest::resolve::repair::Repaired;
use tabletopic_offsets::{Counts, RangeSet};

/// Ranges of offsets that a line names.
const NAMED: usize = 5;

/// What is swapped, a line for each topic partition.
pub fn of_swaps(heading: &str, repaired: &Repaired) -> String {
    let mut text = format!("{heading}\n");
    for swap in &repaired.swaps {
        text += &format!(
            "  {}, offsets {}: {} become {}\n",
            swap.topic_partition,
            swap.range,
            counted(swap.before),
            counted(swap.after)
        );
        text += &beside(&swap.beside);
    }
    let Files { removed, written } = repaired.files;
    text += &match (removed, repaired.snapshot) {
        (0, _) => String::new(),
        (_, None) => {
            format!("  data files: {removed} go, {written} of them are written again without these rows\n")
        }
        (_, Some(_)) => format!("  data files: {removed} removed, {written} added\n"),
    };
    text
}

/// Rows of others, which no record accounts for.
fn beside(offsets: &RangeSet) -> String {
    if offsets.is_empty() {
        return String::new();
    }
    let more = offsets.ranges().len().saturating_sub(NAMED);
    let named: RangeSet = offsets.ranges().iter().take(NAMED).copied().collect();
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "  at {named}{more} are rows of no record that was counted, which another writer has put there: they go\n"
    )
}

fn counted(counts: Counts) -> String {
    let mut parts = vec![format!("{} rows", counts.rows)];
    let others = [
        (counts.dead_letters, "dead letters"),
        (counts.filtered, "left out"),
        (counts.lost, "declared lost"),
    ];
    parts.extend(
        others
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{number} {what}")),
    );
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use tabletopic_ingest::resolve::repair::Swap;
    use tabletopic_offsets::{OffsetRange, TopicPartition};

    use super::*;

    #[test]
    fn what_becomes_of_what_is_said() {
        let repaired = Repaired {
            swaps: vec![Swap {
                topic_partition: TopicPartition::new("orders", 3),
                range: OffsetRange::new(10, 20),
                before: Counts {
                    dead_letters: 2,
                    lost: 1,
                    ..Counts::of_rows(7, 0)
                },
                after: Counts::of_rows(10, 0),
                beside: [OffsetRange::new(12, 13)].into_iter().collect(),
            }],
            lacked: false,
            files: Files {
                removed: 3,
                written: 2,
            },
            snapshot: None,
        };
        assert_eq!(
            of_swaps("what this does:", &repaired),
            "what this does:\n  orders/3, offsets [10, 20): 7 rows, 2 dead letters, 1 declared lost become 10 rows\n  \
             at [12, 13) are rows of no record that was counted, which another writer has put there: they go\n  \
             data files: 3 go, 2 of them are written again without these rows\n"
        );
    }
}
