//! Progress bars on standard error, below the log lines. None are drawn where standard error is no terminal, with `-q`, and
//! before the log is open.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::text::shown;

/// The terminal; empty while no bars may be drawn.
static SCREEN: OnceLock<MultiProgress> = OnceLock::new();

/// A full bar.
const LENGTH: u64 = 1000;

/// Allows bars from now on, if standard error is a terminal that can draw them.
pub(super) fn allow() {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if io::stderr().is_terminal() && !dumb {
        // The default target is standard error.
        SCREEN.get_or_init(MultiProgress::new);
    }
}

/// Calls `write`, which writes to the terminal, with the bars removed, and draws them again.
pub(super) fn above<T>(write: impl FnOnce() -> T) -> T {
    match SCREEN.get() {
        Some(screen) => screen.suspend(write),
        None => write(),
    }
}

/// The content of one line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    /// In front of the bar.
    pub(crate) name: String,
    /// The part that is done, 0 to 1; `None` shows the text without a bar.
    pub(crate) share: Option<f64>,
    /// Behind the bar.
    pub(crate) text: String,
}

/// The bars that are shown. Dropping removes them from the terminal.
#[derive(Debug)]
pub(crate) struct Bars {
    screen: MultiProgress,
    shown: Vec<ProgressBar>,
}

impl Bars {
    /// No bars yet; `None` where none may be drawn.
    pub(crate) fn open() -> Option<Bars> {
        SCREEN.get().map(|screen| Bars { screen: screen.clone(), shown: Vec::new() })
    }

    /// Shows these bars in place of those of the last call.
    pub(crate) fn draw(&mut self, bars: &[Bar]) {
        for gone in self.shown.drain(bars.len().min(self.shown.len())..) {
            gone.finish_and_clear();
            self.screen.remove(&gone);
        }
        while self.shown.len() < bars.len() {
            self.shown.push(self.screen.add(ProgressBar::new(LENGTH)));
        }
        let width = bars.iter().map(|bar| shown(&bar.name).chars().count()).max().unwrap_or(0);
        for (line, bar) in self.shown.iter().zip(bars) {
            line.set_style(style(if bar.share.is_some() { WITH_BAR } else { WITHOUT_BAR }));
            line.set_prefix(format!("{:width$}", shown(&bar.name)));
            line.set_message(shown(&bar.text));
            line.set_position(position(bar.share.unwrap_or(0.0)));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.draw(&[]);
    }
}

const WITH_BAR: &str = "{prefix} [{bar:24}] {wide_msg}";
const WITHOUT_BAR: &str = "{prefix} {wide_msg}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "0 to LENGTH")]
fn position(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * LENGTH as f64) as u64
}
