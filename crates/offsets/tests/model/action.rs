//! The steps of a history.

use std::fmt;

use crate::config::{Errand, Foreign};
use crate::offsets::JOBS;
use crate::world::Kind;

/// One step, as a counterexample prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Seek {
        process: usize,
    },
    Cut {
        process: usize,
        start: [Option<u8>; JOBS],
        length: u8,
    },
    Build {
        process: usize,
    },
    Send {
        process: usize,
        answer: Answer,
    },
    Settle {
        process: usize,
    },
    Crash {
        process: usize,
    },
    Arrive {
        snapshot: u8,
    },
    Start(Errand),
    SendErrand {
        errand: Kind,
        answer: Answer,
    },
    Drain {
        follower: usize,
    },
    DrainArrives {
        follower: usize,
    },
    Foreign(Foreign, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Applied,
    AppliedButLost,
    Delayed,
    Refused,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
