//! A program at a terminal of its own: it asks, and is answered.

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use super::program::Ended;

/// A dialogue. What the program says on its terminal and on stdout is one text. It does not outlive this.
pub struct Dialogue {
    child: Child,
    master: File,
    heard: Arc<Mutex<String>>,
    /// How much of it was waited for already.
    read: usize,
}

impl Dialogue {
    /// Starts the program with stdin and stderr at the terminal.
    pub fn start(command: &mut Command) -> Result<Self, String> {
        let failed = |error: rustix::io::Errno| format!("a terminal: {error}");
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).map_err(failed)?;
        grantpt(&master).and_then(|()| unlockpt(&master)).map_err(failed)?;
        let slave = File::from(ioctl_tiocgptpeer(&master, flags).map_err(failed)?);
        let again = slave.try_clone().map_err(|error| error.to_string())?;
        let mut child = command
            .stdin(Stdio::from(slave))
            .stderr(Stdio::from(again))
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        // The command keeps its ends of the terminal open; a new one lets them go.
        *command = Command::new(command.get_program());
        let heard = Arc::<Mutex<String>>::default();
        let master = File::from(master);
        let terminal = master.try_clone().map_err(|error| error.to_string())?;
        listen(terminal, &heard);
        if let Some(stdout) = child.stdout.take() {
            listen(stdout, &heard);
        }
        Ok(Self { child, master, heard, read: 0 })
    }

    /// Waits until it says this, after what was waited for before.
    pub fn until(&mut self, text: &str, patience: Duration) -> Result<(), String> {
        let end = Instant::now() + patience;
        loop {
            let heard = self.told();
            if let Some(at) = heard.get(self.read..).and_then(|new| new.find(text)) {
                self.read += at + text.len();
                return Ok(());
            }
            let ended = !matches!(self.child.try_wait(), Ok(None));
            if ended || Instant::now() >= end {
                // What it said last may still be on its way.
                std::thread::sleep(Duration::from_millis(50));
                if self.told().get(self.read..).is_some_and(|new| new.contains(text)) {
                    continue;
                }
                return Err(format!("it did not say {text:?}: {}", self.told()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types a line.
    pub fn say(&mut self, line: &str) -> Result<(), String> {
        writeln!(self.master, "{line}").map_err(|error| format!("typing: {error}"))
    }

    /// Everything it said.
    pub fn told(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for its end.
    pub fn end(mut self, patience: Duration) -> Result<Ended, String> {
        let end = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                std::thread::sleep(Duration::from_millis(50));
                return Ok(Ended { code: status.code(), stdout: self.told(), stderr: String::new() });
            }
            if Instant::now() >= end {
                return Err(format!("still running after {patience:?}: {}", self.told()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A terminal whose other end is gone gives an error, which is its end.
fn listen(mut source: impl std::io::Read + Send + 'static, heard: &Arc<Mutex<String>>) {
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = source.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        }
    });
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
