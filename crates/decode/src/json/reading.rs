//! Reading past JSON, and the faults of its text.

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};

use crate::bad::{Fault, Reason};
use crate::columns::{Outcome, Reading};

impl Reading<'_> {
    /// Reads a value of any kind to its end and checks it as strictly as a value that is kept (jiter's
    /// own skip leaves UTF-8 unchecked). Says whether the value tells anything about a type: null, and
    /// objects and arrays of nothing but null, do not.
    pub fn read_past(&mut self, json: &mut Jiter<'_>, peek: Peek) -> Outcome<bool> {
        match peek {
            Peek::Null => {
                json.known_null().map_err(syntax)?;
                return Ok(false);
            }
            Peek::True | Peek::False => {
                json.known_bool(peek).map_err(syntax)?;
            }
            Peek::String => {
                json.known_str().map_err(syntax)?;
            }
            Peek::Array => return self.past_array(json),
            Peek::Object => return self.past_object(json),
            _ => {
                json.known_number_bytes(peek).map_err(syntax)?;
            }
        }
        Ok(true)
    }

    fn past_array(&mut self, json: &mut Jiter<'_>) -> Outcome<bool> {
        self.enter()?;
        let mut tells = false;
        let mut next = json.known_array().map_err(syntax)?;
        while let Some(peek) = next {
            self.spend(1, 1)?;
            tells |= self.read_past(json, peek)?;
            next = json.array_step().map_err(syntax)?;
        }
        self.leave();
        Ok(tells)
    }

    fn past_object(&mut self, json: &mut Jiter<'_>) -> Outcome<bool> {
        self.enter()?;
        let mut tells = false;
        let mut more = json.known_object().map_err(syntax)?.is_some();
        while more {
            self.spend(1, 1)?;
            let peek = json.peek().map_err(syntax)?;
            tells |= self.read_past(json, peek)?;
            more = json.next_key().map_err(syntax)?.is_some();
        }
        self.leave();
        Ok(tells)
    }

    /// Reads past a value of the wrong kind, so that the record can be read on behind it.
    #[cold]
    pub fn wrong_kind(&mut self, json: &mut Jiter<'_>, peek: Peek, wanted: &str) -> Box<Fault> {
        match self.read_past(json, peek) {
            Ok(_) => Fault::of_value(
                Reason::WrongType,
                format!("expected {wanted}, got {}", kind(peek)),
            ),
            Err(fault) => fault,
        }
    }
}

/// The kind of JSON value that starts like this, for people.
pub(super) fn kind(peek: Peek) -> &'static str {
    match peek {
        Peek::Null => "null",
        Peek::True | Peek::False => "a boolean",
        Peek::String => "a string",
        Peek::Array => "an array",
        Peek::Object => "an object",
        _ => "a number",
    }
}

/// A fault of the JSON text itself.
#[cold]
pub(super) fn syntax(error: JiterError) -> Box<Fault> {
    let reason = match &error.error_type {
        JiterErrorType::JsonError(JsonErrorType::InvalidUnicodeCodePoint) => Reason::InvalidUtf8,
        // jiter reads integers of up to 4,300 digits.
        JiterErrorType::JsonError(JsonErrorType::NumberOutOfRange) => Reason::OutOfRange,
        _ => Reason::NotJson,
    };
    Fault::fatal(reason, error.to_string())
}
