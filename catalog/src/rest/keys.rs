//! Keys of changes (`Idempotency-Key` and `idempotency-key-lifetime` of the specification): a server that takes them makes
//! a change once, however often it is sent under one key.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use tabletopic_clock::{Clock, Entropy, Millis};
use uuid::Builder;

pub(super) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// See the module.
#[derive(Debug)]
pub(super) struct Keys {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    lifetime: Millis,
}

/// The key of one change.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) value: HeaderValue,
    /// When the server may forget it.
    ends: Millis,
}

impl Keys {
    /// `lifetime` is the server's.
    pub(super) fn new(lifetime: Millis, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            clock,
            entropy,
            lifetime,
        }
    }

    /// One that nothing had before: a UUID of version 7. `None` never is: any UUID can be a header.
    pub(super) fn next(&self) -> Option<Key> {
        let now = self.clock.now();
        let [high, low] = [self.entropy.next_u64(), self.entropy.next_u64()].map(u64::to_le_bytes);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&high);
        random[8..].copy_from_slice(&low[..2]);
        let key = Builder::from_unix_timestamp_millis(now.max(0) as u64, &random).into_uuid();
        Some(Key {
            value: HeaderValue::try_from(key.to_string()).ok()?,
            ends: now.saturating_add(self.lifetime),
        })
    }

    /// Whether the server still knows the key.
    pub(super) fn is_good(&self, key: &Key) -> bool {
        self.clock.now() < key.ends
    }
}

/// A duration of ISO 8601 in milliseconds, as far as its length is fixed: whole weeks, days, hours, minutes and seconds.
/// `None` for any other text.
pub(super) fn duration(text: &str) -> Option<Millis> {
    let text = text.strip_prefix('P')?;
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let days = seconds(date, &[('W', 604_800), ('D', 86_400)])?;
    let rest = seconds(time, &[('H', 3600), ('M', 60), ('S', 1)])?;
    Some(days.checked_add(rest)?.checked_mul(1000)?).filter(|millis| *millis > 0)
}

/// The sum of numbers that stand in front of their units, each of which is so many seconds, in this order.
fn seconds(mut text: &str, units: &[(char, Millis)]) -> Option<Millis> {
    let mut sum: Millis = 0;
    for (unit, length) in units {
        if let Some((number, rest)) = text.split_once(*unit) {
            let number: u32 = number.parse().ok()?;
            sum = sum.checked_add(Millis::from(number).checked_mul(*length)?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use tabletopic_clock::{ManualClock, SeededEntropy};
    use uuid::{Uuid, Version};

    use super::*;

    #[test]
    fn keys_are_uuids_of_version_7_that_are_good_for_a_while() {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let keys = Keys::new(1000, clock.clone(), Arc::new(SeededEntropy::new(1)));
        let (one, other) = (keys.next().unwrap(), keys.next().unwrap());
        assert_ne!(one.value, other.value);
        let uuid = Uuid::try_parse(one.value.to_str().unwrap()).unwrap();
        assert_eq!(uuid.get_version(), Some(Version::SortRand));
        assert_eq!(uuid.get_timestamp().unwrap().to_unix().0, 1_700_000_000);
        clock.advance(999);
        assert!(keys.is_good(&one));
        clock.advance(1);
        assert!(!keys.is_good(&one));
    }

    #[test]
    fn lifetimes_are_those_of_iso_8601() {
        for (text, expected) in [
            ("PT30M", Some(1_800_000)),
            ("PT24H", Some(86_400_000)),
            ("P1D", Some(86_400_000)),
            ("P1W", Some(604_800_000)),
            ("P1DT2H3M4S", Some(93_784_000)),
            ("PT4S", Some(4000)),
            ("PT0S", None),
            ("P1Y", None),
            ("PT1M2H", None),
            ("PT-5M", None),
            ("PT4294967296S", None),
            ("P4294967295WT4294967295H", Some(2_613_058_102_278_000_000)),
            ("30M", None),
            ("P", None),
            ("", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
    }
}
