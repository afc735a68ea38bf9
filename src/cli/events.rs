//! What a run prints with `--json`: one event a line. `docs/schema/run-events.schema.json` describes them; a test holds the two
//! against each other.

use serde::Serialize;

/// One event. Members that are not known are `null`; none is left out.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// A run begins.
    Started {
        /// This run.
        run: &'a str,
        /// The batch.
        batch: &'a str,
        /// The tenant.
        tenant: &'a str,
        /// The roster's or the group's name.
        roster: &'a str,
        /// People times keys.
        planned: u64,
        /// The ports that were named with `--ports`; empty: any.
        ports: &'a [String],
        /// Fingerprints of the custodians in force, first group then second.
        custodians: &'a [String],
    },
    /// Something to know about the roster; nobody is refused for it.
    Warning {
        /// A code.
        code: &'a str,
        /// Whom it is about.
        upn: Option<&'a str>,
        /// The roster's line.
        line: Option<u32>,
        /// A sentence.
        text: &'a str,
    },
    /// A check of the tenant warns, or could not be asked; the run goes on.
    Weighed {
        /// The checks that say so, as `PF12`.
        checks: &'a [String],
        /// `WARN` or `UNKNOWN`.
        verdict: &'a str,
        /// A sentence.
        what: &'a str,
        /// Why it is not known.
        why: Option<&'a str>,
        /// What to do.
        next: &'a str,
    },
    /// A person can't have a key.
    Refused {
        /// Null where the directory doesn't know the person.
        job: Option<&'a str>,
        /// As the roster writes it.
        upn: &'a str,
        /// Always null: no key was touched.
        port: Option<&'a str>,
        /// A code.
        code: &'a str,
        /// The roster's line.
        line: Option<u32>,
        /// Why.
        reason: &'a str,
        /// What to do.
        next: &'a str,
    },
    /// A key came.
    Plugged {
        /// Where.
        port: &'a str,
        /// If it tells one.
        serial: Option<&'a str>,
        /// Its model.
        aaguid: Option<&'a str>,
        /// Its model's name.
        model: Option<&'a str>,
    },
    /// A key left.
    Unplugged {
        /// Where.
        port: &'a str,
        /// The job it was taken out of, if that is not finished.
        job: Option<&'a str>,
    },
    /// A key is not fit; nothing was done to it.
    KeyRefused {
        /// Where.
        port: &'a str,
        /// If it tells one.
        serial: Option<&'a str>,
        /// Its model.
        aaguid: Option<&'a str>,
        /// A code.
        code: &'a str,
        /// Why.
        reason: &'a str,
        /// What to do.
        next: &'a str,
    },
    /// A key waits for a touch.
    Touch {
        /// Where.
        port: &'a str,
        /// For which job.
        job: &'a str,
        /// For whom.
        upn: &'a str,
    },
    /// Keys that blinked together were touched within a second of each other.
    TouchesTooClose {
        /// Where.
        ports: &'a [&'a str],
    },
    /// Before a key that can be mistaken for another is labelled, it shows which it is.
    WhichKey {
        /// Where it is, or was.
        port: &'a str,
        /// The job.
        job: &'a str,
        /// Whose.
        upn: &'a str,
        /// `wink`: it flashes now. `re-plug`: it can't; take it out and put it in again. `put-back`: it was taken out too
        /// soon; put it in again.
        by: &'a str,
    },
    /// The tenant asked us to wait.
    Throttled {
        /// What was asked.
        call: &'a str,
        /// HTTP status.
        status: u16,
        /// How long we wait.
        seconds: f64,
    },
    /// Something on the way to the tenant failed in passing; it is tried again by itself.
    Retrying {
        /// What was asked.
        call: &'a str,
        /// What happened.
        why: &'a str,
        /// How long we wait.
        seconds: f64,
    },
    /// No key is touched until this is mended.
    Paused {
        /// A code.
        code: &'a str,
        /// Why.
        reason: &'a str,
        /// What to do.
        next: &'a str,
    },
    /// Mended.
    Resumed {},
    /// A job is finished.
    Finished {
        /// The job.
        job: &'a str,
        /// Whose.
        upn: &'a str,
        /// base64url.
        credential_id: &'a str,
        /// Graph's id.
        method_id: &'a str,
        /// Model.
        aaguid: &'a str,
        /// If it tells one.
        serial: Option<&'a str>,
        /// Where.
        port: &'a str,
        /// `true`, `false` or `"unsupported"`.
        force_change: ForceChange,
    },
    /// A job is done at the bench, and registered on receipt.
    Held {
        /// The job.
        job: &'a str,
        /// Whose.
        upn: &'a str,
        /// base64url.
        credential_id: &'a str,
        /// Model.
        aaguid: &'a str,
        /// If it tells one.
        serial: Option<&'a str>,
        /// Where.
        port: &'a str,
        /// `true`, `false` or `"unsupported"`.
        force_change: ForceChange,
        /// Until when it can be registered.
        expires: &'a str,
    },
    /// A try is over without a finished key.
    Failed {
        /// The job.
        job: &'a str,
        /// Whose.
        upn: &'a str,
        /// Where.
        port: Option<&'a str>,
        /// A code.
        code: &'a str,
        /// Why.
        reason: &'a str,
        /// What to do.
        next: &'a str,
    },
    /// A job is left open.
    Parked {
        /// The job.
        job: &'a str,
        /// Whose.
        upn: &'a str,
        /// Where, if a key had been begun.
        port: Option<&'a str>,
        /// A code.
        code: &'a str,
        /// What to do.
        next: &'a str,
    },
    /// The last line of a run.
    Summary {
        /// The sum of the next five.
        planned: u64,
        /// In this run.
        finished: u64,
        /// In an earlier run.
        already: u64,
        /// Tried and failed.
        failed: u64,
        /// Not allowed to have a key.
        refused: u64,
        /// Still open.
        parked: u64,
        /// Keys that were not fit.
        keys_refused: u64,
        /// Touches given.
        touches: u64,
        /// Calls to Graph, without repeats.
        graph_requests: u64,
        /// Repeats and polls.
        graph_retries: u64,
        /// From start to end.
        seconds: f64,
        /// The ledger's head hash.
        head: &'a str,
        /// Of those finished and already: made, and registered on receipt. No part of the sum.
        held: u64,
    },
    /// The command failed.
    Error {
        /// A code.
        code: &'a str,
        /// What happened.
        what: &'a str,
        /// Why.
        causes: &'a [String],
        /// What to do.
        next: &'a str,
        /// The exit code.
        exit: u8,
    },
}

/// Whether the key makes its user change the PIN: `true`, `false` or `"unsupported"` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForceChange {
    /// It does.
    Forced,
    /// Left off by policy.
    NotAsked,
    /// The key can't.
    Unsupported,
}

impl Serialize for ForceChange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Forced => serializer.serialize_bool(true),
            Self::NotAsked => serializer.serialize_bool(false),
            Self::Unsupported => serializer.serialize_str("unsupported"),
        }
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
