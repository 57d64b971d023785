//! What the last minutes of a job say about the next ones.

use crate::history::Point;

/// The minutes that are looked at: several commits of the usual interval, since lag falls with each commit and grows
/// between two.
const WINDOW: f64 = 300.0;
/// Less than this is no trend.
const LEAST: f64 = 60.0;
/// A change of the peaks by less than this share is none.
const NOISE: f64 = 0.05;

/// See the module. `None` where the history is too short to tell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Trend {
    /// Records a second that came into the table.
    pub rate: Option<f64>,
    pub lag: Option<Course>,
}

/// Where the lag goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Course {
    Growing,
    Level,
    /// It is gone in so many seconds if it goes on like this.
    Shrinking {
        seconds_left: f64,
    },
}

impl Trend {
    /// `points` oldest first.
    pub fn of<'h>(points: impl DoubleEndedIterator<Item = &'h Point> + Clone) -> Self {
        let Some(last) = points.clone().next_back() else {
            return Self::default();
        };
        let age = |point: &Point| (last.at - point.at) as f64 / 1000.0;
        let window: Vec<&Point> = points.filter(|point| age(point) <= WINDOW).collect();
        Self {
            rate: rate(&window, last, age),
            lag: course(&window, last, age),
        }
    }
}

fn rate(window: &[&Point], last: &Point, age: impl Fn(&Point) -> f64) -> Option<f64> {
    // Partitions that were added or first seen begin at an offset, which nobody read just now.
    let first = window
        .iter()
        .find(|point| point.read.1 == last.read.1 && point.read.1 > 0)?;
    let (seconds, records) = (age(first), last.read.0 - first.read.0);
    // Going back is an answer to a halt, not a rate.
    (seconds >= LEAST && records >= 0).then(|| records as f64 / seconds)
}

/// Compares the highest lag of the older half with that of the newer one.
fn course(window: &[&Point], last: &Point, age: impl Fn(&Point) -> f64) -> Option<Course> {
    let span = age(window.first()?);
    let half = span / 2.0;
    let peak = |newer: bool| {
        let lags = window.iter().filter(|point| (age(point) <= half) == newer);
        lags.filter_map(|point| point.lag).max().map(|lag| lag as f64)
    };
    let (before, after, now) = (peak(false)?, peak(true)?, last.lag? as f64);
    if span < LEAST {
        return None;
    }
    Some(if after > before * (1.0 + NOISE) {
        Course::Growing
    } else if after < before * (1.0 - NOISE) {
        Course::Shrinking {
            seconds_left: now / ((before - after) / half),
        }
    } else {
        Course::Level
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A point every ten seconds; the lag at each.
    fn trend(lags: &[u64]) -> Trend {
        let points: Vec<Point> = lags
            .iter()
            .enumerate()
            .map(|(number, lag)| Point {
                at: number as i64 * 10_000,
                lag: Some(*lag),
                freshness: None,
                read: (number as i64 * 5_000, 4),
            })
            .collect();
        Trend::of(points.iter())
    }

    #[test]
    fn the_rate_is_what_came_into_the_table() {
        assert_eq!(trend(&[0; 31]).rate, Some(500.0));
        assert_eq!(trend(&[0; 6]).rate, None, "50 s are too few");
        assert_eq!(trend(&[]), Trend::default());
    }

    #[test]
    fn partitions_that_are_seen_for_the_first_time_are_no_rate() {
        let point = |at, read| Point {
            at,
            lag: None,
            freshness: None,
            read,
        };
        let points = [
            point(0, (100, 1)),
            point(60_000, (9_000_100, 2)),
            point(120_000, (9_000_700, 2)),
        ];
        assert_eq!(Trend::of(points.iter()).rate, Some(10.0));
    }

    #[test]
    fn lag_that_every_commit_takes_away_is_level() {
        let saw: Vec<u64> = (0..31).map(|number| number % 6 * 1000).collect();
        assert_eq!(trend(&saw).lag, Some(Course::Level));
    }

    #[test]
    fn lag_grows_or_will_be_gone() {
        let growing: Vec<u64> = (0..31).map(|number| number * 1000).collect();
        assert_eq!(trend(&growing).lag, Some(Course::Growing));
        // 100 a second less, 1,000 left.
        let shrinking: Vec<u64> = (0..31).rev().map(|number| 1000 + number * 1000).collect();
        let Some(Course::Shrinking { seconds_left }) = trend(&shrinking).lag else {
            panic!("{:?}", trend(&shrinking))
        };
        assert!((9.0..=11.0).contains(&seconds_left), "{seconds_left}");
    }
}
