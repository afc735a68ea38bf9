//! What is most useful now? Pure: what the person sees in, one action out.

use std::time::Duration;

use super::Fate;
use crate::model::PortName;

/// One port, as the person sees it.
pub(super) struct PortView {
    pub(super) port: PortName,
    pub(super) place: Place,
    /// A key that left it early goes back there.
    pub(super) reserved: bool,
}

pub(super) enum Place {
    Empty,
    /// A key lies before it.
    Fallen,
    Key {
        /// The bench has said what to do with it.
        fate: Option<Fate>,
        /// It blinks, and is to be touched then.
        touch_at: Option<Duration>,
        /// It is to be pulled although nobody said so.
        pull: bool,
    },
}

pub(super) struct View {
    pub(super) now: Duration,
    pub(super) ports: Vec<PortView>,
    /// Keys that go back: where, and when.
    pub(super) loose: Vec<(PortName, Duration)>,
    pub(super) box_has_key: bool,
    pub(super) done: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Touch(PortName),
    PullEarly(PortName),
    PickUp(PortName),
    PutBack { index: usize, port: PortName },
    TakeOut(PortName, Fate),
    PlugNew(PortName),
}

/// A touch first: it is short, and a machine waits for it. Then what gives the machine more to do: a key back, a new key.
/// Then making room.
pub(super) fn choose(view: &View) -> Option<Action> {
    let keys = || {
        view.ports.iter().filter_map(|port| match &port.place {
            Place::Key { fate, touch_at, pull } => Some((&port.port, *fate, *touch_at, *pull)),
            Place::Empty | Place::Fallen => None,
        })
    };
    if !view.done {
        if let Some((port, ..)) = keys().find(|(_, fate, _, pull)| *pull && fate.is_none()) {
            return Some(Action::PullEarly(port.clone()));
        }
        let ripe = keys().filter(|(_, fate, touch_at, _)| fate.is_none() && touch_at.is_some_and(|at| at <= view.now));
        if let Some((port, ..)) = ripe.min_by_key(|(_, _, touch_at, _)| *touch_at) {
            return Some(Action::Touch(port.clone()));
        }
    }
    if let Some(port) = view.ports.iter().find(|port| matches!(port.place, Place::Fallen)) {
        return Some(Action::PickUp(port.port.clone()));
    }
    let empty =
        |port: &PortName| view.ports.iter().any(|view| view.port == *port && matches!(view.place, Place::Empty));
    if !view.done {
        for (index, (port, due)) in view.loose.iter().enumerate() {
            if *due <= view.now && empty(port) {
                return Some(Action::PutBack { index, port: port.clone() });
            }
        }
        let free = view.ports.iter().find(|port| matches!(port.place, Place::Empty) && !port.reserved);
        if let (true, Some(port)) = (view.box_has_key, free) {
            return Some(Action::PlugNew(port.port.clone()));
        }
    }
    keys().find_map(|(port, fate, ..)| Some(Action::TakeOut(port.clone(), fate?)))
}

impl View {
    /// Nothing can happen any more that the person has a part in.
    pub(super) fn nothing_left(&self) -> bool {
        let empty = self.ports.iter().all(|port| matches!(port.place, Place::Empty));
        empty && (self.done || (self.loose.is_empty() && !self.box_has_key))
    }

    /// When something becomes due by itself.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let touches = self.ports.iter().filter_map(|port| match port.place {
            Place::Key { touch_at, .. } => touch_at,
            Place::Empty | Place::Fallen => None,
        });
        touches.chain(self.loose.iter().map(|(_, due)| *due)).filter(|due| *due > self.now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(number: usize) -> PortName {
        PortName::new(format!("sim-{number}"))
    }

    fn key(fate: Option<Fate>, touch_at: Option<u64>, pull: bool) -> Place {
        Place::Key { fate, touch_at: touch_at.map(Duration::from_secs), pull }
    }

    fn view(places: Vec<Place>) -> View {
        let ports = places.into_iter().enumerate();
        View {
            now: Duration::from_secs(10),
            ports: ports.map(|(at, place)| PortView { port: port(at + 1), place, reserved: false }).collect(),
            loose: Vec::new(),
            box_has_key: true,
            done: false,
        }
    }

    #[test]
    fn the_longest_due_touch_comes_first_then_plugging_then_room() {
        let mut seen = view(vec![
            key(Some(Fate::Finished), None, false),
            Place::Empty,
            key(None, Some(9), false),
            key(None, Some(8), false),
            key(None, Some(11), false),
        ]);
        assert_eq!(choose(&seen), Some(Action::Touch(port(4))));
        seen.ports.truncate(2);
        assert_eq!(choose(&seen), Some(Action::PlugNew(port(2))));
        seen.box_has_key = false;
        assert_eq!(choose(&seen), Some(Action::TakeOut(port(1), Fate::Finished)));
    }

    #[test]
    fn a_touch_that_is_not_ripe_is_waited_for() {
        let seen = view(vec![key(None, Some(11), false)]);
        assert_eq!(choose(&seen), None);
        assert_eq!(seen.next_due(), Some(Duration::from_secs(11)));
        assert!(!seen.nothing_left());
    }

    #[test]
    fn a_key_that_left_goes_back_where_it_was() {
        let mut seen = view(vec![Place::Empty, Place::Fallen]);
        seen.ports[0].reserved = true;
        seen.loose = vec![(port(1), Duration::from_secs(12))];
        assert_eq!(choose(&seen), Some(Action::PickUp(port(2))));
        seen.ports[1].place = Place::Empty;
        seen.box_has_key = false;
        assert_eq!(choose(&seen), None);
        assert!(!seen.nothing_left());
        seen.now = Duration::from_secs(12);
        assert_eq!(choose(&seen), Some(Action::PutBack { index: 0, port: port(1) }));
    }

    #[test]
    fn at_the_end_everything_comes_out_and_nothing_goes_in() {
        let mut seen = view(vec![key(Some(Fate::Left), Some(1), true), Place::Empty]);
        seen.done = true;
        seen.loose = vec![(port(2), Duration::ZERO)];
        assert_eq!(choose(&seen), Some(Action::TakeOut(port(1), Fate::Left)));
        seen.ports[0].place = Place::Empty;
        assert_eq!(choose(&seen), None);
        assert!(seen.nothing_left());
    }
}
