//! The only place that prints. stdout is the answer: text for people, or JSON Lines with `--json`. stderr is progress and
//! errors. A reader that goes away (`| head`) ends the printing and nothing else.

use std::io::{IsTerminal as _, Write};
use std::sync::Mutex;

use serde::Serialize;

use super::error::CliError;
use super::live;
use crate::tui::say::Tone;

/// How much to say on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the operator needs.
    Normal,
    /// `-v`.
    Detailed,
    /// `-vv`: every step.
    Everything,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// JSON Lines on stdout.
    pub json: bool,
    /// Colours on stderr.
    pub color: bool,
    /// How much.
    pub level: Level,
    /// stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// stderr is a terminal: lines may be redrawn.
    pub stderr_is_terminal: bool,
}

/// Both streams. Usable from several threads; a line is never torn.
pub struct Output {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    style: Mutex<Style>,
}

impl Output {
    /// This process's streams. Colours only at a terminal and unless `NO_COLOR` is set to something.
    pub fn of_process() -> Self {
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let style = Style {
            json: false,
            color: stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            level: Level::Normal,
            stdout_is_terminal: stdout.is_terminal(),
            stderr_is_terminal: stderr.is_terminal(),
        };
        Self::new(Box::new(stdout), Box::new(stderr), style)
    }

    /// Streams of one's own.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, style: Style) -> Self {
        Self { out: Mutex::new(out), err: Mutex::new(err), style: Mutex::new(style) }
    }

    /// How to print, now that the options are known.
    pub fn set_style(&self, style: Style) {
        *lock(&self.style) = style;
    }

    /// How to print.
    pub fn style(&self) -> Style {
        *lock(&self.style)
    }

    /// A line of the answer, for people; left out with `--json`.
    pub fn answer(&self, text: &str) {
        if !self.style().json {
            put(&self.out, format_args!("{text}\n"));
        }
    }

    /// A line of the answer for programs; left out without `--json`.
    pub fn json(&self, value: &impl Serialize) {
        #[cfg(test)]
        super::testing::schema::assert_described(value, "");
        if self.style().json
            && let Ok(line) = serde_json::to_string(value)
        {
            put(&self.out, format_args!("{line}\n"));
        }
    }

    /// Bytes that are the whole answer, whatever the style: a PIN, a completion script, a manual page.
    ///
    /// # Errors
    /// When they can't be written, e.g. to a full disk. A reader that has gone away is no error.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        match self.write(bytes) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(unwritable(&error)),
            _ => Ok(()),
        }
    }

    /// As [`Self::raw`], for what is shown once and never again: a reader that has gone away is an error too.
    ///
    /// # Errors
    /// When nobody can have seen all of it.
    pub fn once(&self, bytes: &[u8]) -> Result<(), CliError> {
        self.write(bytes).map_err(|error| unwritable(&error))
    }

    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = lock(&self.out);
        out.write_all(bytes).and_then(|()| out.flush())
    }

    /// A line of progress.
    pub fn progress(&self, text: &str) {
        if !live::say(Tone::Plain, text) {
            put(&self.err, format_args!("{text}\n"));
        }
    }

    /// A line of progress that is wanted from this level on.
    pub fn detail(&self, level: Level, text: &str) {
        if self.style().level >= level {
            self.progress(text);
        }
    }

    /// A warning: goes on, but should be read.
    pub fn warning(&self, text: &str) {
        if !live::say(Tone::Act, &format!("Warning: {text}")) {
            let heading = self.paint("33", "Warning:");
            put(&self.err, format_args!("{heading} {text}\n"));
        }
    }

    /// An error, for people on stderr and, with `--json`, as an event on stdout.
    pub fn error(&self, error: &CliError) {
        if !live::say(Tone::Bad, &format!("Error: {error}")) {
            let heading = self.paint("1;31", "Error:");
            put(&self.err, format_args!("{heading} {error}\n"));
        }
        self.json(&super::events::Event::Error {
            code: error.code,
            what: &error.fact,
            causes: &error.causes,
            next: &error.next,
            exit: error.exit.code(),
        });
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.style().color { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Says that the program stopped at a fault of its own. Not through [`Output`], which may be what failed; and without
/// the panic's message, which could hold a value that must not be seen.
pub fn fault(place: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "Error: keybench stopped at a fault of its own ({place}, version {}).\n  What was begun stands in the ledger.\n\
         Next: run the same command again, it goes on where it stopped; and please report this line.",
        env!("CARGO_PKG_VERSION")
    );
}

/// A line on stderr where no [`Output`] is at hand: what a sign-in or a custodian's plugin has to say while it waits for
/// a person.
pub fn aside(text: &str) {
    if !live::say(Tone::Act, text) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// Where log lines go: to stderr, and not across a live screen.
#[derive(Debug, Default)]
pub struct Log;

impl Log {
    /// For one line.
    pub fn new() -> Self {
        Self
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if live::say(Tone::Plain, String::from_utf8_lossy(line).trim_end()) {
            return Ok(line.len());
        }
        std::io::stderr().write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

fn unwritable(error: &std::io::Error) -> CliError {
    let fact = "The answer can't be written to stdout.";
    CliError::new(super::Exit::Usage, "unwritable", fact, "check where it goes.").because(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn put(stream: &Mutex<Box<dyn Write + Send>>, text: std::fmt::Arguments<'_>) {
    let mut stream = lock(stream);
    let _ = stream.write_fmt(text).and_then(|()| stream.flush());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cli::exit::Exit;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn printed(json: bool, color: bool, print: impl FnOnce(&Output)) -> (String, String) {
        let (out, err) = (Sink::default(), Sink::default());
        let style = Style { json, color, level: Level::Normal, stdout_is_terminal: false, stderr_is_terminal: false };
        print(&Output::new(Box::new(out.clone()), Box::new(err.clone()), style));
        let text = |sink: &Sink| String::from_utf8_lossy(&lock(&sink.0)).into_owned();
        (text(&out), text(&err))
    }

    #[test]
    fn people_and_programs_get_one_answer_each() {
        let print = |output: &Output| {
            output.answer("3 keys");
            output.json(&serde_json::json!({ "event": "logout", "was_kept": true }));
            output.progress("working");
            output.detail(Level::Detailed, "details");
        };
        assert_eq!(printed(false, false, print), ("3 keys\n".into(), "working\n".into()));
        assert_eq!(
            printed(true, false, print),
            ("{\"event\":\"logout\",\"was_kept\":true}\n".into(), "working\n".into())
        );
    }

    #[test]
    fn an_error_is_for_people_and_for_programs() {
        let error = CliError::new(Exit::Keys, "no-key", "There is no key.", "put one in.");
        let (out, err) = printed(true, false, |output| output.error(&error));
        assert_eq!(err, "Error: There is no key.\nNext: put one in.\n");
        assert_eq!(
            out,
            "{\"event\":\"error\",\"code\":\"no-key\",\"what\":\"There is no key.\",\"causes\":[],\"next\":\"put one in.\",\"exit\":4}\n"
        );
        let (_, err) = printed(false, true, |output| output.error(&error));
        assert!(err.starts_with("\u{1b}[1;31mError:\u{1b}[0m There"));
    }
}
