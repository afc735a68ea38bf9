//! The live screen of a run, for everything that prints beside it.
//!
//! Promise: while it is up nothing is written across it: what anybody says appears above the board, and a question gets the whole
//! terminal, one question at a time, so that an answer can't reach another question than the one that was read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crossterm::cursor::Show;
use crossterm::execute;
use crossterm::terminal::EndSynchronizedUpdate;

use crate::tui::say::Tone;
use crate::tui::screen::Screen;

static LIVE: Mutex<Option<Arc<Screen>>> = Mutex::new(None);
static ASKING: Mutex<()> = Mutex::new(());

fn screen() -> Option<Arc<Screen>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// From now on this screen shows what is said.
pub fn begin(screen: Arc<Screen>) {
    *LIVE.lock().unwrap_or_else(PoisonError::into_inner) = Some(screen);
}

/// The screen is gone; its terminal is as it was.
pub fn end() {
    let gone = LIVE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(screen) = gone {
        screen.close();
    }
}

/// Shows a sentence on the screen; `false` where there is none, and the sentence is to be printed.
pub fn say(tone: Tone, text: &str) -> bool {
    screen().is_some_and(|screen| screen.say(tone, text))
}

/// The screen shows that the run is ending.
pub fn ending() {
    if let Some(screen) = screen() {
        screen.ending();
    }
}

/// For leaving without another word: the cursor comes back, whatever the screen is doing.
pub fn abandon() {
    if screen().is_some() {
        let _ = execute!(std::io::stderr(), EndSynchronizedUpdate, Show);
    }
}

/// Holds the terminal for one question.
pub struct Question {
    screen: Option<Arc<Screen>>,
    _alone: MutexGuard<'static, ()>,
}

/// Waits for its turn and puts the screen away.
pub fn question() -> Question {
    asked(ASKING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The same, but not for longer than the question is one: another may stand on the terminal, and nobody answer it.
pub fn question_unless(given_up: &dyn Fn() -> bool) -> Option<Question> {
    while !given_up() {
        match ASKING.try_lock() {
            Ok(alone) => return Some(asked(alone)),
            Err(TryLockError::Poisoned(alone)) => return Some(asked(alone.into_inner())),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
        }
    }
    None
}

/// How often a question looks whether the terminal is free.
const LOOK: Duration = Duration::from_millis(100);

fn asked(alone: MutexGuard<'static, ()>) -> Question {
    let screen = screen();
    if let Some(screen) = &screen {
        screen.put_away();
    }
    Question { screen, _alone: alone }
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(screen) = &self.screen {
            screen.bring_back();
        }
    }
}
