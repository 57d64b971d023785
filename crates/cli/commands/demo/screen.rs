//! What the demo shows while it runs: lines on standard output, and on a terminal a progress bar below them.
//! Colours only where the terminal has them and `NO_COLOR` is not set.

use std::io::{self, IsTerminal, Write};

use console::style;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tabletopic_clock::Millis;

use super::traffic::ORDERS;

/// See the module.
#[derive(Debug)]
pub struct Screen {
    bar: Option<ProgressBar>,
    started: Millis,
}

impl Screen {
    pub fn new(now: Millis) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("  {spinner} {bar:22.green/dim} {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(ORDERS).with_style(style.progress_chars("━╸─"))
        });
        Self { bar, started: now }
    }

    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// A line of the story, with its time.
    pub fn tell(&self, now: Millis, text: &str) {
        let seconds = (now - self.started) as f64 / 1000.0;
        let at = style(format!("{seconds:5.1} s")).dim();
        self.line(&format!("{at}  {text}"));
    }

    pub fn progress(&self, sent: u64, rows: u64, set_aside: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(sent);
            bar.set_message(format!(
                "{} sent, {} rows, {set_aside} set aside",
                HumanCount(sent),
                HumanCount(rows)
            ));
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Prints a line, or several. The tables are made all the same where nobody reads it any more, `head` for one.
pub fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// The heading of a part of the closing words.
pub fn heading(title: &str, why: &str) -> String {
    format!("\n{}  {}", style(title).bold().green(), style(why).dim())
}
