//! What one round leaves to the next: which snapshot it may rest on. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::verify::{Conclusion, Name, Outcome, Verdict};

/// What a verdict is worth to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// All checks were made, and nothing is wrong.
    Proven,
    /// Nothing is wrong, and something was not checked, such as what only the broker can tell.
    Partly,
    Differs,
    /// The table stands still, and was not judged.
    Halted,
}

impl Came {
    pub fn of(verdict: &Verdict) -> Self {
        let unmade = verdict.checks.iter().any(|check| {
            let unasked = check.name == Name::Broker && check.counted.contains_key("not-asked");
            check.outcome == Outcome::NotChecked || unasked
        });
        match (verdict.conclusion, unmade) {
            (Conclusion::Proven, false) => Self::Proven,
            (Conclusion::Proven, true) => Self::Partly,
            (Conclusion::Differs, _) => Self::Differs,
            (Conclusion::Halted, _) => Self::Halted,
        }
    }
}

#[derive(Debug, Default)]
pub struct Known {
    /// The snapshot up to which all is proven.
    good: Option<i64>,
    /// When the whole table was judged last.
    whole: Option<Instant>,
}

impl Known {
    /// What the next round may rest on; `None`: nothing, the whole table is judged.
    pub fn since(&self, now: Instant, whole_every: Duration) -> Option<i64> {
        let fresh = self
            .whole
            .is_some_and(|at| now.saturating_duration_since(at) < whole_every);
        self.good.filter(|_| fresh)
    }

    /// A round that rested on `since` and began at `began`, when `newest` was our newest snapshot.
    pub fn came(&mut self, came: Came, newest: i64, since: Option<i64>, began: Instant) {
        match (came, since) {
            (Came::Proven, None) => (self.good, self.whole) = (Some(newest), Some(began)),
            (Came::Proven, Some(_)) => self.good = Some(newest),
            // What was not checked now has to be checked then.
            (Came::Partly, _) => self.good = None,
            // It is found again from where it was found.
            (Came::Differs, None) => self.good = None,
            (Came::Differs, Some(_)) | (Came::Halted, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn a_round_rests_on_what_the_last_one_found_good() {
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(known.since(now, DAY), None, "nothing is known at first");
        known.came(Came::Proven, 1, None, now);
        assert_eq!(known.since(now, DAY), Some(1));
        known.came(Came::Proven, 2, Some(1), now);
        assert_eq!(known.since(now, DAY), Some(2));
        assert_eq!(known.since(now + DAY, DAY), None, "older files are judged again");
        known.came(Came::Halted, 3, Some(2), now);
        assert_eq!(known.since(now, DAY), Some(2));
    }

    #[test]
    fn what_was_found_is_found_again() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.came(Came::Proven, 1, None, now);
        known.came(Came::Differs, 2, Some(1), now);
        assert_eq!(known.since(now, DAY), Some(1), "it is younger than that");
        known.came(Came::Differs, 3, None, now);
        assert_eq!(known.since(now, DAY), None, "it may be anywhere");
        known.came(Came::Differs, 4, None, now);
        assert_eq!(known.since(now, DAY), None);
    }

    #[test]
    fn what_was_not_checked_is_checked_later() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.came(Came::Proven, 1, None, now);
        known.came(Came::Partly, 2, Some(1), now);
        assert_eq!(known.since(now, DAY), None);
    }
}
