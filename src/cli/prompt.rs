//! Asking the person at the terminal. Where nobody can answer, the safe answer is taken and said.
//!
//! Promise: a bare Enter is never a yes, and the burst of letters that a YubiKey types when it is touched at the wrong
//! moment is dropped and named. What is typed as a secret is not shown.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use zeroize::Zeroizing;

use super::output::aside;
use super::{Output, interrupt, live};
use crate::model::Secret;
use crate::pin::Prompts;
use crate::world::Operator;

/// The person at this process's terminal, if there is one.
pub struct Terminal<'a> {
    output: &'a Output,
}

impl<'a> Terminal<'a> {
    /// Asks on stderr and reads from stdin.
    pub fn new(output: &'a Output) -> Self {
        Self { output }
    }

    /// Asks for a secret without showing what is typed. `None` where nobody can answer, and on Ctrl-C or Escape.
    pub fn ask_secret(&self, what: &str) -> Option<Secret<String>> {
        if !self.is_present() {
            return None;
        }
        let _terminal = live::question();
        print(&format!("{what} (not shown; Enter when done):"));
        read_secret()
    }
}

/// Past the live screen, which is put away for a question.
fn print(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The wait for a line that a question gave up: a read of stdin can't be called off, so the next question goes on with it.
static ABANDONED: Mutex<Option<Receiver<Option<String>>>> = Mutex::new(None);

fn abandoned() -> MutexGuard<'static, Option<Receiver<Option<String>>>> {
    ABANDONED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A typed line; `None` at its end, when `given_up` says so, and when Ctrl-C was pressed in a command that minds it.
fn read_line(given_up: &dyn Fn() -> bool) -> Option<String> {
    let earlier = abandoned().take();
    // What was typed to no question is no answer to this one.
    let answered = earlier.filter(|wait| wait.try_recv() == Err(TryRecvError::Empty)).unwrap_or_else(wait_for_line);
    loop {
        match answered.recv_timeout(LOOK) {
            Ok(line) => return line,
            Err(RecvTimeoutError::Timeout) if interrupt::was_pressed() || given_up() => {
                *abandoned() = Some(answered);
                return None;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// Reads one line on a thread of its own, which ends with it or with the program.
fn wait_for_line() -> Receiver<Option<String>> {
    let (answer, answered) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        // Nobody may wait for it any more.
        let _ = answer.send(read.ok().filter(|read| *read > 0).map(|_| line));
    });
    answered
}

/// How often a question looks whether it is still one.
const LOOK: Duration = Duration::from_millis(100);

fn read_secret() -> Option<Secret<String>> {
    enable_raw_mode().ok()?;
    let _restore = Restore;
    // Room for any client secret, so that growing leaves no unwiped copy behind.
    let mut typed = Zeroizing::new(String::with_capacity(1024));
    loop {
        // A terminal that can't be read any more gives no answer.
        let Event::Key(key) = read().ok()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match key.code {
            KeyCode::Enter => break,
            KeyCode::Esc => return None,
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => return None,
            KeyCode::Backspace => {
                typed.pop();
            }
            KeyCode::Char(c) if typed.len() < 1000 => typed.push(c),
            _ => {}
        }
    }
    (!typed.is_empty()).then(|| Secret::new(std::mem::take(&mut *typed)))
}

/// A custodian at this process's terminal: what an age plugin or a locked identity asks, on stderr.
#[derive(Debug, Clone, Copy)]
pub struct Custodian {
    present: bool,
}

impl Custodian {
    /// Somebody is there only where both stdin and stderr are a terminal.
    pub fn new(stderr_is_terminal: bool) -> Self {
        Self { present: stderr_is_terminal && std::io::stdin().is_terminal() }
    }

    fn line(self) -> Option<String> {
        Some(read_line(&|| false)?.trim().to_owned())
    }
}

impl Prompts for Custodian {
    fn tell(&self, message: &str) {
        aside(message);
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        if !self.present {
            return None;
        }
        let no = no.unwrap_or("no");
        let _terminal = live::question();
        loop {
            print(&format!("{question} Type {yes} or {no}:"));
            match self.line()?.as_str() {
                answer if answer.eq_ignore_ascii_case(yes) => return Some(true),
                answer if answer.eq_ignore_ascii_case(no) => return Some(false),
                _ => {}
            }
        }
    }

    fn ask(&self, question: &str) -> Option<String> {
        if !self.present {
            return None;
        }
        let _terminal = live::question();
        print(&format!("{question}:"));
        self.line()
    }

    fn ask_secret(&self, question: &str) -> Option<Secret<String>> {
        if !self.present {
            return None;
        }
        let _terminal = live::question();
        print(&format!("{question} (not shown; Enter when done):"));
        read_secret()
    }
}

/// Gives the terminal back as it was, however we leave.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
    }
}

impl Operator for Terminal<'_> {
    fn confirm_unless(&self, question: &str, word: &str, given_up: &dyn Fn() -> bool) -> bool {
        if !self.is_present() {
            self.output.progress(question);
            self.output.progress("Nobody is here to ask: taken as no.");
            return false;
        }
        let Some(_terminal) = live::question_unless(given_up) else { return false };
        // The bell: whoever stands at the hub does not see a question by itself.
        print(&format!("\u{7}{question}"));
        loop {
            print(&format!("Type {word} to go on, anything else to leave it:"));
            let Some(line) = read_line(given_up) else {
                if given_up() {
                    print("No answer is needed any more; it is taken as no.");
                }
                return false;
            };
            match Reply::to(&line, word) {
                Reply::Yes => return true,
                Reply::No => return false,
                Reply::Empty => {}
                Reply::OneTimePassword => {
                    print("That was a one-time password from a touched YubiKey, not an answer; it was dropped.");
                }
            }
        }
    }

    fn tell(&self, message: &str) {
        self.output.progress(message);
    }

    fn is_present(&self) -> bool {
        self.output.style().stderr_is_terminal && std::io::stdin().is_terminal()
    }
}

/// What a typed line means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Yes,
    No,
    Empty,
    OneTimePassword,
}

impl Reply {
    fn to(line: &str, word: &str) -> Self {
        let line = line.trim();
        // Yubico OTP: modhex, 32 characters and up to 16 of the public id before them.
        let modhex = line.chars().all(|c| "cbdefghijklnrtuv".contains(c));
        match line {
            "" => Self::Empty,
            _ if modhex && line.len() >= 32 => Self::OneTimePassword,
            _ if line.eq_ignore_ascii_case(word) => Self::Yes,
            _ => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_is_a_yes() {
        assert_eq!(Reply::to("wipe\r\n", "wipe"), Reply::Yes);
        assert_eq!(Reply::to("Wipe", "wipe"), Reply::Yes);
        assert_eq!(Reply::to("\n", "wipe"), Reply::Empty);
        assert_eq!(Reply::to("y\n", "wipe"), Reply::No);
        assert_eq!(Reply::to("ccccccbchvthlivuitriujjifivbvtrjkjfirllluurj\n", "wipe"), Reply::OneTimePassword);
        assert_eq!(Reply::to("ccccc\n", "wipe"), Reply::No);
    }
}
