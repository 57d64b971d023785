//! A plot of the last hour, as SVG. It is stretched to its place, so that all its text is HTML beside it.

use std::fmt::Write;

use maud::{Markup, html};
use tabletopic_clock::Millis;

use crate::history::{EVERY, SAMPLES};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 40.0;
/// One column for three samples: the highest of them, so that no peak is lost.
const COLUMNS: usize = 120;
const HOUR: Millis = SAMPLES as Millis * EVERY.as_millis() as Millis;

/// What is drawn.
#[derive(Debug)]
pub struct Plot<'a> {
    pub name: &'a str,
    /// What the name says to somebody who points at it.
    pub meaning: &'a str,
    pub now: Millis,
    /// When, and how much: `None` leaves a gap.
    pub points: Vec<(Millis, Option<f64>)>,
    /// The top of the plot is never below this, so that what is small looks small.
    pub least_top: f64,
    /// The next larger value that is easy to read.
    pub round_up: fn(f64) -> f64,
    pub format: fn(f64) -> String,
}

impl Plot<'_> {
    pub fn draw(&self) -> Markup {
        let columns = self.columns();
        let highest = columns.iter().flatten().copied().fold(0.0, f64::max);
        let top = (self.round_up)(highest.max(self.least_top));
        let (line, area) = paths(&columns, top);
        let known = columns.iter().flatten().next().is_some();
        let said = match known {
            true => format!("highest {}", (self.format)(highest)),
            false => "not known yet".to_owned(),
        };
        html! {
            figure.plot {
                figcaption {
                    span title=(self.meaning) { (self.name) }
                    span.top { (said) }
                }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                    aria-label={ (self.name) ", " (said) } {
                    @for quarter in 1..4 {
                        path.grid d={ "M" (WIDTH / 4.0 * f64::from(quarter)) " 0V" (HEIGHT) } {}
                    }
                    path.grid d={ "M0 0H" (WIDTH) } {}
                    path.base d={ "M0 " (HEIGHT) "H" (WIDTH) } {}
                    path.area d=(area) {}
                    path.line d=(line) {}
                }
                div.scale { (if known { (self.format)(top) } else { String::new() }) }
                div.axis { span { "1 h ago" } span { "30 min" } span { "now" } }
            }
        }
    }

    /// The highest value of each column, the oldest first.
    fn columns(&self) -> Vec<Option<f64>> {
        let mut columns = vec![None; COLUMNS];
        for (at, value) in &self.points {
            // A column ends with its last moment, so that now is in the last one.
            let index = ((HOUR - (self.now - at)) * COLUMNS as Millis - 1).div_euclid(HOUR);
            if let (Some(value), Ok(index)) = (value, usize::try_from(index))
                && let Some(column) = columns.get_mut(index)
            {
                *column = Some(column.map_or(*value, |highest: f64| highest.max(*value)));
            }
        }
        columns
    }
}

/// The line, and what is below it. A column without a value interrupts both.
fn paths(columns: &[Option<f64>], top: f64) -> (String, String) {
    let (mut line, mut area) = (String::new(), String::new());
    let step = WIDTH / COLUMNS as f64;
    for run in runs(columns) {
        let (from, to) = (run.start as f64 * step, run.end as f64 * step);
        let height = |column: usize| {
            let value = columns.get(column).copied().flatten().unwrap_or(0.0);
            HEIGHT - (value / top * HEIGHT).min(HEIGHT)
        };
        for column in run.clone() {
            let command = if column == run.start { 'M' } else { 'L' };
            let x = from + (column - run.start) as f64 * step;
            // Writing to a `String` cannot fail.
            let _ = write!(line, "{command}{x:.1} {:.1}", height(column));
        }
        let _ = write!(line, "L{to:.1} {:.1}", height(run.end - 1));
        let steps = (run.clone()).map(|column| format!("L{:.1} {:.1}", column as f64 * step, height(column)));
        let _ = write!(
            area,
            "M{from:.1} {HEIGHT}{}L{to:.1} {:.1}V{HEIGHT}Z",
            steps.collect::<String>(),
            height(run.end - 1)
        );
    }
    (line, area)
}

/// Columns with values, without those that have none between them.
fn runs(columns: &[Option<f64>]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (index, _) in columns.iter().enumerate().filter(|(_, column)| column.is_some()) {
        match runs.last_mut() {
            Some(run) if run.end == index => run.end = index + 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

/// Seconds as they stand on a clock: one minute, two, five, and so on up to whole days.
pub fn round_up_seconds(value: f64) -> f64 {
    const MINUTES: [f64; 14] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 240.0, 480.0, 720.0, 1440.0,
    ];
    let top = MINUTES
        .into_iter()
        .map(|minutes| minutes * 60.0)
        .find(|top| *top >= value);
    top.unwrap_or_else(|| (value / 86_400.0).ceil() * 86_400.0)
}

/// A digit or two, and zeros.
pub fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.max(1.0).log10().floor());
    let steps = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps
        .map(|step| step * power)
        .into_iter()
        .find(|top| *top >= value)
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(Millis, Option<f64>)>) -> String {
        let plot = Plot {
            name: "lag",
            meaning: "records",
            now: 3_600_000,
            points,
            least_top: 10.0,
            round_up,
            format: |value| format!("{value}"),
        };
        plot.draw().into_string()
    }

    #[test]
    fn the_top_is_round_and_no_lower_than_asked() {
        for (value, top) in [
            (0.0, 1.0),
            (1.0, 1.0),
            (3.5, 4.0),
            (7.0, 8.0),
            (10.0, 10.0),
            (1_234.0, 1_500.0),
        ] {
            assert_eq!(round_up(value), top);
        }
        for (value, top) in [
            (0.0, 60.0),
            (61.0, 120.0),
            (1_900.0, 2_700.0),
            (86_401.0, 172_800.0),
        ] {
            assert_eq!(round_up_seconds(value), top);
        }
        assert!(plot(vec![(3_600_000, Some(3.0))]).contains("<div class=\"scale\">10</div>"));
    }

    #[test]
    fn a_gap_interrupts_the_line_and_a_peak_is_kept() {
        let minute = |minute: i64, value| (3_600_000 - minute * 60_000, value);
        let svg = plot(vec![
            minute(59, Some(1.0)),
            minute(30, None),
            minute(1, Some(80.0)),
            minute(1, Some(2.0)),
            (3_600_000, Some(3.0)),
        ]);
        let (_, line) = svg.split_once("class=\"line\" d=\"").unwrap();
        let (line, _) = line.split_once('"').unwrap();
        assert_eq!(
            line,
            "M1.0 39.5L2.0 39.5M117.0 0.0L118.0 0.0M119.0 38.5L120.0 38.5"
        );
        assert!(svg.contains("highest 80"), "{svg}");
    }

    #[test]
    fn what_is_older_than_an_hour_or_unknown_is_not_drawn() {
        let svg = plot(vec![(-60_000, Some(80.0)), (3_600_000, None)]);
        assert!(
            svg.contains("not known yet") && svg.contains("class=\"line\" d=\"\""),
            "{svg}"
        );
    }
}
