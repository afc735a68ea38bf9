//! The audit log: what is done to sign-in methods, by whom, to whom.
//!
//! Modelled on: Microsoft Graph "directoryAudit" and its CSDL; "Microsoft Entra audit log categories and activities" for the names of
//! services and activities. One registration of a passkey writes two rows, of two services, and the second may name its person by
//! user principal name alone. Kept for 30 days, as with a P1 licence. Guessed: the order of the two, and their texts of a result.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::access::Caller;
use super::errors;
use super::http::Answer;
use super::store::{Store, seconds};

/// Rows older than this are gone.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Identity reports and logs: five requests in ten seconds.
const PACE: (usize, SignedDuration) = (5, SignedDuration::from_secs(10));

const METHODS: &str = "Authentication Methods";
const DEVICES: &str = "Device Registration Service";

/// The log.
#[derive(Debug, Default)]
pub(super) struct AuditLog {
    /// Oldest first.
    rows: Vec<Value>,
    asked: VecDeque<Timestamp>,
}

impl AuditLog {
    /// The rows that are still kept, the newest first.
    pub(super) fn kept(&self, now: Timestamp) -> impl Iterator<Item = &Value> {
        let since = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        let is_kept = move |row: &&Value| {
            row["activityDateTime"]
                .as_str()
                .and_then(|text| text.parse::<Timestamp>().ok())
                .is_some_and(|at| at > since)
        };
        self.rows.iter().rev().filter(is_kept)
    }

    /// One more request; refused when it comes too soon.
    pub(super) fn ask(&mut self, now: Timestamp) -> Result<(), Answer> {
        let (most, within) = PACE;
        while self.asked.front().is_some_and(|at| now.duration_since(*at) >= within) {
            self.asked.pop_front();
        }
        if self.asked.len() >= most {
            let message = "Too many requests: identity and access reports allow 5 requests in 10 seconds.";
            return Err(errors::graph(429, "TooManyRequests", message).with_header("Retry-After", "10"));
        }
        self.asked.push_back(now);
        Ok(())
    }
}

/// Who does something.
enum By<'a> {
    /// Whoever's token it is.
    Caller(&'a Caller),
    /// The person, for themself.
    Themself,
}

fn write(store: &mut Store, by: &By<'_>, person: &str, what: (&str, &str, &str, Option<&str>), aaguid: Option<&str>) {
    let (service, activity, operation, reason) = what;
    let Some((id, upn)) = store.person(person).map(|person| (person.id.clone(), person.upn.clone())) else { return };
    let user = match by {
        By::Themself => Some(id.clone()),
        By::Caller(caller) => caller.user.clone(),
    };
    let initiated = match user.and_then(|user| store.person(&user)) {
        Some(user) => {
            json!({ "app": null, "user": { "id": user.id, "userPrincipalName": user.upn, "displayName": null } })
        }
        None => {
            json!({ "user": null, "app": { "appId": store.client_id, "displayName": "keybench bench", "servicePrincipalId": store.seed.guid("service principal") } })
        }
    };
    // The device service does not know the person by id.
    let target = if service == DEVICES { Value::Null } else { Value::String(id) };
    let details = aaguid.map(|aaguid| json!({ "key": "AAGuid", "value": aaguid }));
    let row = json!({
        "id": store.fresh_guid("audit"),
        "category": "UserManagement",
        "correlationId": store.fresh_guid("audit correlation"),
        "result": "success",
        "resultReason": reason.unwrap_or_default(),
        "activityDisplayName": activity,
        "activityDateTime": seconds(store.now()),
        "loggedByService": service,
        "operationType": operation,
        "initiatedBy": initiated,
        "targetResources": [{ "id": target, "displayName": null, "type": "User", "userPrincipalName": upn, "modifiedProperties": [] }],
        "additionalDetails": details.into_iter().collect::<Vec<_>>(),
    });
    store.audits.rows.push(row);
}

/// Somebody asked for creation options.
pub(super) fn options_given(store: &mut Store, caller: &Caller, person: &str) {
    let reason = Some("Successfully retrieved passkey creation options.");
    write(store, &By::Caller(caller), person, (METHODS, "Get passkey creation options", "Update", reason), None);
}

/// A passkey was registered for a person, by another or by themself.
pub(super) fn passkey_added(store: &mut Store, caller: Option<&Caller>, person: &str, aaguid: &str) {
    let (by, activity) = match caller {
        Some(caller) => (By::Caller(caller), "Admin registered security info"),
        None => (By::Themself, "User registered security info"),
    };
    let reason = match caller {
        Some(_) => "Admin registered Fido2 Authentication Method for user",
        None => "User registered Fido2 Authentication Method",
    };
    write(store, &by, person, (METHODS, activity, "Create", Some(reason)), None);
    write(store, &by, person, (DEVICES, "Add Passkey (device-bound)", "Add", None), Some(aaguid));
}

/// A passkey was deleted.
pub(super) fn passkey_deleted(store: &mut Store, caller: &Caller, person: &str, aaguid: &str) {
    let by = By::Caller(caller);
    let reason = Some("Admin deleted Fido2 Authentication Method for user");
    write(store, &by, person, (METHODS, "Admin deleted security info", "Delete", reason), None);
    write(store, &by, person, (DEVICES, "Delete Passkey (device-bound)", "Delete", None), Some(aaguid));
}

/// Another method was made or deleted, e.g. a pass.
pub(super) fn method_changed(store: &mut Store, caller: &Caller, person: &str, deleted: bool, name: &str) {
    let (activity, operation, verb) = match deleted {
        true => ("Admin deleted security info", "Delete", "deleted"),
        false => ("Admin registered security info", "Create", "registered"),
    };
    let reason = format!("Admin {verb} {name} method for user");
    write(store, &By::Caller(caller), person, (METHODS, activity, operation, Some(&reason)), None);
}

/// `POST /sim/passkey`: `{"upn"}`: the person registers a passkey of their own in the security info page, or, with `"by": UPN`, an
/// administrator does with a tool of theirs. Not Graph's; it makes what the tenant then shows.
pub(super) fn stranger_registers(store: &mut Store, what: &Value) -> Result<Value, String> {
    let members = what.as_object().ok_or("a registration is an object")?;
    if let Some(unknown) = members.keys().find(|name| !["upn", "by"].contains(&name.as_str())) {
        return Err(format!("there is no member `{unknown}`"));
    }
    let upn = what["upn"].as_str().ok_or("`upn` is missing")?;
    let caller = match what["by"].as_str() {
        None => None,
        Some(by) => {
            let admin = store.person(by).ok_or_else(|| format!("there is nobody called {by}"))?;
            let expires = Timestamp::MAX;
            Some(Caller { user: Some(admin.id.clone()), permissions: Vec::new(), expires, revoked: false })
        }
    };
    let method = store.foreign_passkey(upn).ok_or_else(|| format!("there is nobody called {upn}"))?;
    passkey_added(store, caller.as_ref(), upn, &method.aaguid);
    Ok(json!({ "id": method.id, "aaguid": method.aaguid }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_after_thirty_days() {
        let row = |at: &str| json!({ "activityDateTime": at });
        let rows = vec![row("2026-01-01T00:00:00Z"), row("2026-01-02T00:00:00Z")];
        let log = AuditLog { rows, asked: VecDeque::new() };
        let kept = |now: &str| log.kept(now.parse().expect("a time")).count();
        assert_eq!(
            (kept("2026-01-30T00:00:00Z"), kept("2026-01-31T12:00:00Z"), kept("2026-03-01T00:00:00Z")),
            (2, 1, 0)
        );
    }
}
