//! Numbers from their digits. Decimals are exact: no way leads through a floating-point number.

/// Decimal digits that fit an `i64` whatever they are.
const MOST_IN_LONG: usize = 18;

/// Why digits are not a value of a `decimal(precision, scale)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// Not written as JSON writes a number.
    NotANumber,
    /// More digits behind the point than the scale has; cutting them off would change the value.
    TooFine,
    /// Needs this precision at the same scale.
    TooLarge { needed: u32 },
}

/// A number in JSON's grammar, rounded to the nearest `double`; `None` for what is not one, or beyond its range.
pub(super) fn double(text: &str) -> Option<f64> {
    Digits::parse(text.as_bytes())?;
    text.parse().ok().filter(|double: &f64| double.is_finite())
}

/// A number in JSON's grammar, as the unscaled value at `scale`, if it has at most `precision` digits.
pub(super) fn decimal(text: &[u8], precision: u32, scale: u32) -> Result<i128, Misfit> {
    let number = Digits::parse(text).ok_or(Misfit::NotANumber)?;
    if let Some(unscaled) = number.short(precision, scale) {
        return Ok(unscaled);
    }
    let Some((first, last)) = number.significant() else {
        return Ok(0);
    };
    // Powers of ten of the first and the last digit that is not zero, relative to the unscaled value.
    let top = number.power(first).saturating_add(i64::from(scale));
    let bottom = number.power(last).saturating_add(i64::from(scale));
    if bottom < 0 {
        return Err(Misfit::TooFine);
    }
    if top >= i64::from(precision) {
        let needed = u32::try_from(top.saturating_add(1)).unwrap_or(u32::MAX);
        return Err(Misfit::TooLarge { needed });
    }
    let digits = (first..=last).fold(0i128, |value, i| value * 10 + i128::from(number.digit(i)));
    let unscaled = digits * 10i128.pow(bottom as u32);
    Ok(if number.negative { -unscaled } else { unscaled })
}

/// The parts of a JSON number.
struct Digits<'t> {
    negative: bool,
    whole: &'t [u8],
    fraction: &'t [u8],
    exponent: i64,
}

impl<'t> Digits<'t> {
    fn parse(text: &'t [u8]) -> Option<Self> {
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (whole, rest) = run(rest);
        if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => match run(rest) {
                ([], _) => return None,
                run => run,
            },
            rest => (&[][..], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => {
                let (sign, rest) = match rest {
                    [b'-', rest @ ..] => (-1, rest),
                    [b'+', rest @ ..] => (1, rest),
                    rest => (1, rest),
                };
                let (digits, []) = run(rest) else { return None };
                if digits.is_empty() {
                    return None;
                }
                let add =
                    |value: i64, digit: &u8| value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
                sign * digits.iter().fold(0, add)
            }
            _ => return None,
        };
        Some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    /// The unscaled value, of a number that is easy: few digits, none of them beyond the scale, and no exponent.
    fn short(&self, precision: u32, scale: u32) -> Option<i128> {
        let digits = self.whole.len() + self.fraction.len();
        if digits > MOST_IN_LONG || self.exponent != 0 {
            return None;
        }
        let missing = scale.checked_sub(self.fraction.len() as u32)?;
        if digits as u32 + missing > precision {
            return None;
        }
        let digits = self.whole.iter().chain(self.fraction);
        let value = digits.fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        let value = if self.negative { -value } else { value };
        Some(i128::from(value) * 10i128.pow(missing))
    }

    fn digit(&self, i: usize) -> u8 {
        let digit = if i < self.whole.len() {
            self.whole[i]
        } else {
            self.fraction[i - self.whole.len()]
        };
        digit - b'0'
    }

    /// The first and the last digit that is not zero.
    fn significant(&self) -> Option<(usize, usize)> {
        let mut digits = 0..self.whole.len() + self.fraction.len();
        let first = digits.clone().find(|&i| self.digit(i) != 0)?;
        Some((first, digits.rfind(|&i| self.digit(i) != 0)?))
    }

    /// The power of ten that digit `i` counts.
    fn power(&self, i: usize) -> i64 {
        (self.whole.len() as i64 - 1 - i as i64).saturating_add(self.exponent)
    }
}

/// The leading ASCII digits, and the rest.
fn run(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(
        text.iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::Misfit::{NotANumber, TooFine, TooLarge};
    use super::decimal;

    #[test]
    fn digits_stay_exact() {
        let cases: [(&str, u32, u32, Result<i128, _>); 19] = [
            ("0", 1, 0, Ok(0)),
            ("-0.000", 1, 0, Ok(0)),
            ("0e999999999999999999999", 1, 0, Ok(0)),
            ("1.5", 3, 2, Ok(150)),
            ("-1.50", 3, 2, Ok(-150)),
            ("1.500", 3, 2, Ok(150)),
            ("1e2", 3, 0, Ok(100)),
            ("12.5e-1", 3, 2, Ok(125)),
            ("0.1", 38, 38, Ok(10i128.pow(37))),
            (
                "99999999999999999999999999999999999999",
                38,
                0,
                Ok(10i128.pow(38) - 1),
            ),
            (
                "100000000000000000000000000000000000000",
                38,
                0,
                Err(TooLarge { needed: 39 }),
            ),
            ("1000", 3, 0, Err(TooLarge { needed: 4 })),
            ("1.555", 5, 2, Err(TooFine)),
            ("1e-99999999999999999999", 5, 2, Err(TooFine)),
            ("1e99999999999999999999", 5, 2, Err(TooLarge { needed: u32::MAX })),
            ("", 5, 2, Err(NotANumber)),
            ("01", 5, 2, Err(NotANumber)),
            ("1.", 5, 2, Err(NotANumber)),
            ("+1", 5, 2, Err(NotANumber)),
        ];
        for (text, precision, scale, expected) in cases {
            assert_eq!(
                decimal(text.as_bytes(), precision, scale),
                expected,
                "{text} ({precision},{scale})"
            );
        }
    }
}
