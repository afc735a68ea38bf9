//! Ctrl-C. The first asks the run to finish or park what is in flight; the second leaves at once, which is safe as well:
//! what was begun stands in the ledger.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::graph::Cancel;

/// Whether Ctrl-C was pressed in a command that minds it.
pub fn was_pressed() -> bool {
    FLAG.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A flag that the first Ctrl-C (or SIGTERM, or closing the console) sets. One for the process.
pub fn interrupted() -> Arc<AtomicBool> {
    Arc::clone(FLAG.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&flag);
        // Without a handler Ctrl-C ends the program at once, which loses nothing either.
        let _ = ctrlc::set_handler(move || {
            set.store(true, Ordering::Relaxed);
            if COUNT.fetch_add(1, Ordering::Relaxed) == 0 {
                super::output::aside("Stopping: what needs no more hands is finished, the rest is set aside. Ctrl-C again leaves at once.");
                super::live::ending();
            } else {
                super::output::aside("Left at once. The same command settles what was in flight.");
                super::live::abandon();
                leave();
            }
        });
        flag
    }))
}

/// How long waits in Graph (a long Retry-After, an outage) may go on after the first Ctrl-C.
const GRACE: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_secs(1);

/// Ends all waits in Graph some time after the first Ctrl-C, so that "finish what is in flight" has an end. Dropping it ends
/// the watch.
#[derive(Debug)]
pub struct Patience(Arc<AtomicBool>);

impl Patience {
    /// Watches the flag for this connection.
    pub fn with(interrupted: Arc<AtomicBool>, cancel: Cancel) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut left = GRACE;
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
                if interrupted.load(Ordering::Relaxed) {
                    left = left.saturating_sub(LOOK);
                }
                if left.is_zero() {
                    cancel.cancel();
                    return;
                }
            }
        });
        Self(over)
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Ends the process where a handler can't return to `main`.
#[allow(clippy::exit, clippy::disallowed_methods)] // a signal handler's thread has no caller to give an exit code to
fn leave() -> ! {
    std::process::exit(i32::from(super::Exit::Interrupted.code()))
}
