//! A run, as it is shown: a live screen at a terminal, plain lines elsewhere, JSON Lines for programs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::cli::events::{Event, ForceChange};
use crate::cli::{Level, Output, live};
use crate::graph::{GraphEvent, Observer};
use crate::ledger::ForcedChange;
use crate::model::JobId;
use crate::pipeline::code::meaning;
use crate::pipeline::progress::{FinishedJob, Progress, Stage, Standing, Summary, Watcher as _};
use crate::provision::{Listener, Start};
use crate::roster::{Refusal, Warning};
use crate::tenant::preflight::Why;
use crate::tenant::preflight::verdict::Together;
use crate::tui::draw::Palette;
use crate::tui::say::{Tone, closing, say};
use crate::tui::screen::{Manner, Screen};
use crate::world::Clock;

/// Where a run is shown.
pub struct Shown<'a> {
    output: &'a Output,
    screen: Mutex<Option<Arc<Screen>>>,
    ports: usize,
    bell: bool,
    clock: Arc<dyn Clock>,
    heard: Option<&'a (dyn Fn(&Progress) + Send + Sync)>,
    /// Who is in each port, for events that name a port only.
    seated: Mutex<std::collections::HashMap<String, (String, String)>>,
    waits: (Sender<GraphEvent>, Mutex<Receiver<GraphEvent>>),
    ports_named: Vec<String>,
    /// Whom PINs are sealed to, once the run has begun.
    custodians: OnceLock<Vec<String>>,
}

impl<'a> Shown<'a> {
    /// A run on about so many ports; `bell`: the terminal's rings where somebody who looks elsewhere has to be called.
    pub fn new(
        output: &'a Output,
        ports: usize,
        bell: bool,
        clock: Arc<dyn Clock>,
        heard: Option<&'a (dyn Fn(&Progress) + Send + Sync)>,
    ) -> Self {
        Self {
            output,
            screen: Mutex::new(None),
            ports,
            bell,
            clock,
            heard,
            seated: Mutex::default(),
            waits: {
                let (waiting, heard) = channel();
                (waiting, Mutex::new(heard))
            },
            ports_named: Vec::new(),
            custodians: OnceLock::new(),
        }
    }

    /// With the ports that were named; none are all.
    #[must_use]
    pub fn naming(mut self, ports: Vec<String>) -> Self {
        self.ports_named = ports;
        self
    }

    /// What Graph's waits are told to.
    pub fn throttle_observer(&self) -> Arc<dyn Observer> {
        let waits = self.waits.0.clone();
        // Nobody listens any more once the run is over.
        Arc::new(move |event: GraphEvent| drop(waits.send(event)))
    }

    /// Does `work`, and tells of Graph's waits meanwhile: as they begin, for a minute without a word looks like a fault.
    pub fn while_telling<T>(&self, work: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self.tell_waits(&over));
            let done = work();
            over.store(true, Ordering::Relaxed);
            done
        })
    }

    fn tell_waits(&self, over: &AtomicBool) {
        let waits = self.waits.1.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match waits.recv_timeout(LOOK) {
                Ok(GraphEvent::Throttled { seconds, doing }) => {
                    self.output.json(&Event::Throttled { call: &doing, status: 429, seconds: seconds as f64 });
                    self.line(&Progress::Throttled { wait: Duration::from_secs(seconds) });
                }
                Ok(GraphEvent::Retrying { seconds, doing, why }) => {
                    self.output.json(&Event::Retrying { call: &doing, why: &why, seconds: seconds as f64 });
                    self.line(&Progress::Retrying { why, wait: Duration::from_secs(seconds) });
                }
                // Our own pace is no trouble; nor is an event of a kind that is newer than this.
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) if over.load(Ordering::Relaxed) => return,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn line(&self, progress: &Progress) {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(screen) = screen.as_ref() {
            screen.on(progress);
            return;
        }
        drop(screen);
        // With --json, stderr keeps to what a person would have to act on.
        let Some(said) = say(progress) else { return };
        if said.tone != Tone::Bad && self.output.style().json {
            self.output.detail(Level::Detailed, &said.text);
        } else {
            self.output.progress(&said.text);
        }
    }

    /// Gives the terminal back.
    pub fn close(&self) {
        live::end();
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The closing table, and the last event.
    pub fn summary(&self, summary: &Summary) {
        let head = summary.head.to_string();
        self.output.json(&Event::Summary {
            planned: summary.counts.planned,
            finished: summary.counts.finished,
            already: summary.counts.already,
            failed: summary.counts.failed,
            refused: summary.counts.refused,
            parked: summary.counts.parked,
            keys_refused: summary.counts.keys_refused,
            touches: summary.touches,
            graph_requests: summary.graph_requests,
            graph_retries: summary.graph_retries,
            seconds: summary.took.as_secs_f64(),
            head: &head,
            held: summary.counts.held,
        });
        self.output.answer("");
        let custodians = self.custodians.get().map_or(&[][..], Vec::as_slice);
        for line in closing(summary, custodians) {
            self.output.answer(&line);
        }
    }

    fn seat(&self, port: &str) -> Option<(String, String)> {
        self.seated.lock().unwrap_or_else(PoisonError::into_inner).get(port).cloned()
    }

    fn json(&self, progress: &Progress) {
        let next_of = |code: &str| meaning(code).map_or("", |meaning| meaning.next);
        match progress {
            Progress::Identified { key } => {
                let aaguid = key.aaguid.to_string();
                self.output.json(&Event::Plugged {
                    port: key.port.as_str(),
                    serial: key.serial.as_ref().map(|serial| serial.as_str()),
                    aaguid: Some(&aaguid),
                    model: key.model.as_deref(),
                });
            }
            Progress::KeyRefused { key, code, detail } => {
                let aaguid = key.aaguid.to_string();
                let reason = reason(code, detail.as_deref());
                self.output.json(&Event::KeyRefused {
                    port: key.port.as_str(),
                    serial: key.serial.as_ref().map(|serial| serial.as_str()),
                    aaguid: Some(&aaguid),
                    code,
                    reason: &reason,
                    next: next_of(code),
                });
            }
            Progress::Assigned { port, job, upn, .. } => {
                self.seated
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(port.to_string(), (job.to_string(), upn.clone()));
            }
            Progress::Stage { port, stage: Stage::Touch } => {
                if let Some((job, upn)) = self.seat(port.as_str()) {
                    self.output.json(&Event::Touch { port: port.as_str(), job: &job, upn: &upn });
                }
            }
            Progress::TouchesTooClose { ports } => {
                let ports: Vec<&str> = ports.iter().map(|port| port.as_str()).collect();
                self.output.json(&Event::TouchesTooClose { ports: &ports });
            }
            Progress::WhichKey { port, job, upn, by } => {
                self.output.json(&Event::WhichKey { port: port.as_str(), job: job.as_str(), upn, by: by.as_str() });
            }
            Progress::Paused { code, detail } => {
                let reason = reason(code, Some(detail));
                self.output.json(&Event::Paused { code, reason: &reason, next: next_of(code) });
            }
            Progress::Unpaused => self.output.json(&Event::Resumed {}),
            Progress::Finished(done) => self.finished(done),
            Progress::Taken { port, .. } => {
                self.output.json(&Event::Unplugged { port: port.as_str(), job: None });
            }
            Progress::PulledEarly { port, job, .. } => {
                self.output.json(&Event::Unplugged { port: port.as_str(), job: Some(job.as_str()) });
            }
            Progress::Failed { job, upn, port, code, detail, .. } => {
                let reason = reason(code, detail.as_deref());
                self.output.json(&Event::Failed {
                    job: job.as_str(),
                    upn,
                    port: Some(port.as_str()).filter(|port| *port != "-"),
                    code,
                    reason: &reason,
                    next: next_of(code),
                });
            }
            Progress::Parked { job, upn, port, code } => {
                self.output.json(&Event::Parked {
                    job: job.as_str(),
                    upn,
                    port: port.as_ref().map(|port| port.as_str()),
                    code,
                    next: next_of(code),
                });
            }
            _ => {}
        }
    }
}

impl Shown<'_> {
    fn finished(&self, done: &FinishedJob) {
        let (job, aaguid) = (done.job.to_string(), done.key.aaguid.to_string());
        let credential_id = &done.credential.to_base64url();
        let (serial, port) = (done.key.serial.as_ref().map(|serial| serial.as_str()), done.key.port.as_str());
        let force_change = match done.forced {
            ForcedChange::Forced => ForceChange::Forced,
            ForcedChange::NotAsked => ForceChange::NotAsked,
            ForcedChange::Unsupported => ForceChange::Unsupported,
        };
        let (job, upn, aaguid) = (job.as_str(), done.upn.as_str(), aaguid.as_str());
        match &done.standing {
            Standing::Registered(method) => {
                let method_id = method.as_str();
                let event = Event::Finished { job, upn, credential_id, method_id, aaguid, serial, port, force_change };
                self.output.json(&event);
            }
            Standing::Held { expires } => {
                let expires = &expires.to_string();
                let event = Event::Held { job, upn, credential_id, aaguid, serial, port, force_change, expires };
                self.output.json(&event);
            }
        }
    }
}

/// How often it is looked whether the run is over.
const LOOK: Duration = Duration::from_millis(20);

/// The fact of a code, with more words when there are any.
fn reason(code: &str, detail: Option<&str>) -> String {
    let what = meaning(code).map_or(code, |meaning| meaning.what);
    match detail {
        Some(detail) if !detail.is_empty() => format!("{what} {}", detail.replace('\n', " ")),
        _ => what.to_owned(),
    }
}

impl Listener for Shown<'_> {
    fn note(&self, text: &str) {
        self.output.progress(text);
    }

    fn weighed(&self, group: &Together<'_>) {
        let finding = group.finding;
        let checks: Vec<String> = group.checks.iter().map(|(id, _)| id.to_string()).collect();
        let next = finding.remedy.as_ref().map_or("", |remedy| remedy.text.as_str());
        self.output.json(&Event::Weighed {
            checks: &checks,
            verdict: finding.verdict.word(),
            what: &finding.what,
            why: finding.why.map(Why::word),
            next,
        });
        let next = if next.is_empty() { String::new() } else { format!("\n  Next: {next}") };
        self.output.progress(&format!("{} {}: {}{next}", finding.verdict.word(), group.title(), finding.what));
    }

    fn warned(&self, warning: &Warning) {
        self.output.json(&Event::Warning {
            code: warning.code,
            upn: warning.upn.as_ref().map(|upn| upn.as_str()),
            line: warning.line,
            text: &warning.text,
        });
        let place = warning.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        self.output.warning(&format!("{place}{}", warning.text));
    }

    fn refused(&self, refusal: &Refusal, job: Option<&JobId>) {
        self.output.json(&Event::Refused {
            job: job.map(|job| job.as_str()),
            upn: refusal.upn.as_str(),
            port: None,
            code: refusal.code.as_str(),
            line: refusal.line,
            reason: &refusal.reason,
            next: &refusal.next,
        });
        let place = refusal.line.map(|line| format!("line {line}, ")).unwrap_or_default();
        // Most reasons begin with the name.
        let who = match refusal.reason.starts_with(refusal.upn.as_str()) {
            true => String::new(),
            false => format!("{}: ", refusal.upn),
        };
        self.output.progress(&format!("Refused: {place}{who}{}\n  Next: {}", refusal.reason, refusal.next));
    }

    fn started(&self, start: &Start<'_>) {
        self.output.json(&Event::Started {
            run: start.run,
            batch: start.batch,
            tenant: start.tenant,
            roster: start.roster,
            planned: start.planned,
            ports: &self.ports_named,
            custodians: &start.custodians,
        });
        self.output.progress(&format!(
            "Run {} for {} ({} planned) in tenant {}.\nPINs are sealed to {}; {:.1} bits each.",
            start.run,
            start.roster,
            start.planned,
            start.tenant,
            start.custodians.join(", "),
            start.pin_bits,
        ));
        // A run begins once.
        let _ = self.custodians.set(start.custodians.clone());
        let style = self.output.style();
        if style.stderr_is_terminal && !style.json {
            let manner = Manner { palette: Palette { colour: style.color }, bell: self.bell };
            // A terminal that tells no size gets plain lines.
            let opened = Screen::open(self.ports, manner, Arc::clone(&self.clock)).ok().map(Arc::new);
            if let Some(screen) = &opened {
                live::begin(Arc::clone(screen));
            }
            *self.screen.lock().unwrap_or_else(PoisonError::into_inner) = opened;
        }
    }

    fn happened(&self, progress: &Progress) {
        self.json(progress);
        self.line(progress);
        if let Some(heard) = self.heard {
            heard(progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        assert_eq!(reason("has-pin", None), "The key already has a PIN that this bench did not set.");
        let long = reason("registration-refused", Some("400\nbadRequest"));
        assert!(!long.contains('\n') && long.ends_with("400 badRequest"), "{long}");
    }
}
