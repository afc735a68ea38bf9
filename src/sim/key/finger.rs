//! Whoever touches a simulated key.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::line::{Line, lock};

/// What happens when a key asks for a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Touch {
    /// A hand touches it when it pleases: see [`Finger::press`].
    #[default]
    Hand,
    /// It counts as touched at once.
    AtOnce,
    /// It is touched that long after it began to blink.
    After(Duration),
    /// Nobody touches it, and a press counts no more than with [`Touch::Hand`].
    Never,
    /// The person says no: 0x27 OPERATION_DENIED.
    Decline,
}

/// A handle on one key's touch; clones are the same finger. It keeps its rule when the key changes ports.
#[derive(Clone, Default)]
pub struct Finger(Arc<State>);

#[derive(Default)]
struct State {
    rule: Mutex<Touch>,
    line: Mutex<Weak<Line>>,
}

impl Finger {
    /// Changes the rule, also for a wait that is going on.
    pub fn set(&self, touch: Touch) {
        *lock(&self.0.rule) = touch;
        if let Some(line) = self.line() {
            line.nudge();
        }
    }

    /// The rule in force.
    pub fn rule(&self) -> Touch {
        *lock(&self.0.rule)
    }

    /// Touches the key. `false` when it was not waiting for a touch: then nothing happens.
    pub fn press(&self) -> bool {
        self.line().is_some_and(|line| line.press())
    }

    /// Whether the key waits for a touch now.
    pub fn is_blinking(&self) -> bool {
        self.line().is_some_and(|line| line.is_blinking())
    }

    pub(super) fn lay_on(&self, line: &Arc<Line>) {
        *lock(&self.0.line) = Arc::downgrade(line);
    }

    fn line(&self) -> Option<Arc<Line>> {
        lock(&self.0.line).upgrade()
    }
}
