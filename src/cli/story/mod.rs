//! An entry of the ledger, in words.

mod handover;
mod tenant;

use crate::ledger::{Act, Entry, ForcedChange};

use super::codes;

/// What happened, as one sentence. No PIN, no name: an entry has none.
pub(super) fn in_words(entry: &Entry) -> String {
    match entry {
        Entry::LedgerCreated { version, .. } => format!("The ledger was made, by keybench {version}."),
        Entry::CustodiansSet { first, second, by } => {
            let groups = if second.is_empty() {
                first.join(", ")
            } else {
                format!("{} and, for the second group, {}", first.join(", "), second.join(", "))
            };
            format!("PINs are sealed to {groups} from here on ({by}).")
        }
        Entry::RunStarted { run, batch, source, operator, account, version, .. } => {
            let source = source.as_ref().map_or_else(String::new, |source| format!(" ({source})"));
            format!(
                "Run {run} of batch {batch}{source} began: {operator} at the bench, signed in as {account}, keybench {version}."
            )
        }
        Entry::RunEnded { run, counts, .. } => {
            let held = if counts.held > 0 { format!(" ({} of them held)", counts.held) } else { String::new() };
            format!(
                "Run {run} ended: {} finished, {} already{held}, {} failed, {} refused, {} parked.",
                counts.finished, counts.already, counts.failed, counts.refused, counts.parked
            )
        }
        Entry::JobPlanned { ordinal, batch, .. } => format!("Planned as the person's key {ordinal}, by batch {batch}."),
        Entry::JobParked { code, .. } => format!("Set aside. {}", meaning(code)),
        Entry::JobResumed { .. } => "Wanted again.".into(),
        Entry::JobRefused { code, .. } => format!("Refused. {}", meaning(code)),
        Entry::Claimed { fence, expires, .. } => format!("Held by this bench until {expires} (hold {fence})."),
        Entry::AttemptStarted { attempt, key, .. } => {
            format!("Try {attempt} began with {} (model {}) in port {}.", key.for_people(), key.aaguid, key.port)
        }
        Entry::PinSealed { attempt, dual, .. } => {
            let groups = if *dual { "two groups of custodians" } else { "the custodians" };
            format!("Try {attempt}: the PIN was sealed to {groups}.")
        }
        Entry::Intent { act, .. } => format!("About to {}.", doing(*act)),
        Entry::PinSet { .. } => "The key has the PIN.".into(),
        Entry::ActUndone { act, code, .. } => format!("Not done: to {}. {}", doing(*act), meaning(code)),
        Entry::CredentialMade { credential, .. } => format!("The key made the passkey {credential}."),
        Entry::CredentialProved { checks, .. } => {
            format!("The passkey was checked ({}) and signed a challenge of ours.", checks.join(", "))
        }
        Entry::Registered { method, found, .. } => {
            let how = if *found { "found registered" } else { "registered" };
            format!("The passkey was {how} in the tenant as {method}.")
        }
        Entry::ReadBack { .. } => "The tenant shows it.".into(),
        Entry::PinRulesSet { minimum, forced, .. } => {
            let change = match forced {
                ForcedChange::Forced => "the person has to change the PIN at first use",
                ForcedChange::NotAsked => "no PIN change is forced",
                ForcedChange::Unsupported => "this key can't force a PIN change",
            };
            format!("PINs of the key have at least {minimum} characters now; {change}.")
        }
        Entry::Finished { .. } => "Finished.".into(),
        Entry::ResumeKeyDestroyed { .. } => "The bench can't read the PIN any more; only the custodians can.".into(),
        Entry::KeyTaken { .. } => "The finished key was taken out.".into(),
        Entry::CredentialRemoved { credential, .. } => {
            format!("The passkey {credential}, which the tenant does not have, was removed from the key.")
        }
        Entry::MethodDeleted { method, .. } => {
            format!("The registration {method} was deleted from the tenant: its key is not delivered.")
        }
        Entry::Watched { credential, .. } => {
            format!("The passkey {credential} is watched for: should the tenant show it after all, it is deleted.")
        }
        Entry::Unwatched { credential, deleted, .. } => match deleted {
            Some(method) => format!("The passkey {credential} had turned up as {method} and was deleted."),
            None => format!("The passkey {credential} did not turn up; the watch is over."),
        },
        Entry::AttemptFailed { attempt, code, pin_on_key, .. } => {
            let unsure = matches!(code.as_str(), "given-up" | "pin-untried" | "change-forced");
            let pin = match (*pin_on_key, unsure) {
                (false, _) => "",
                (true, false) => " The key holds the sealed PIN.",
                (true, true) => " The key may hold the sealed PIN.",
            };
            format!("Try {attempt} failed. {}{pin}", meaning(code))
        }
        Entry::KeyRefused { key, code } => {
            format!("{} in port {} was refused. {}", key.for_people(), key.port, meaning(code))
        }
        Entry::PinOpened { attempt, by, reason, noted, .. } => {
            let when = noted.as_ref().map(|noted| format!(" on {:.0}, while a bench was at work", noted.at));
            format!("The PIN of try {attempt} was opened by {by}{}. Reason: {reason}.", when.unwrap_or_default())
        }
        Entry::Forgotten { reason, .. } => {
            format!("What belonged to the person was removed. Reason: {reason}.")
        }
        Entry::Revoked { method, reason, .. } => {
            format!("The registration {method} was deleted from the tenant. Reason: {reason}.")
        }
        Entry::Restored { entries } => format!("The ledger was rebuilt from its mirror: {entries} entries."),
        Entry::Tenant(entry) => tenant::in_words(entry),
        Entry::Handover(entry) => handover::in_words(entry),
    }
}

fn doing(act: Act) -> &'static str {
    match act {
        Act::SetPin => "set the PIN",
        Act::MakeCredential => "make the passkey (the touch)",
        Act::Register => "register the passkey in the tenant",
        Act::RemoveCredential => "remove a passkey from the key",
        Act::DeleteMethod => "delete a registration from the tenant",
        Act::SetPinRules => "set the PIN rules",
    }
}

fn meaning(code: &str) -> String {
    codes::meaning(code).map_or_else(|| format!("Code {code}."), |meaning| format!("{meaning} ({code})"))
}
