//! The luck that the requests of one simulated process have, drawn from a seed: what the fault wrappers ask before
//! they pass a request on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    Good,
    /// Carried out, and answered after a while.
    SlowAnswer(Duration),
    /// Carried out after a while.
    SlowRequest(Duration),
    /// Provably not carried out: an outage.
    Refused,
    /// Not carried out, and nobody knows.
    LostRequest,
    /// Carried out, and nobody knows.
    LostAnswer,
    /// Nobody knows, and it is carried out after a while.
    Late(Duration),
    /// The process dies before the request leaves.
    DiesBefore,
    /// The process dies after the request was carried out.
    DiesAfter,
}

/// One process, seen from its I/O: how often a request goes wrong, whether it is stopped, when it dies.
#[derive(Debug)]
pub struct Weather {
    now: Mutex<Now>,
    changed: Notify,
}

#[derive(Debug)]
struct Now {
    rng: fastrand::Rng,
    /// Of 1.
    trouble: f64,
    dies_in: Option<u32>,
    stops_in: Option<u32>,
    dead: bool,
    stopped: bool,
}

impl Weather {
    /// Calm until told otherwise.
    pub fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self {
            now: Mutex::new(Now {
                rng,
                trouble: 0.0,
                dies_in: None,
                stops_in: None,
                dead: false,
                stopped: false,
            }),
            changed: Notify::new(),
        }
    }

    /// From here on this share of the requests, of 1, goes wrong.
    pub fn set_trouble(&self, share: f64) {
        self.now().trouble = share;
    }

    /// Nothing goes wrong from here on: it goes on if it was stopped, and what was to come is called off.
    pub fn calm_down(&self) {
        {
            let mut now = self.now();
            now.trouble = 0.0;
            now.dies_in = None;
            now.stops_in = None;
        }
        self.go_on();
    }

    /// The process is stopped at the request after `requests` more: it is carried out, and its sender sleeps.
    pub fn stop_in(&self, requests: u32) {
        self.now().stops_in = Some(requests);
    }

    /// The process dies at the request after `requests` more.
    pub fn die_in(&self, requests: u32) {
        self.now().dies_in = Some(requests);
    }

    /// It is gone: none of its requests goes on.
    pub fn die(&self) {
        self.now().dead = true;
    }

    pub fn is_dead(&self) -> bool {
        self.now().dead
    }

    /// SIGSTOP: its requests stand still, and those under way are not answered to it, until [`Self::go_on`].
    pub fn stop(&self) {
        self.now().stopped = true;
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.now().stopped = false;
        self.changed.notify_waiters();
    }

    pub fn is_stopped(&self) -> bool {
        self.now().stopped
    }

    /// Asked before each request. Never answers to the dead, nor to the stopped before they go on.
    pub async fn ahead(&self) -> Luck {
        self.passes().await;
        self.now().draw()
    }

    /// Returns when the process may notice something.
    pub async fn passes(&self) {
        loop {
            let changed = self.changed.notified();
            let (dead, stopped) = {
                let now = self.now();
                (now.dead, now.stopped)
            };
            match (dead, stopped) {
                (true, _) => std::future::pending().await,
                (false, true) => changed.await,
                (false, false) => return,
            }
        }
    }

    /// Dies, here.
    pub async fn dies<T>(&self) -> T {
        self.die();
        std::future::pending().await
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    fn draw(&mut self) -> Luck {
        if let Some(left) = &mut self.dies_in {
            if *left == 0 {
                return if self.rng.bool() {
                    Luck::DiesBefore
                } else {
                    Luck::DiesAfter
                };
            }
            *left -= 1;
        }
        match &mut self.stops_in {
            Some(0) => {
                self.stops_in = None;
                self.stopped = true;
                return if self.rng.bool() {
                    Luck::SlowRequest(self.delay())
                } else {
                    Luck::Good
                };
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if self.rng.f64() >= self.trouble {
            // Requests take a moment, so that others come in between.
            return match self.rng.bool() {
                true => Luck::SlowRequest(Duration::from_millis(self.rng.u64(1..50))),
                false => Luck::Good,
            };
        }
        let delay = self.delay();
        match self.rng.u8(..6) {
            0 => Luck::SlowAnswer(delay),
            1 => Luck::SlowRequest(delay),
            2 => Luck::Refused,
            3 => Luck::LostRequest,
            4 => Luck::LostAnswer,
            _ => Luck::Late(delay),
        }
    }

    /// Seconds mostly, at times a minute.
    fn delay(&mut self) -> Duration {
        let most = if self.rng.u8(..5) == 0 { 60_000 } else { 6_000 };
        Duration::from_millis(self.rng.u64(10..most))
    }
}
