//! A ledger's head, told where others keep it: it is what finds a cut tail or a rewritten chain later.

use super::output::Output;
use crate::config::Settings;
use crate::ledger::Head;
use crate::platform::system_log;

/// Sends the head to the system's log, where `[ledger] system_log` asks for it. A log that does not take it is told, and stops
/// nothing.
pub(super) fn announce(output: &Output, settings: &Settings, head: &Head, after: &str) {
    if !settings.ledger.system_log {
        return;
    }
    let name = settings.ledger.path.display();
    let text = format!("ledger {name} has {} entries, head {head}, after: {after}", head.seq);
    if let Err(error) = system_log::tell(&text) {
        output.warning(&format!(
            "the ledger's head {head} could not be written to the system's log ({error}); keep this line instead."
        ));
    }
}
