//! The quick way through a record that is plain: one flat object of text without escapes, `true`, `false`, `null` and
//! numbers, as most records of most topics are. On bids it takes a quarter less time than the reader for everything.
//!
//! A record is scanned first and appended only when all of it was understood. Whatever gives cause for doubt, a fault
//! above all, is read again by jiter: only there are faults told apart, and what is refused here was never appended.

use memchr::memchr;

/// What a column takes from a plain record. Text is where it stands in the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Plain {
    Absent,
    Null,
    Boolean(bool),
    Long(i64),
    Double(f64),
    /// Unscaled, the bytes of an `i128`: as one it would need room that no other value does.
    Decimal([u8; 16]),
    Text(Span),
}

/// A piece of the record's text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

impl Span {
    pub fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}

/// One value of the text, before a column has looked at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Null,
    Boolean(bool),
    Integer(i64, Span),
    /// A number with a fraction, an exponent or many digits, as far as its characters tell; also -0.
    Number(Span),
    Text(Span),
}

/// The most digits of an integer read here: they fit an `i64` whatever they are.
const DIGITS: usize = 18;

/// Reads from the front of a record. Every method returns `None` at what is not plain.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    /// `None` also for bytes that are not UTF-8, and for escapes and control characters wherever they stand: without
    /// them a string ends at the next quote.
    pub fn new(value: &'t [u8]) -> Option<Self> {
        let doubtful = value.iter().fold(false, |doubtful, byte| {
            doubtful | (*byte < b' ') | (*byte == b'\\')
        });
        match std::str::from_utf8(value) {
            Ok(text) if !doubtful => Some(Self { text, at: 0 }),
            _ => None,
        }
    }

    pub fn begin(&mut self) -> Option<()> {
        self.space();
        self.take(b'{')
    }

    /// The object's end, and the record's.
    pub fn end(&mut self) -> Option<()> {
        self.take(b'}')?;
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    /// Goes on to the next field.
    pub fn comma(&mut self) -> Option<()> {
        self.take(b',')
    }

    /// A key with its colon. `expected`, in its quotes, is the one that mostly comes; empty for none.
    pub fn key(&mut self, expected: &[u8]) -> Option<Key<'t>> {
        self.space();
        let key = if !expected.is_empty() && self.rest().starts_with(expected) {
            self.at += expected.len();
            Key::Expected
        } else {
            Key::Other(self.string()?.of(self.text))
        };
        self.space();
        self.take(b':')?;
        Some(key)
    }

    /// A value, and the space behind it.
    pub fn scalar(&mut self) -> Option<Scalar> {
        self.space();
        let scalar = match self.rest().first()? {
            b'"' => Scalar::Text(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word("true", Scalar::Boolean(true))?,
            b'f' => self.word("false", Scalar::Boolean(false))?,
            b'n' => self.word("null", Scalar::Null)?,
            _ => return None,
        };
        self.space();
        Some(scalar)
    }

    pub fn text(&self) -> &'t str {
        self.text
    }

    fn rest(&self) -> &'t [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn space(&mut self) {
        while self.rest().first() == Some(&b' ') {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.rest().first() == Some(&byte)).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str, scalar: Scalar) -> Option<Scalar> {
        self.rest().starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            scalar
        })
    }

    fn string(&mut self) -> Option<Span> {
        self.take(b'"')?;
        let span = Span {
            start: self.at,
            end: self.at + memchr(b'"', self.rest())?,
        };
        self.at = span.end + 1;
        Some(span)
    }

    fn number(&mut self) -> Option<Scalar> {
        let start = self.at;
        let integer = self.integer()?;
        let span = Span { start, end: self.at };
        match self.rest().first() {
            // -0 is another number than 0 where there are fractions.
            Some(b',' | b'}' | b' ') if integer != 0 || self.text.as_bytes()[start] == b'0' => {
                Some(Scalar::Integer(integer, span))
            }
            _ => Some(self.rest_of_number(start)),
        }
    }

    fn rest_of_number(&mut self, start: usize) -> Scalar {
        let rest = self.rest().iter();
        let more = rest.take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        self.at += more.count();
        Scalar::Number(Span { start, end: self.at })
    }

    /// The first digits of a number, all of them if they are no more than fit.
    fn integer(&mut self) -> Option<i64> {
        let negative = self.take(b'-').is_some();
        let mut value: i64 = 0;
        let mut digits = 0;
        for byte in self.rest().iter().take(DIGITS) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value * 10 + i64::from(digit);
            digits += 1;
        }
        let leading_zero = digits > 1 && self.rest().first() == Some(&b'0');
        if digits == 0 || leading_zero {
            return None;
        }
        self.at += digits;
        Some(if negative { -value } else { value })
    }
}

pub(super) enum Key<'t> {
    Expected,
    Other(&'t str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Option<Scalar> {
        // As the last field of an object.
        let value = format!("{text}}}");
        let mut scanner = Scanner::new(value.as_bytes())?;
        let scalar = scanner.scalar()?;
        (scanner.at == text.len()).then_some(scalar)
    }

    #[test]
    fn integers_are_jsons() {
        let integer = |value, start, end| Some(Scalar::Integer(value, Span { start, end }));
        assert_eq!(scalar("0"), integer(0, 0, 1));
        assert_eq!(scalar(" -17 "), integer(-17, 1, 4));
        assert_eq!(
            scalar("999999999999999999"),
            integer(999_999_999_999_999_999, 0, 18)
        );
        for doubtful in ["", "-", "01", "-01", "+1", ".5", "-.5"] {
            assert_eq!(scalar(doubtful), None, "{doubtful}");
        }
    }

    #[test]
    fn other_numbers_are_left_to_their_columns() {
        for number in [
            "1.0",
            "-0",
            "-0.5",
            "1e3",
            "12.5E-1",
            "9223372036854775807",
            "1-2",
        ] {
            let span = Span {
                start: 0,
                end: number.len(),
            };
            assert_eq!(scalar(number), Some(Scalar::Number(span)), "{number}");
        }
    }

    #[test]
    fn texts_and_words_end_where_they_end() {
        assert_eq!(scalar(r#""a é""#), Some(Scalar::Text(Span { start: 1, end: 5 })));
        assert_eq!(scalar("true"), Some(Scalar::Boolean(true)));
        assert_eq!(scalar("null"), Some(Scalar::Null));
        for doubtful in [r#""a"#, r#""a\"""#, "\"\u{1}\"", "nul", "True", "[1]", "{}"] {
            assert_eq!(scalar(doubtful), None, "{doubtful}");
        }
    }
}
