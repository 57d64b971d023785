//! Numbers, lengths of time and moments as people read them, with the exact value for whoever points at one.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use tabletopic_clock::Millis;

/// `340`, `12,034`, `12.3 million`.
pub fn count(number: u64) -> String {
    const LARGE: [(u64, &str); 3] = [
        (1_000_000_000_000, "trillion"),
        (1_000_000_000, "billion"),
        (10_000_000, "million"),
    ];
    match LARGE.iter().find(|(from, _)| number >= *from) {
        Some((10_000_000, word)) => format!("{} {word}", three_digits(number as f64 / 1e6)),
        Some((one, word)) => format!("{} {word}", three_digits(number as f64 / *one as f64)),
        None => grouped(number),
    }
}

/// `1.23`, `12.3`, `123`, `20`.
fn three_digits(value: f64) -> String {
    let decimals = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// With a comma between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count, and all its digits.
pub fn exact(number: u64) -> Markup {
    html! { span title=(grouped(number)) { (count(number)) } }
}

/// `1 partition`, `3 partitions`.
pub fn counted(number: usize, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{} {one}s", count(number as u64)),
    }
}

/// `512 B`, `12.0 KiB`, `3.4 GiB`.
pub fn bytes(number: u64) -> String {
    let mut value = number as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    if unit == "B" {
        format!("{number} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// A length of time in its two largest units: `0 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `6 d 23 h`.
pub fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let parts = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let largest = parts.iter().position(|(size, _)| seconds >= *size).unwrap_or(3);
    let mut rest = seconds;
    let mut text = Vec::new();
    for (size, unit) in parts.iter().skip(largest).take(2) {
        if rest >= *size || text.is_empty() {
            text.push(format!("{} {unit}", rest / size));
        }
        rest %= size;
    }
    text.join(" ")
}

/// A length of time in its largest unit, for what is not that exact: `12 s`, `3 min`, `2 h`, `6 d`.
pub fn about(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    match seconds {
        _ if seconds < 60.0 => format!("{seconds:.0} s"),
        _ if seconds < 3_600.0 => format!("{:.0} min", seconds / 60.0),
        _ if seconds < 48.0 * 3_600.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// `12 s ago`, with the moment itself.
pub fn ago(now: Millis, at: Millis) -> Markup {
    let text = format!("{} ago", span((now - at) as f64 / 1000.0));
    moment(at, &text)
}

/// The time of day, with the date.
pub fn clock(at: Millis) -> Markup {
    let text = DateTime::<Utc>::from_timestamp_millis(at)
        .map_or("?".to_owned(), |at| at.format("%H:%M:%S UTC").to_string());
    moment(at, &text)
}

fn moment(at: Millis, text: &str) -> Markup {
    match DateTime::<Utc>::from_timestamp_millis(at) {
        Some(at) => html! {
            time datetime=(at.format("%Y-%m-%dT%H:%M:%SZ")) title=(at.format("%Y-%m-%d %H:%M:%S UTC")) { (text) }
        },
        None => html! { (text) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators_or_words() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (12_034, "12,034"),
            (9_999_999, "9,999,999"),
            (12_345_678, "12.3 million"),
            (1_234_567_890, "1.23 billion"),
            (20_000_000, "20 million"),
            (2_500_000_000_000, "2.5 trillion"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn lengths_of_time_have_two_units_at_most() {
        for (seconds, text) in [
            (-3.0, "0 s"),
            (0.4, "0 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (200.0, "3 min 20 s"),
            (7_500.0, "2 h 5 min"),
            (3_605.0, "1 h"),
            (601_200.0, "6 d 23 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(12 * 1024), "12.0 KiB");
        assert_eq!(bytes(3_650_722_202), "3.4 GiB");
    }

    #[test]
    fn a_moment_carries_its_date() {
        assert_eq!(
            ago(1_767_225_612_000, 1_767_225_600_000).into_string(),
            "<time datetime=\"2026-01-01T00:00:00Z\" title=\"2026-01-01 00:00:00 UTC\">12 s ago</time>"
        );
    }
}
