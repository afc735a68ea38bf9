//! What was done to the tenant, in words.

use super::meaning;
use crate::ledger::TenantEntry;

pub(super) fn in_words(entry: &TenantEntry) -> String {
    match entry {
        TenantEntry::ChangeIntended { change, area, call, operator, account, .. } => {
            format!(
                "About to change {area} of the tenant ({call}): change {change}, by {operator}, signed in as {account}."
            )
        }
        TenantEntry::AccountChangeIntended { change, area, call, operator, account, .. } => {
            format!("About to change {area} ({call}): change {change}, by {operator}, signed in as {account}.")
        }
        // What is done to an account is answered for; a policy is read back as well.
        TenantEntry::ChangeDone { change, after: None, request: Some(request) } => {
            format!("Change {change} is made (request {request}).")
        }
        TenantEntry::ChangeDone { change, request, .. } => match request {
            Some(request) => format!("Change {change} is made and was read back (request {request})."),
            None => format!("Change {change} was found made."),
        },
        TenantEntry::ChangeFailed { change, code, .. } => format!("Change {change} was not made. {}", meaning(code)),
        TenantEntry::Stated { about, answer, by, .. } => format!("{by} said of {about}: {answer}."),
        TenantEntry::PassIssued { one_time, minutes, starts, identified, by, .. } => {
            let use_ = if *one_time { "one-time" } else { "multi-use" };
            format!(
                "A {use_} Temporary Access Pass was issued by {by}: {minutes} minutes from {starts}. Identified by: {identified}."
            )
        }
        TenantEntry::MethodRemoved { method_kind, method, reason, by, .. } => {
            format!("The sign-in method {method_kind} {method} was deleted by {by}. Reason: {reason}.")
        }
        TenantEntry::PersonCreated { user, by, .. } => {
            format!("The user {user} was made by {by}, with a password that nobody knows.")
        }
        TenantEntry::TokenImported { serial, by, .. } => {
            format!("The hardware token {serial} was put into the tenant's inventory by {by}; its seed is sealed.")
        }
        TenantEntry::TokenActivated { serial, computed, by, .. } => {
            let code = if *computed { "a code computed from its seed" } else { "a code read off it" };
            format!("The hardware token {serial} was activated by {by} with {code}; its sealed seed was deleted.")
        }
        TenantEntry::KeyUsed { at, .. } => {
            format!("The person has signed in with the key, the first time known on {at}.")
        }
    }
}
