//! A PIN on a screen: cleared before, bounded in time, cleared again.
//!
//! Promise: it is shown on the terminal's second screen, which keeps no lines to scroll back to, and that screen is cleared and left
//! whichever way it ends: the time is over, a key was pressed, Ctrl-C or SIGTERM. Exception: a program that is killed
//! (SIGKILL) can't clear anything, and what a terminal records of its own accord is the terminal's.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{Event, KeyEventKind, poll, read};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use zeroize::Zeroizing;

use super::interrupt::interrupted;
use super::{CliError, Exit, Output};
use crate::model::Pin;

/// The second screen, empty, without a cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[2J\x1b[3J\x1b[H\x1b[?25l";
/// Cleared before it is left: some terminals keep what stood on it.
const LEAVE: &[u8] = b"\x1b[2J\x1b[3J\x1b[H\x1b[?25h\x1b[?1049l";
const LOOK: Duration = Duration::from_millis(200);

/// What ends the showing early.
pub(super) trait Reader {
    /// Waits this long; `true` when the reader is done.
    fn done_within(&mut self, time: Duration) -> bool;
}

/// A person at this process's terminal: any key.
struct Keyboard {
    raw: bool,
    stop: Arc<AtomicBool>,
}

impl Keyboard {
    fn new() -> Self {
        Self { raw: enable_raw_mode().is_ok(), stop: interrupted() }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if self.raw {
            let _ = disable_raw_mode();
        }
    }
}

impl Reader for Keyboard {
    fn done_within(&mut self, time: Duration) -> bool {
        if self.stop.load(Ordering::Relaxed) {
            return true;
        }
        if !self.raw {
            std::thread::sleep(time);
            return self.stop.load(Ordering::Relaxed);
        }
        match poll(time) {
            // Ctrl-C is a key like the others here: it ends the showing too.
            Ok(true) => matches!(read(), Ok(Event::Key(key)) if key.kind != KeyEventKind::Release),
            Ok(false) => false,
            Err(_) => true,
        }
    }
}

/// Shows the PIN for so many seconds, or until a key is pressed.
///
/// # Errors
/// When the terminal can't be written to.
pub(super) fn show(output: &Output, pin: &Pin, whose: &str, seconds: u32) -> Result<(), CliError> {
    show_to(output, pin, whose, seconds, &mut Keyboard::new())
}

/// Clears and leaves the screen whatever happens in between.
struct Second<'a>(&'a Output);

impl Drop for Second<'_> {
    fn drop(&mut self) {
        // A terminal that is gone has nothing left to clear.
        let _ = self.0.raw(LEAVE);
    }
}

fn show_to(output: &Output, pin: &Pin, whose: &str, seconds: u32, reader: &mut dyn Reader) -> Result<(), CliError> {
    output.raw(ENTER)?;
    let screen = Second(output);
    let mut page = Zeroizing::new(Vec::with_capacity(256 + whose.len() + pin.expose().len()));
    let written = write!(page, "PIN of job {whose}\r\n\r\n    {}\r\n\r\n", pin.expose());
    written.map_err(|error| CliError::new(Exit::Fault, "unexpected", error.to_string(), "report it."))?;
    output.raw(&page)?;
    let looks = 1_000 / u32::try_from(LOOK.as_millis()).unwrap_or(200).max(1);
    'shown: for left in (1..=seconds).rev() {
        output.raw(format!("\r\x1b[KCleared in {left} s; any key clears it now.").as_bytes())?;
        for _ in 0..looks {
            if reader.done_within(LOOK) {
                break 'shown;
            }
        }
    }
    drop(screen);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::output;

    struct After(u32);

    impl Reader for After {
        fn done_within(&mut self, _: Duration) -> bool {
            self.0 = self.0.saturating_sub(1);
            self.0 == 0
        }
    }

    fn shown(seconds: u32, looks: u32) -> String {
        let (output, out, _) = output(false);
        let pin = Pin::new(Zeroizing::new("kd2rp9vx84tbn5h7".to_owned())).expect("a PIN");
        show_to(&output, &pin, "7H2KQ0M4XA", seconds, &mut After(looks)).expect("shown");
        out.text()
    }

    #[test]
    fn a_pin_is_shown_on_a_screen_of_its_own_and_that_is_cleared() {
        let (enter, leave) = (String::from_utf8_lossy(ENTER), String::from_utf8_lossy(LEAVE));
        // The time is over; and a key was pressed.
        for (text, counted) in [(shown(3, u32::MAX), 3), (shown(30, 7), 2)] {
            assert!(text.starts_with(&*enter) && text.ends_with(&*leave), "{text:?}");
            assert_eq!(text.matches("kd2rp9vx84tbn5h7").count(), 1);
            assert_eq!(text.matches("Cleared in").count(), counted, "{text:?}");
        }
    }
}
