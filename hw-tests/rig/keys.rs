//! Virtual keys: `keybench sim key --uhid` in a process of its own, steered over its control socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::program::Live;
use super::{Rig, ensure, eventually};

const PATIENCE: Duration = Duration::from_secs(120);

/// Some keys, each in a port of its own: `sim-1`, `sim-2` …
pub struct Keys {
    // The process goes first, the folder of its socket last.
    process: Live,
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    count: usize,
    _folder: Option<tempfile::TempDir>,
}

impl Keys {
    /// So many keys in their ports, of the usual model.
    pub fn plugged(rig: &Rig, count: usize) -> Result<Self, String> {
        let mut keys = Self::start(rig, count, &[])?;
        keys.wait_for_nodes()?;
        Ok(keys)
    }

    /// With options of `sim key`.
    pub fn start(rig: &Rig, count: usize, options: &[&str]) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let socket = folder.path().join("keys");
        let keys = Self::shared(rig, count, options, &socket)?;
        Ok(Self { _folder: Some(folder), ..keys })
    }

    /// On a socket that others know as well.
    pub fn shared(rig: &Rig, count: usize, options: &[&str], socket: &Path) -> Result<Self, String> {
        let mut command = Command::new(&rig.keybench);
        command.args(["sim", "key", "--uhid", "--count", &count.to_string(), "--control"]).arg(socket).args(options);
        let mut process = Live::start(&mut command)?;
        if process.next(PATIENCE).is_none() {
            return Err(format!("the virtual keys did not come; {}", process.told()));
        }
        let stream = UnixStream::connect(socket).map_err(|error| format!("the keys' control socket: {error}"))?;
        let reader = BufReader::new(stream.try_clone().map_err(|error| error.to_string())?);
        Ok(Self { process, stream, reader, count, _folder: None })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count
    }

    /// One line of control and its answer.
    pub fn ask(&mut self, line: &str) -> Result<Value, String> {
        writeln!(self.stream, "{line}").map_err(|error| format!("{line}: {error}"))?;
        let mut answer = String::new();
        self.reader.read_line(&mut answer).map_err(|error| format!("{line}: {error}"))?;
        let answer: Value =
            serde_json::from_str(&answer).map_err(|error| format!("{line}: {error}; {}", self.process.told()))?;
        ensure(answer["ok"] == true, || format!("{line}: {}", answer["error"]))?;
        Ok(answer)
    }

    /// The state of the n-th key, from 1.
    pub fn state(&mut self, number: usize) -> Result<Value, String> {
        Ok(self.ask("list")?["keys"][number - 1].clone())
    }

    /// Whether it waits for a touch.
    pub fn blinks(&mut self, number: usize) -> Result<bool, String> {
        Ok(self.state(number)?["blinking"] == true)
    }

    /// The serial number that the key itself tells.
    pub fn serial(&mut self, number: usize) -> Result<String, String> {
        self.state(number)?["serial"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("key {number} has no serial number"))
    }

    /// Its device node.
    pub fn node(&mut self, number: usize) -> Result<PathBuf, String> {
        self.state(number)?["node"].as_str().map(PathBuf::from).ok_or_else(|| format!("key {number} has no node"))
    }

    /// Waits until every key that is plugged in has its node.
    pub fn wait_for_nodes(&mut self) -> Result<(), String> {
        eventually(PATIENCE, "the keys' nodes", || {
            let state = self.ask("list")?;
            let keys = state["keys"].as_array().cloned().unwrap_or_default();
            Ok(keys.iter().all(|key| key["plugged"] == false || key["node"].is_string()))
        })
    }
}
