//! As many rows as were counted, by count and by the sum of their offsets; and if there are fewer, whether somebody else
//! has deleted them on purpose.

use std::collections::BTreeMap;

use tabletopic_offsets::TableState;
use tabletopic_table::rows::Held;

use super::deleted::Deleted;
use super::verdict::{Finding, Findings};

/// What was counted, by topic partition number.
pub type Counted = BTreeMap<i32, Held>;

/// What is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missing {
    /// Besides what retention removed.
    pub rows: u64,
    /// Of these, those that somebody deleted.
    pub deleted: u64,
    pub retired: u64,
}

/// How many rows are missing, all topic partitions together.
pub fn missing(expected: &Counted, found: &Counted) -> u64 {
    let of = |(number, expected): (&i32, &Held)| {
        let found = found.get(number).map_or(0, |held| held.rows);
        expected.rows.saturating_sub(found)
    };
    expected.iter().map(of).fold(0, u64::saturating_add)
}

/// Compares both. `deleted` is what others have removed; `retired`, what retention may have removed of these
/// rows, by partition number.
pub fn compare(
    state: &TableState,
    expected: &Counted,
    found: &Counted,
    deleted: &Deleted,
    retired: &BTreeMap<i32, u64>,
) -> (Missing, Findings) {
    let mut findings = Findings::default();
    let numbers: std::collections::BTreeSet<i32> = expected.keys().chain(found.keys()).copied().collect();
    let by_retention = |number: i32| {
        let rows = |held: &Counted| held.get(&number).map_or(0, |held| held.rows);
        let fewer = rows(expected).saturating_sub(rows(found));
        fewer.min(retired.get(&number).copied().unwrap_or_default())
    };
    let retired: u64 = numbers.iter().map(|number| by_retention(*number)).sum();
    let all = missing(expected, found).saturating_sub(retired);
    let allowed = deleted.rows();
    let on_purpose = all <= allowed;
    for number in numbers {
        let of = |held: &Counted| held.get(&number).copied().unwrap_or_default();
        let (expected, found) = (of(expected), of(found));
        let name = named(state, number);
        let finding = |kind, says: String| Finding::failed(kind, says).of(None, number);
        if found.rows > expected.rows {
            let more = found.rows - expected.rows;
            let says = format!(
                "{name}: {} rows are there, {more} more than were counted",
                found.rows
            );
            findings.add_many(finding("more", says), more);
        } else if found.rows < expected.rows && !on_purpose {
            let of_number = by_retention(number);
            let fewer = expected.rows - found.rows - of_number;
            let mut says = format!(
                "{name}: {} rows are there, {fewer} fewer than were counted",
                found.rows
            );
            if of_number > 0 {
                says += &format!(", besides {of_number} that retention has removed");
            }
            findings.add_many(finding("fewer", says), fewer);
        } else if found.rows == expected.rows && found.offset_sum != expected.offset_sum {
            let says = format!(
                "{name}: there are as many rows as were counted, and their offsets add up to {} in the place of {}: they \
                 are others",
                found.offset_sum, expected.offset_sum
            );
            findings.add(finding("other-rows", says));
        }
    }
    if all > 0 {
        for (note, rows) in deleted.notes() {
            findings.add_many(note, rows);
        }
    }
    if all > allowed && allowed > 0 {
        let says = format!(
            "of {all} rows that are missing, others have deleted {allowed}, and nobody knows of the rest"
        );
        findings.add(Finding::failed("unexplained", says));
    }
    let missing = Missing {
        rows: all,
        deleted: all.min(allowed),
        retired,
    };
    (missing, findings)
}

/// The topic partitions of a number.
fn named(state: &TableState, number: i32) -> String {
    let jobs = state
        .jobs
        .values()
        .filter(|job| job.partitions.contains_key(&number));
    let names: Vec<String> = jobs.map(|job| job.topic_partition(number).to_string()).collect();
    match names.is_empty() {
        true => format!("partition {number}, which nothing feeds"),
        false => names.join(" and "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::verdict::{Check, Name, Outcome};

    fn held(rows: u64, offset_sum: u64) -> Counted {
        BTreeMap::from([(0, Held { rows, offset_sum })])
    }

    fn judged(expected: &Counted, found: &Counted, deleted: &Deleted) -> (Outcome, String) {
        let (_, findings) = compare(&TableState::empty(), expected, found, deleted, &BTreeMap::new());
        let check = Check::of(Name::Rows, "", findings);
        (check.outcome, check.says)
    }

    #[test]
    fn fewer_more_and_other_rows_are_told() {
        let none = Deleted::default();
        assert_eq!(judged(&held(10, 45), &held(10, 45), &none).0, Outcome::Ok);
        assert_eq!(judged(&held(10, 45), &held(8, 30), &none).1, "fewer: 2");
        assert_eq!(judged(&held(10, 45), &held(11, 46), &none).1, "more: 1");
        assert_eq!(judged(&held(10, 45), &held(10, 46), &none).1, "other-rows: 1");
        assert_eq!(judged(&held(10, 45), &Counted::new(), &none).1, "fewer: 10");
    }

    #[test]
    fn what_retention_removed_of_one_partition_excuses_none_of_another() {
        let ten = Held {
            rows: 10,
            offset_sum: 45,
        };
        let expected = Counted::from([(0, ten), (1, ten)]);
        let judged = |found: &Counted| {
            let retired = BTreeMap::from([(0, 4)]);
            let none = Deleted::default();
            let (missing, findings) = compare(&TableState::empty(), &expected, found, &none, &retired);
            (missing, Check::of(Name::Rows, "", findings).says)
        };
        let six = Held {
            rows: 6,
            offset_sum: 39,
        };
        let (missing, says) = judged(&Counted::from([(0, six), (1, ten)]));
        assert_eq!((missing.rows, missing.retired, says.as_str()), (0, 4, ""));
        let (missing, says) = judged(&Counted::from([(0, ten), (1, six)]));
        assert_eq!((missing.rows, missing.retired, says.as_str()), (4, 0, "fewer: 4"));
    }

    #[test]
    fn rows_that_others_deleted_are_a_note_as_far_as_they_go() {
        let two = Deleted::of_live_deletes(2);
        assert_eq!(judged(&held(10, 45), &held(8, 30), &two).0, Outcome::Note);
        let (outcome, says) = judged(&held(10, 45), &held(7, 20), &two);
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(says, "deleted-by-others: 2, fewer: 3, unexplained: 1");
    }
}
