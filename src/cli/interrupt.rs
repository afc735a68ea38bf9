//! Ctrl-C. The first asks the run to finish or park what is in flight; the second leaves at once, which is safe as well:
//! what was begun stands in the ledger.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

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
            } else {
                super::output::aside("Left at once. The same command settles what was in flight.");
                leave();
            }
        });
        flag
    }))
}

/// Ends the process where a handler can't return to `main`.
#[allow(clippy::exit, clippy::disallowed_methods)] // a signal handler's thread has no caller to give an exit code to
fn leave() -> ! {
    std::process::exit(i32::from(super::Exit::Interrupted.code()))
}
