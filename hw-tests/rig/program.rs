//! Programs that are run to their end, or watched while they run. None outlives its deadline, and none but a hook, which has a process group of
//! its own, outlives its owner.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Whether every line that is read is shown as well, with the seconds since its program started.
pub static TRACE: AtomicBool = AtomicBool::new(false);

/// How long after a program's end what it said is waited for: something that it started may hold the pipe for good.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a program came to.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Its stdout, if it ended with 0.
    pub fn good(self) -> Result<String, String> {
        if self.code == Some(0) {
            Ok(self.stdout)
        } else {
            Err(format!("ended with {:?}: {}{}", self.code, self.stdout, self.stderr))
        }
    }
}

/// Runs a program to its end, at most for so long, with this on its stdin.
pub fn run_with(command: &mut Command, input: &str, patience: Duration) -> Result<Ended, String> {
    to_its_end(command, input, patience, kill)
}

/// As [`run_with`], with nothing on stdin.
pub fn run(command: &mut Command, patience: Duration) -> Result<Ended, String> {
    run_with(command, "", patience)
}

/// The same for a program of somebody else's, a script as a rule: at its deadline all goes that it has started.
pub fn run_group(command: &mut Command, patience: Duration) -> Result<Ended, String> {
    to_its_end(command.process_group(0), "", patience, |child| {
        if let Some(group) = pid(child) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        kill(child);
    })
}

fn to_its_end(
    command: &mut Command,
    input: &str,
    patience: Duration,
    kill: impl FnOnce(&mut Child),
) -> Result<Ended, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read it may have ended already.
        let _ = stdin.write_all(input.as_bytes());
    }
    let stdout = child.stdout.take().map(Heard::from);
    let stderr = child.stderr.take().map(Heard::from);
    let status = wait(&mut child, patience, kill);
    let by = Instant::now() + LAST_WORDS;
    let [stdout, stderr] = [stdout, stderr].map(|heard| heard.map(|heard| heard.told(by)).unwrap_or_default());
    match status {
        Some(status) => Ok(Ended { code: status.code(), stdout, stderr }),
        None => Err(format!("{name} was still running after {patience:?}: {stdout}{stderr}")),
    }
}

/// What comes out of a pipe, read by a thread.
struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Hung up at the pipe's end.
    end: Receiver<()>,
}

impl Heard {
    fn from(mut pipe: impl std::io::Read + Send + 'static) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let (open, end) = channel();
        let all = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let _open: std::sync::mpsc::Sender<()> = open;
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut some) {
                all.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&some[..count]);
            }
        });
        Self { bytes, end }
    }

    fn told(self, by: Instant) -> String {
        let _ = self.end.recv_timeout(by.saturating_duration_since(Instant::now()));
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Waits; kills it when it takes too long.
fn wait(child: &mut Child, patience: Duration, kill: impl FnOnce(&mut Child)) -> Option<ExitStatus> {
    let end = Instant::now() + patience;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= end {
            kill(child);
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(child: &mut Child) {
    let _ = child.kill();
}

fn pid(child: &Child) -> Option<rustix::process::Pid> {
    i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw)
}

/// A program that runs while its lines of JSON are read.
pub struct Live {
    child: Child,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    started: Instant,
    /// What was read so far.
    pub heard: Vec<Value>,
}

impl Live {
    /// Starts it.
    pub fn start(command: &mut Command) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        let (sender, lines) = channel();
        if let Some(pipe) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let stderr = Arc::<Mutex<String>>::default();
        if let Some(pipe) = child.stderr.take() {
            let stderr = Arc::clone(&stderr);
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if let Ok(mut stderr) = stderr.lock() {
                        stderr.push_str(&line);
                        stderr.push('\n');
                    }
                }
            });
        }
        Ok(Self { child, lines, stderr, started: Instant::now(), heard: Vec::new() })
    }

    /// The next line of JSON; `None` when none came in time, or it has ended.
    pub fn next(&mut self, patience: Duration) -> Option<Value> {
        let end = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if TRACE.load(Ordering::Relaxed) {
                        println!("{:7.2} {line}", self.started.elapsed().as_secs_f64());
                    }
                    if let Ok(value) = serde_json::from_str::<Value>(&line) {
                        self.heard.push(value.clone());
                        return Some(value);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Reads on until an event of this name comes.
    pub fn until(&mut self, event: &str, patience: Duration) -> Result<Value, String> {
        let end = Instant::now() + patience;
        while let Some(value) = self.next(end.saturating_duration_since(Instant::now())) {
            if value["event"] == event {
                return Ok(value);
            }
        }
        Err(format!("no event {event} within {patience:?}; {}", self.told()))
    }

    /// Everything it said, for a failure's report.
    pub fn told(&self) -> String {
        let events: Vec<String> = self.heard.iter().map(ToString::to_string).collect();
        let stderr = self.stderr.lock().map(|text| text.clone()).unwrap_or_default();
        format!("it said:\n{}\n{stderr}", events.join("\n"))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL. Whether it was still running.
    pub fn kill(&mut self) -> bool {
        let running = !self.has_ended();
        let _ = self.child.kill();
        let _ = self.child.wait();
        running
    }

    /// As Ctrl-C.
    pub fn interrupt(&self) {
        if let Some(pid) = pid(&self.child) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
    }

    /// Reads to its end; the exit code.
    pub fn end(&mut self, patience: Duration) -> Result<i32, String> {
        let end = Instant::now() + patience;
        while self.next(end.saturating_duration_since(Instant::now())).is_some() {}
        let left = end.saturating_duration_since(Instant::now()) + Duration::from_millis(200);
        match wait(&mut self.child, left, kill) {
            Some(status) => status.code().ok_or_else(|| format!("a signal ended it; {}", self.told())),
            None => Err(format!("still running after {patience:?}; {}", self.told())),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
