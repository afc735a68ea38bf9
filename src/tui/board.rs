//! What each port is doing, kept from the stream of progress. Pure: time is handed in.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{KeyRef, PortName};
use crate::pipeline::progress::{Progress, ShownBy, Stage};

/// What a port shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// Nothing in it.
    Empty,
    /// The key is this far.
    At(Stage),
    /// Finished: label it and take it out.
    TakeOut,
    /// Its light flashes, so that it is not mistaken for another: label this one and take it out.
    Flashing,
    /// It can't flash: take it out and put it in again.
    Replug,
    /// Not fit, or failed: take it out and mark it.
    Reject {
        /// Why.
        code: String,
    },
    /// Pulled in the middle: its key has to come back.
    Missing,
    /// Taken out before it was known which it is: it has to come back, to be labelled.
    Unknown,
}

/// One port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortView {
    /// What it shows.
    pub doing: Doing,
    /// Since when, on the bench's monotonic clock.
    pub since: Duration,
    /// The key in it, once known.
    pub key: Option<KeyRef>,
    /// Whose key it is to be, with the job.
    pub person: Option<(String, String)>,
}

/// The whole bench.
#[derive(Debug, Clone)]
pub struct Board {
    /// Ports in the order of their names.
    pub ports: BTreeMap<PortName, PortView>,
    /// Jobs to serve in this run.
    pub to_serve: usize,
    /// Finished in this run.
    pub finished: usize,
    /// Failed for this run.
    pub failed: usize,
    /// Keys refused.
    pub keys_refused: usize,
    /// Why touches pause.
    pub paused: Option<String>,
    /// The person has ended the run; what is in flight is being finished or set aside.
    pub ending: bool,
    /// When it started.
    pub started: Duration,
    /// When each of the last keys was finished; for the rate.
    recent: VecDeque<Duration>,
}

/// Keys that the rate is worked out from.
const RATE_OVER: usize = 20;

impl Board {
    /// An empty bench.
    pub fn new(now: Duration) -> Self {
        Self {
            ports: BTreeMap::new(),
            to_serve: 0,
            finished: 0,
            failed: 0,
            keys_refused: 0,
            paused: None,
            ending: false,
            started: now,
            recent: VecDeque::new(),
        }
    }

    fn port(&mut self, port: &PortName, now: Duration) -> &mut PortView {
        self.ports.entry(port.clone()).or_insert_with(|| PortView {
            doing: Doing::Empty,
            since: now,
            key: None,
            person: None,
        })
    }

    fn show(&mut self, port: &PortName, doing: Doing, now: Duration) {
        let view = self.port(port, now);
        if view.doing != doing {
            view.doing = doing;
            view.since = now;
        }
    }

    /// Takes in what happened.
    pub fn apply(&mut self, progress: &Progress, now: Duration) {
        match progress {
            Progress::Ready { ports, waiting, begun } => {
                self.to_serve = waiting + begun;
                for port in ports {
                    self.port(port, now);
                }
            }
            Progress::Plugged { port } => {
                let view = self.port(port, now);
                *view = PortView { doing: Doing::At(Stage::Identifying), since: now, key: None, person: None };
            }
            Progress::Identified { key } => self.port(&key.port, now).key = Some(key.clone()),
            Progress::Assigned { port, job, upn, .. } => {
                self.port(port, now).person = Some((upn.clone(), job.to_string()));
            }
            Progress::Stage { port, stage } => self.show(port, Doing::At(*stage), now),
            Progress::KeyRefused { key, .. } => {
                self.keys_refused += 1;
                self.port(&key.port, now).key = Some(key.clone());
            }
            Progress::Reject { port, code } => self.show(port, Doing::Reject { code: code.clone() }, now),
            Progress::Finished(_) => {
                self.finished += 1;
                self.recent.push_back(now);
                while self.recent.len() > RATE_OVER {
                    self.recent.pop_front();
                }
            }
            Progress::WhichKey { port, by, .. } => {
                let doing = match by {
                    ShownBy::Wink => Doing::Flashing,
                    ShownBy::Replug => Doing::Replug,
                    ShownBy::PutBack => Doing::Unknown,
                };
                self.show(port, doing, now);
            }
            // What flashes goes on flashing until it is out.
            Progress::TakeOut { port, .. } if self.port(port, now).doing == Doing::Flashing => {}
            Progress::TakeOut { port, .. } => self.show(port, Doing::TakeOut, now),
            Progress::Taken { port, .. } => self.show(port, Doing::Empty, now),
            Progress::PulledEarly { port, .. } => self.show(port, Doing::Missing, now),
            Progress::Left { port } => {
                // What has to come back is still to be seen.
                if !matches!(self.port(port, now).doing, Doing::Missing | Doing::Unknown) {
                    self.show(port, Doing::Empty, now);
                }
            }
            Progress::Failed { final_for_run, .. } => self.failed += usize::from(*final_for_run),
            Progress::Paused { code, .. } => self.paused = Some(code.clone()),
            Progress::Unpaused => self.paused = None,
            Progress::Bound { .. }
            | Progress::TouchRearmed { .. }
            | Progress::TouchesTooClose { .. }
            | Progress::Throttled { .. }
            | Progress::Retrying { .. }
            | Progress::Parked { .. }
            | Progress::Note(_)
            | Progress::Summary(_) => {}
        }
    }

    /// Keys per hour over the last twenty, once there are enough to say.
    pub fn keys_per_hour(&self) -> Option<f64> {
        let (first, last) = (self.recent.front()?, self.recent.back()?);
        let hours = last.saturating_sub(*first).as_secs_f64() / 3600.0;
        (self.recent.len() >= 3 && hours > 0.0).then(|| (self.recent.len() - 1) as f64 / hours)
    }

    /// Jobs that still wait for their key, or have it half.
    pub fn to_go(&self) -> usize {
        self.to_serve.saturating_sub(self.finished + self.failed)
    }

    /// Ports whose key blinks now.
    pub fn blinking(&self) -> impl Iterator<Item = &PortName> {
        self.ports.iter().filter(|(_, view)| view.doing == Doing::At(Stage::Touch)).map(|(port, _)| port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobId;

    #[test]
    fn a_key_that_flashes_does_so_until_it_is_out() {
        let mut board = Board::new(Duration::ZERO);
        let (port, job, upn) = (PortName::new("3"), JobId::new("J"), "kim@contoso.com".to_owned());
        let which = |by| Progress::WhichKey { port: port.clone(), job: job.clone(), upn: upn.clone(), by };
        let due = Progress::TakeOut { port: port.clone(), job: job.clone(), upn: upn.clone() };
        for (progress, doing) in [
            (which(ShownBy::Wink), Doing::Flashing),
            (due.clone(), Doing::Flashing),
            (Progress::Taken { port: port.clone(), job: job.clone() }, Doing::Empty),
            (which(ShownBy::Replug), Doing::Replug),
            (which(ShownBy::PutBack), Doing::Unknown),
            (due, Doing::TakeOut),
        ] {
            board.apply(&progress, Duration::ZERO);
            assert_eq!(board.ports[&port].doing, doing, "{progress:?}");
        }
    }

    #[test]
    fn a_key_that_has_left_is_not_shown_any_more_unless_it_has_to_come_back() {
        let mut board = Board::new(Duration::ZERO);
        let port = PortName::new("3");
        let left = Progress::Left { port: port.clone() };
        board.apply(&Progress::Plugged { port: port.clone() }, Duration::ZERO);
        board.apply(&left, Duration::ZERO);
        assert_eq!(board.ports[&port].doing, Doing::Empty, "pulled while it was read");
        board.apply(&Progress::Reject { port: port.clone(), code: "has-pin".into() }, Duration::ZERO);
        board.apply(&left, Duration::ZERO);
        assert_eq!(board.ports[&port].doing, Doing::Empty);
        let (job, upn) = (JobId::new("J"), "kim@contoso.com".to_owned());
        let by = ShownBy::PutBack;
        board.apply(&Progress::WhichKey { port: port.clone(), job, upn, by }, Duration::ZERO);
        board.apply(&left, Duration::ZERO);
        assert_eq!(board.ports[&port].doing, Doing::Unknown);
    }

    #[test]
    fn a_port_shows_the_last_thing_that_happened_to_it() {
        let mut board = Board::new(Duration::ZERO);
        let port = PortName::new("3");
        let at = Duration::from_secs;
        board.apply(&Progress::Plugged { port: port.clone() }, at(1));
        board.apply(
            &Progress::Assigned {
                port: port.clone(),
                job: JobId::new("J"),
                upn: "kim@contoso.com".into(),
                resumed: false,
            },
            at(1),
        );
        board.apply(&Progress::Stage { port: port.clone(), stage: Stage::Touch }, at(2));
        board.apply(&Progress::Stage { port: port.clone(), stage: Stage::Touch }, at(9));
        assert_eq!(board.blinking().collect::<Vec<_>>(), [&port]);
        assert_eq!(board.ports[&port].since, at(2), "the time does not start again");
        board.apply(&Progress::Plugged { port: port.clone() }, at(20));
        assert_eq!(board.ports[&port].person, None, "another key, nobody's yet");
    }
}
