//! The first key of a run, and of each new model or firmware, goes alone as far as its read-back. If the tenant, the policy
//! or the model is wrong, one key finds out, not sixteen.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bell::Bell;
use crate::model::{Aaguid, Firmware};

/// Keys that behave alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Class {
    /// Model.
    pub aaguid: Aaguid,
    /// Firmware, when told.
    pub firmware: Option<Firmware>,
}

#[derive(Debug, Default)]
struct Inner {
    proven: HashSet<Class>,
    alone: bool,
    together: usize,
    wants_alone: usize,
}

/// Lets keys of proven classes pass together, and the first of a class alone.
#[derive(Debug, Default)]
pub struct Canary {
    inner: Mutex<Inner>,
    bell: Bell,
}

/// Held from before the PIN until the read-back.
#[derive(Debug)]
pub struct Pass<'a> {
    canary: &'a Canary,
    class: Class,
    alone: bool,
}

impl Pass<'_> {
    /// This key is the first of its class.
    pub fn is_first(&self) -> bool {
        self.alone
    }

    /// The read-back agreed: the others may go.
    pub fn proved(self) {
        self.canary.lock().proven.insert(self.class.clone());
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut inner = self.canary.lock();
        if self.alone {
            inner.alone = false;
        } else {
            inner.together = inner.together.saturating_sub(1);
        }
        drop(inner);
        self.canary.bell.ring();
    }
}

impl Canary {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody has gone yet. It rings when anything about it changes.
    pub fn new(bell: Bell) -> Self {
        Self { inner: Mutex::default(), bell }
    }

    /// Waits until a key of this class may go; `None` when `give_up` says so first, which must ring as well.
    pub fn enter(&self, class: &Class, give_up: &dyn Fn() -> bool) -> Option<Pass<'_>> {
        let mut counted = false;
        let pass = loop {
            let heard = self.bell.rings();
            if give_up() {
                break None;
            }
            if let Some(alone) = self.lock().admit(class, &mut counted) {
                break Some(Pass { canary: self, class: class.clone(), alone });
            }
            self.bell.wait(heard, None);
        };
        if counted {
            let mut inner = self.lock();
            inner.wants_alone = inner.wants_alone.saturating_sub(1);
        }
        self.bell.ring();
        pass
    }
}

impl Inner {
    /// Whether a key of this class may go now, and if so, whether alone. `counted` keeps that it is known to want to go alone.
    fn admit(&mut self, class: &Class, counted: &mut bool) -> Option<bool> {
        if self.proven.contains(class) {
            // Those who must go alone come first, or a steady stream would keep them out for ever.
            let goes = !self.alone && (self.wants_alone == 0 || *counted);
            self.together += usize::from(goes);
            return goes.then_some(false);
        }
        if !*counted {
            self.wants_alone += 1;
            *counted = true;
        }
        let goes = !self.alone && self.together == 0;
        self.alone |= goes;
        goes.then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn class(firmware: &str) -> Class {
        Class { aaguid: Aaguid::ZERO, firmware: Some(Firmware::new(firmware)) }
    }

    #[test]
    fn the_first_goes_alone_and_opens_the_way_for_its_class_only() {
        let bell = Bell::default();
        let canary = Canary::new(bell.clone());
        let first = canary.enter(&class("1"), &|| false).expect("goes");
        assert!(first.is_first());
        assert!(canary.enter(&class("1"), &|| true).is_none(), "the second waits");
        first.proved();
        let second = canary.enter(&class("1"), &|| false).expect("goes");
        let third = canary.enter(&class("1"), &|| false).expect("goes beside it");
        assert!(!second.is_first() && !third.is_first());
        // Another firmware has to prove itself, alone.
        let pulled = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| canary.enter(&class("2"), &|| pulled.load(Ordering::SeqCst)).is_none());
            std::thread::sleep(std::time::Duration::from_millis(10));
            pulled.store(true, Ordering::SeqCst);
            bell.ring();
            assert!(waits.join().expect("woken"), "it was pulled while it waited");
        });
        drop((second, third));
        assert!(canary.enter(&class("2"), &|| false).expect("goes").is_first());
    }

    #[test]
    fn a_first_key_that_fails_leaves_its_place_to_the_next() {
        let canary = Canary::default();
        drop(canary.enter(&class("1"), &|| false));
        assert!(canary.enter(&class("1"), &|| false).expect("goes").is_first());
    }
}
