//! One thing that a check looked at.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::exit::Exit;

#[derive(Debug, Serialize)]
pub struct Finding {
    pub verdict: Verdict,
    /// What was looked at: `topic orders`, `table shop.orders`.
    pub subject: String,
    /// What was seen and, unless all is well, what to do.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    /// Nothing is in the way, but it may not be what was meant.
    Warn,
    /// A run would not work; with the exit code that says why.
    Fail(Exit),
}

impl Finding {
    pub fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Ok,
            subject: subject.into(),
            message: message.into(),
        }
    }

    pub fn warn(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warn,
            subject: subject.into(),
            message: message.into(),
        }
    }

    pub fn fail(exit: Exit, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail(exit),
            subject: subject.into(),
            message: message.into(),
        }
    }

    /// Whether it is to be told even where there are many.
    pub fn is_news(&self) -> bool {
        self.verdict != Verdict::Ok
    }
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail(_) => "fail",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<4}  {}: {}",
            self.verdict.as_str(),
            self.subject,
            self.message
        )
    }
}

pub fn exit(findings: &[Finding]) -> Exit {
    Exit::first_of(findings.iter().map(|finding| match finding.verdict {
        Verdict::Ok | Verdict::Warn => Exit::Done,
        Verdict::Fail(exit) => exit,
    }))
}
