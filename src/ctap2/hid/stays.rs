//! Which key is in which port, and since when. Pure bookkeeping: what sees keys come and go tells it, whoever wants to know
//! is told by it, and each stay has a number that is never used again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::model::{PlugId, PortName};
use crate::world::{PluggedKey, PortEvent};

/// Numbers stays through the whole program.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// One FIDO interface as the operating system shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// What the operating system opens: `/dev/hidraw3`, a device path. These are used again.
    pub node: String,
    /// What tells one occupant of the node from the next, where the system has such a thing; else the node.
    pub instance: String,
    pub port: PortName,
    pub vendor_id: u16,
    pub product_id: u16,
    pub manufacturer: String,
    pub product: String,
    pub usb_serial: Option<String>,
    /// This account may open the node, as far as the system tells beforehand.
    pub may_open: bool,
}

struct Stay {
    seen: Seen,
    key: PluggedKey,
}

/// The stays there are now.
#[derive(Default)]
pub(super) struct Stays {
    by_node: BTreeMap<String, Stay>,
    watchers: Vec<Sender<PortEvent>>,
}

impl Stays {
    /// A key was seen. Seeing it again changes nothing, unless it could not be opened and now can: for whoever was turned away
    /// that is a new stay. Another key under the same node ends the first one's stay.
    pub(super) fn arrived(&mut self, seen: Seen, at_start: bool) {
        match self.by_node.get(&seen.node) {
            Some(stay) if stay.seen.instance == seen.instance && (stay.seen.may_open || !seen.may_open) => return,
            Some(_) => self.left(&seen.node.clone()),
            None => {}
        }
        let key = PluggedKey {
            port: seen.port.clone(),
            plug: PlugId(NEXT.fetch_add(1, Ordering::Relaxed)),
            vendor_id: seen.vendor_id,
            product_id: seen.product_id,
            manufacturer: seen.manufacturer.clone(),
            product: seen.product.clone(),
            usb_serial: seen.usb_serial.clone(),
            present_at_start: at_start,
        };
        self.by_node.insert(seen.node.clone(), Stay { seen, key: key.clone() });
        self.tell(&PortEvent::Plugged(key));
    }

    /// The node is gone.
    pub(super) fn left(&mut self, node: &str) {
        if let Some(stay) = self.by_node.remove(node) {
            self.tell(&PortEvent::Unplugged { port: stay.key.port, plug: stay.key.plug });
        }
    }

    /// Everything that is there now: what is not among it has left.
    pub(super) fn all(&mut self, seen: Vec<Seen>, at_start: bool) {
        let gone: Vec<String> =
            self.by_node.keys().filter(|node| !seen.iter().any(|seen| seen.node == **node)).cloned().collect();
        gone.iter().for_each(|node| self.left(node));
        seen.into_iter().for_each(|seen| self.arrived(seen, at_start));
    }

    /// The keys that are there.
    pub(super) fn list(&self) -> Vec<PluggedKey> {
        self.by_node.values().map(|stay| stay.key.clone()).collect()
    }

    /// Where the key of a stay can be opened; `None` when the stay is over.
    pub(super) fn find(&self, plug: PlugId) -> Option<&Seen> {
        self.by_node.values().find(|stay| stay.key.plug == plug).map(|stay| &stay.seen)
    }

    /// The port paths that are taken.
    #[cfg(any(test, not(target_os = "linux")))]
    pub(super) fn takes(&self, port: &PortName) -> bool {
        self.by_node.values().any(|stay| stay.seen.port == *port)
    }

    /// The port of the key under a node.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn port_of(&self, node: &str) -> Option<&PortName> {
        self.by_node.get(node).map(|stay| &stay.seen.port)
    }

    /// Events from now on; the keys that are there come first, and were there at the start.
    pub(super) fn watch(&mut self) -> Receiver<PortEvent> {
        let (sender, receiver) = channel();
        for stay in self.by_node.values() {
            // The receiver is in our hands: this can't fail.
            let _ = sender.send(PortEvent::Plugged(PluggedKey { present_at_start: true, ..stay.key.clone() }));
        }
        self.watchers.push(sender);
        receiver
    }

    /// The operating system tells nothing any more: the watchers' channels end.
    pub(super) fn blind(&mut self) {
        self.watchers.clear();
    }

    fn tell(&mut self, event: &PortEvent) {
        self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(node: &str, instance: &str) -> Seen {
        Seen {
            node: node.into(),
            instance: instance.into(),
            port: PortName::new(format!("port of {instance}")),
            vendor_id: 0x1050,
            product_id: 0x0407,
            manufacturer: String::new(),
            product: String::new(),
            usb_serial: None,
            may_open: true,
        }
    }

    #[test]
    fn a_right_that_comes_late_begins_a_new_stay() {
        let mut stays = Stays::default();
        stays.arrived(Seen { may_open: false, ..seen("hidraw3", "a") }, false);
        let denied = stays.list()[0].plug;
        stays.arrived(Seen { may_open: false, ..seen("hidraw3", "a") }, false);
        assert_eq!(stays.list()[0].plug, denied, "still no right");
        stays.arrived(seen("hidraw3", "a"), false);
        let allowed = stays.list()[0].plug;
        assert_ne!(denied, allowed);
        stays.arrived(Seen { may_open: false, ..seen("hidraw3", "a") }, false);
        assert_eq!(stays.list()[0].plug, allowed, "a key in use is not torn away");
    }

    #[test]
    fn a_node_used_again_is_another_stay() {
        let mut stays = Stays::default();
        stays.arrived(seen("hidraw3", "a"), true);
        let first = stays.list()[0].plug;
        let events = stays.watch();
        stays.arrived(seen("hidraw3", "a"), false);
        assert_eq!(stays.list()[0].plug, first, "seen twice, one stay");
        stays.arrived(seen("hidraw3", "b"), false);
        let second = stays.list()[0].plug;
        assert_ne!(first, second);
        assert!(stays.find(first).is_none());
        assert_eq!(stays.find(second).map(|seen| seen.instance.as_str()), Some("b"));
        let told: Vec<_> = events.try_iter().collect();
        assert!(matches!(&told[0], PortEvent::Plugged(key) if key.plug == first && key.present_at_start));
        assert!(matches!(&told[1], PortEvent::Unplugged { plug, .. } if *plug == first));
        assert!(matches!(&told[2], PortEvent::Plugged(key) if key.plug == second && !key.present_at_start));
        assert_eq!(told.len(), 3);
    }

    #[test]
    fn a_whole_list_says_who_left() {
        let mut stays = Stays::default();
        stays.all(vec![seen("1", "a"), seen("2", "b")], true);
        let events = stays.watch();
        assert_eq!(events.try_iter().count(), 2);
        stays.all(vec![seen("2", "b"), seen("3", "c")], false);
        assert_eq!(events.try_iter().count(), 2);
        assert!(stays.takes(&PortName::new("port of c")) && !stays.takes(&PortName::new("port of a")));
        stays.blind();
        assert!(events.recv().is_err());
    }
}
