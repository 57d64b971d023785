//! Dates and times from text and numbers, as microseconds. Nothing below a microsecond disappears
//! unless the settings say so.

use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use arrow::datatypes::{Date32Type, Time64NanosecondType};

use super::number::{self, Misfit};
use crate::bad::Reason;
use crate::settings::{Nanos, TimestampUnit};

/// Whether the text of a timestamp may, or may not, end in a zone.
#[derive(Debug, Clone, Copy)]
pub(super) enum Zone {
    /// `timestamptz`: text without a zone is UTC.
    Known(Tz),
    /// `timestamp`: a wall clock; a zone would have to be thrown away, so it is refused.
    Wall(Tz),
}

type Parsed<T> = Result<T, (Reason, &'static str)>;

const TOO_FINE: (Reason, &str) = (Reason::OutOfRange, "digits below a microsecond (see `nanos`)");

/// `YYYY-MM-DD[(T| )HH:MM:SS[.fraction][zone]]`, where zone is `Z` or `+HH:MM`.
pub(super) fn timestamp(text: &str, zone: Zone, nanos: Nanos) -> Parsed<i64> {
    let (tz, has_zone_in_vain) = match zone {
        Zone::Known(tz) => (tz, false),
        Zone::Wall(tz) => (
            tz,
            text.bytes()
                .skip(19)
                .any(|byte| !byte.is_ascii_digit() && byte != b'.'),
        ),
    };
    if has_zone_in_vain {
        return Err((
            Reason::InvalidValue,
            "a column without time zone takes no zone: use timestamptz",
        ));
    }
    let time = string_to_datetime(&tz, text).map_err(|_| {
        (
            Reason::InvalidValue,
            "expected an RFC 3339 timestamp, as 2026-01-31T09:26:56.123Z",
        )
    })?;
    if nanos == Nanos::Refuse && text.get(19..).is_some_and(below_micros) {
        return Err(TOO_FINE);
    }
    Ok(time.timestamp_micros())
}

/// A JSON number of `unit`s since the Unix epoch; it may have a fraction.
pub(super) fn epoch(number: &[u8], unit: TimestampUnit, nanos: Nanos) -> Parsed<i64> {
    let scale = digits_to_micros(unit);
    let finest = match nanos {
        Nanos::Refuse => number::decimal(number, 38, scale),
        // Three digits more are read, then cut off.
        Nanos::Truncate => number::decimal(number, 38, scale + 3).map(|nanos| nanos.div_euclid(1_000)),
    };
    match finest {
        Ok(micros) => {
            i64::try_from(micros).map_err(|_| (Reason::OutOfRange, "beyond 64 bits of microseconds"))
        }
        Err(Misfit::TooFine) => Err(TOO_FINE),
        Err(Misfit::TooLarge { .. }) => Err((Reason::OutOfRange, "beyond 64 bits of microseconds")),
        Err(Misfit::NotANumber) => Err((Reason::InvalidValue, "not a number")),
    }
}

fn digits_to_micros(unit: TimestampUnit) -> u32 {
    match unit {
        TimestampUnit::S => 6,
        TimestampUnit::Ms => 3,
        TimestampUnit::Us => 0,
    }
}

/// `YYYY-MM-DD`, as days since the Unix epoch.
pub(super) fn date(text: &str) -> Parsed<i32> {
    let shaped = matches!(text.as_bytes(), [b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _]);
    let days = if shaped { Date32Type::parse(text) } else { None };
    days.ok_or((Reason::InvalidValue, "expected a date, as 2026-01-31"))
}

/// `HH:MM:SS[.fraction]`, as microseconds since midnight.
pub(super) fn time_of_day(text: &str, nanos: Nanos) -> Parsed<i64> {
    let shaped = match text.as_bytes() {
        [
            b'0'..=b'9',
            b'0'..=b'9',
            b':',
            _,
            _,
            b':',
            b'0'..=b'9',
            b'0'..=b'9',
            rest @ ..,
        ] => match rest {
            [] => true,
            [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        },
        _ => false,
    };
    let time = if shaped {
        Time64NanosecondType::parse(text)
    } else {
        None
    };
    // A leap second would be the next day's first.
    let time = time.filter(|nanos| *nanos < 86_400_000_000_000);
    let time = time.ok_or((Reason::InvalidValue, "expected a time of day, as 09:26:56.123"))?;
    if nanos == Nanos::Refuse && text.get(8..).is_some_and(below_micros) {
        return Err(TOO_FINE);
    }
    Ok(time / 1_000)
}

/// Whether `rest`, what stands behind the seconds, has a digit other than 0 below a microsecond.
fn below_micros(rest: &str) -> bool {
    rest.starts_with('.')
        && rest
            .bytes()
            .skip(7)
            .take_while(u8::is_ascii_digit)
            .any(|digit| digit != b'0')
}
