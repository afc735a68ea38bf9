//! What the bench tells whoever watches: screens, line printers and JSON writers. Read-only; nothing here decides anything.

use std::time::Duration;

use crate::ledger::Head;
use crate::ledger::entry::{Counts, ForcedChange, RunEnd};
use crate::model::{CredentialId, JobId, KeyRef, MethodId, PortName};

/// How far the key in a port is, in the operator's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Reading getInfo and the serial number.
    Identifying,
    /// Waiting for the first key of its model to go ahead.
    WaitingForFirst,
    /// Looking at what an earlier stop left.
    Settling,
    /// Sealing and setting the PIN.
    SettingPin,
    /// Waiting for creation options.
    Options,
    /// Ready; other keys blink first.
    WaitingForTouch,
    /// Blinking: touch it.
    Touch,
    /// Checking the attestation and proving the credential.
    Proving,
    /// Sending it to Entra.
    Registering,
    /// Reading it back.
    ReadingBack,
    /// Setting minimum length and forced change.
    PinRules,
    /// Sealing the registration record, for registration on receipt.
    Holding,
    /// Undoing what can't be kept.
    Undoing,
    /// Done, and can be mistaken for another key; that one shows itself first.
    WhichKey,
}

impl Stage {
    /// As screens show it.
    pub fn for_people(self) -> &'static str {
        match self {
            Self::Identifying => "reading the key",
            Self::WaitingForFirst => "waits for the first key",
            Self::Settling => "settling what was left",
            Self::SettingPin => "setting the PIN",
            Self::Options => "fetching options",
            Self::WaitingForTouch => "ready, not blinking yet",
            Self::Touch => "TOUCH",
            Self::Proving => "checking and proving",
            Self::Registering => "registering",
            Self::ReadingBack => "reading back",
            Self::PinRules => "setting PIN rules",
            Self::Holding => "sealing the registration",
            Self::Undoing => "undoing",
            Self::WhichKey => "wait: another key flashes",
        }
    }
}

/// How a key shows which of two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShownBy {
    /// Its light flashes until it is taken out.
    Wink,
    /// It has no light to flash: it is to be taken out and put in again.
    Replug,
    /// It was taken out before it was known which it is: it is to be put in again.
    PutBack,
}

impl ShownBy {
    /// As `--json` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wink => "wink",
            Self::Replug => "re-plug",
            Self::PutBack => "put-back",
        }
    }
}

/// Where a finished job's credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// In Entra, by this id.
    Registered(MethodId),
    /// Nowhere but on the key: it is registered on receipt.
    Held {
        /// Until when it can be.
        expires: jiff::Timestamp,
    },
}

/// A finished job's facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedJob {
    /// The job.
    pub job: JobId,
    /// Whose.
    pub upn: String,
    /// The credential.
    pub credential: CredentialId,
    /// Where that is.
    pub standing: Standing,
    /// The key.
    pub key: KeyRef,
    /// Whether a change is forced.
    pub forced: ForcedChange,
}

/// The last word on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// People.
    pub counts: Counts,
    /// Touches that made a credential.
    pub touches: u64,
    /// Graph requests, without repeats.
    pub graph_requests: u64,
    /// Repeats and polls.
    pub graph_retries: u64,
    /// First plug to last unplug, or the whole run where no key came.
    pub took: Duration,
    /// The ledger's head.
    pub head: Head,
    /// Why it ended.
    pub end: RunEnd,
}

/// Something worth showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The bench is ready for keys.
    Ready {
        /// The ports it uses; empty = any.
        ports: Vec<PortName>,
        /// Jobs that wait for a key.
        waiting: usize,
        /// Jobs whose own key has to come back.
        begun: usize,
    },
    /// A key came.
    Plugged {
        /// Where.
        port: PortName,
    },
    /// The key is known.
    Identified {
        /// Which, and where.
        key: KeyRef,
    },
    /// A key is not fit; nothing was done to it.
    KeyRefused {
        /// Which, and where.
        key: KeyRef,
        /// Why.
        code: String,
        /// In more words, when there are any.
        detail: Option<String>,
    },
    /// A key was given to a job.
    Assigned {
        /// Where.
        port: PortName,
        /// The job.
        job: JobId,
        /// Whose.
        upn: String,
        /// It had been begun before.
        resumed: bool,
    },
    /// The key in a port is this far.
    Stage {
        /// Where.
        port: PortName,
        /// How far.
        stage: Stage,
    },
    /// The key made its credential: the job is bound to it.
    Bound {
        /// Where.
        port: PortName,
        /// The job.
        job: JobId,
        /// Whose.
        upn: String,
    },
    /// Keys that blinked together were touched within a second: which was meant for whom has to be made sure.
    TouchesTooClose {
        /// Where.
        ports: Vec<PortName>,
    },
    /// Before a key that can be mistaken for another is labelled, it shows which it is.
    WhichKey {
        /// Where it is, or was.
        port: PortName,
        /// The job.
        job: JobId,
        /// Whose.
        upn: String,
        /// How.
        by: ShownBy,
    },
    /// Nobody touched it in time; it blinks again.
    TouchRearmed {
        /// Where.
        port: PortName,
    },
    /// Graph asks for patience.
    Throttled {
        /// How long.
        wait: Duration,
    },
    /// Something on the way to Graph failed in passing; it is tried again by itself.
    Retrying {
        /// What happened.
        why: String,
        /// In how long.
        wait: Duration,
    },
    /// All touches pause.
    Paused {
        /// Why.
        code: String,
        /// In more words.
        detail: String,
    },
    /// Touches go on.
    Unpaused,
    /// A job is finished.
    Finished(FinishedJob),
    /// A finished key is to be labelled and taken out.
    TakeOut {
        /// Where.
        port: PortName,
        /// The job.
        job: JobId,
        /// Whose.
        upn: String,
    },
    /// A finished key was taken out.
    Taken {
        /// Where it was.
        port: PortName,
        /// The job.
        job: JobId,
    },
    /// A stay is over: the key is out, or the run is ending. The last that is told of it.
    Left {
        /// Where it was.
        port: PortName,
    },
    /// A refused or failed key is to be taken out and marked REJECT.
    Reject {
        /// Where.
        port: PortName,
        /// Why.
        code: String,
    },
    /// A key was pulled before it was finished.
    PulledEarly {
        /// Where it was.
        port: PortName,
        /// The job.
        job: JobId,
        /// Whose.
        upn: String,
        /// Which key has to come back.
        key: KeyRef,
    },
    /// A try is over; `final_for_run` when the person gets no other in this run.
    Failed {
        /// The job.
        job: JobId,
        /// Whose.
        upn: String,
        /// Where.
        port: PortName,
        /// Why.
        code: String,
        /// In more words.
        detail: Option<String>,
        /// The person gets no other try in this run.
        final_for_run: bool,
    },
    /// A job was set aside.
    Parked {
        /// The job.
        job: JobId,
        /// Whose.
        upn: String,
        /// Where, if it had a port.
        port: Option<PortName>,
        /// Why.
        code: String,
    },
    /// Something to know.
    Note(String),
    /// The run is over.
    Summary(Summary),
}

/// Whoever watches.
pub trait Watcher: Send + Sync {
    /// Something happened. Must return soon: lanes call it while they work.
    fn on(&self, progress: &Progress);
}

impl<F: Fn(&Progress) + Send + Sync> Watcher for F {
    fn on(&self, progress: &Progress) {
        self(progress);
    }
}
