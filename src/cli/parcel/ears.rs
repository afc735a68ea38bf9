//! What is heard at the packing table: lines that a scanner or a person types, and keys that are put into ports.
//!
//! Promise: nothing is lost between two questions; what comes first is heard first.

use std::io::BufRead as _;
use std::sync::mpsc::{Receiver, channel};

use crate::cli::CliError;
use crate::world::{KeyPorts, PluggedKey, PortEvent};

/// One thing that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// A line of stdin.
    Line(String),
    /// A key came into a port, or was in one at the beginning.
    Plugged(PluggedKey),
    /// stdin has ended.
    End,
}

/// Both ears.
pub(super) struct Ears(Receiver<Heard>);

impl Ears {
    /// Listens to stdin, and to the ports where there are some. The threads end with the program.
    ///
    /// # Errors
    /// When the ports can't be watched.
    pub(super) fn open(ports: Option<&dyn KeyPorts>) -> Result<Self, CliError> {
        let (sender, receiver) = channel();
        if let Some(ports) = ports {
            let (events, heard) = (ports.watch()?, sender.clone());
            std::thread::spawn(move || {
                for event in events {
                    if let PortEvent::Plugged(key) = event
                        && heard.send(Heard::Plugged(key)).is_err()
                    {
                        return;
                    }
                }
            });
        }
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if sender.send(Heard::Line(line)).is_err() {
                    return;
                }
            }
            // Nobody listens any more: the command has ended.
            let _ = sender.send(Heard::End);
        });
        Ok(Self(receiver))
    }

    /// Waits for the next.
    pub(super) fn hear(&self) -> Heard {
        self.0.recv().unwrap_or(Heard::End)
    }
}
