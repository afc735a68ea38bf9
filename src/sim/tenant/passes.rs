//! Temporary Access Passes: list, get, issue, delete, and the tenant's configuration for them.
//!
//! From Microsoft's pages: one pass a person, a new one replaces the old; the code stands in the answer that issues it and in no
//! other; there is no PATCH. Guessed: the refusals of a method that is off, of a start in the past and of a multi-use pass where
//! the policy makes all one-time.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::access::{Act, Caller};
use super::accounts::{Scopes, context, no_such_method, page, target};
use super::errors;
use super::http::{Answer, Call, Version};
use super::members::{Type, body};
use super::policies::{self, PassRules};
use super::route::Who;
use super::spec::UserType;
use super::store::{Person, Store, seconds};

const SCOPES: Scopes = Scopes {
    write: &["UserAuthMethod-TAP.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All"],
    read: &["UserAuthMethod-TAP.Read.All", "UserAuthenticationMethod.Read.All"],
};

/// Letters and digits that are not mistaken for one another, and the signs that Microsoft's samples show.
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789+*&^%#";

/// A pass in the directory, with its code.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    pub(super) id: String,
    pub(super) code: String,
    pub(super) created: Timestamp,
    pub(super) starts: Timestamp,
    pub(super) minutes: u32,
    pub(super) once: bool,
    pub(super) used: bool,
}

fn rules(store: &Store) -> PassRules {
    policies::pass_rules(store)
}

/// `isUsable` and `methodUsabilityReason`.
fn usability(store: &Store, person: &Person, pass: &Pass, now: Timestamp) -> (bool, &'static str) {
    let end = pass.starts.saturating_add(SignedDuration::from_mins(i64::from(pass.minutes))).unwrap_or(Timestamp::MAX);
    let rules = rules(store);
    if pass.used && pass.once {
        (false, "OneTimeUsed")
    } else if end <= now {
        (false, "Expired")
    } else if !policies::is_for(store, "TemporaryAccessPass", person) || rules.once_only && !pass.once {
        (false, "DisabledByPolicy")
    } else if pass.starts > now {
        (false, "NotYetValid")
    } else {
        (true, "EnabledByPolicy")
    }
}

/// Without its code.
pub(super) fn as_json(store: &Store, version: Version, person: &Person, pass: &Pass, now: Timestamp) -> Value {
    let mut value = json!({
        "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod",
        "id": pass.id,
        "temporaryAccessPass": null,
        "createdDateTime": seconds(pass.created),
        "startDateTime": seconds(pass.starts),
        "lifetimeInMinutes": pass.minutes,
        "isUsableOnce": pass.once,
    });
    // Beta's type has neither.
    if version == Version::V1 {
        let (usable, reason) = usability(store, person, pass, now);
        value["isUsable"] = usable.into();
        value["methodUsabilityReason"] = reason.into();
    }
    value
}

/// `GET …/temporaryAccessPassMethods`
pub(super) fn list(store: &Store, version: Version, caller: &Caller, who: &Who) -> Result<Answer, Answer> {
    let person = target(store, caller, who, SCOPES, Act::Read)?;
    let now = store.now();
    let value = person.account.pass.iter().map(|pass| as_json(store, version, person, pass, now)).collect();
    Ok(page(context(store, version, &person.id, "temporaryAccessPassMethods", ""), value))
}

/// `GET …/temporaryAccessPassMethods/{id}`
pub(super) fn get(store: &Store, version: Version, caller: &Caller, who: &Who, id: &str) -> Result<Answer, Answer> {
    let person = target(store, caller, who, SCOPES, Act::Read)?;
    let pass =
        person.account.pass.as_ref().filter(|pass| pass.id.eq_ignore_ascii_case(id)).ok_or_else(no_such_method)?;
    let mut value = as_json(store, version, person, pass, store.now());
    value["@odata.context"] = context(store, version, &person.id, "temporaryAccessPassMethods", "/$entity").into();
    Ok(Answer::json(200, value))
}

/// `POST …/temporaryAccessPassMethods`
pub(super) fn issue(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    who: &Who,
    call: &Call,
) -> Result<Answer, Answer> {
    let person = target(store, caller, who, SCOPES, Act::Write)?;
    let refuse = |status, code, message: String| Err(errors::graph(status, code, message));
    if caller.user.as_deref() == Some(person.id.as_str()) {
        return refuse(403, "accessDenied", "Users can't create a Temporary Access Pass for themselves.".into());
    }
    if person.user_type == UserType::Guest {
        return refuse(400, "badRequest", "Temporary Access Pass cannot be added to an external guest user.".into());
    }
    let wanted = body(
        call,
        "temporaryAccessPassAuthenticationMethod",
        &[("startDateTime", Type::Time), ("lifetimeInMinutes", Type::Int32), ("isUsableOnce", Type::Flag)],
    )?;
    let (rules, now) = (rules(store), store.now());
    if !rules.enabled {
        return refuse(
            400,
            "badRequest",
            "Temporary Access Pass is not enabled by the authentication methods policy.".into(),
        );
    }
    let asked = wanted.get("lifetimeInMinutes").and_then(Value::as_i64).unwrap_or(i64::from(rules.default_minutes));
    let minutes = match u32::try_from(asked) {
        Ok(minutes) if (rules.least_minutes..=rules.most_minutes).contains(&minutes) => minutes,
        _ => {
            let message = format!(
                "Invalid LifetimeInMinutes specified. The valid range between {} and {}.",
                rules.least_minutes, rules.most_minutes
            );
            return refuse(400, "badRequest", message);
        }
    };
    let once = wanted.get("isUsableOnce").and_then(Value::as_bool);
    if rules.once_only && once == Some(false) {
        return refuse(400, "badRequest", "The policy requires one-time use of Temporary Access Passes.".into());
    }
    let starts = wanted.get("startDateTime").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    if starts.is_some_and(|starts| starts < now.saturating_sub(SignedDuration::from_secs(60)).unwrap_or(now)) {
        return refuse(400, "badRequest", "Invalid StartDateTime specified. It can't be in the past.".into());
    }
    let user = person.id.clone();
    let pass = Pass {
        id: store.fresh_guid("pass"),
        code: code(store, rules.length),
        created: now,
        starts: starts.unwrap_or(now),
        minutes,
        once: once.unwrap_or(rules.once_only),
        used: false,
    };
    let person = store.person_mut(&user).ok_or_else(no_such_method)?;
    person.account.pass = Some(pass.clone());
    super::audit_log::method_changed(store, caller, &user, false, "temporary access pass");
    let person = store.person(&user).ok_or_else(no_such_method)?;
    let mut value = as_json(store, version, person, &pass, now);
    value["temporaryAccessPass"] = pass.code.clone().into();
    store.secrets.push(pass.code);
    value["@odata.context"] = context(store, version, &user, "temporaryAccessPassMethods", "/$entity").into();
    Ok(Answer::json(201, value))
}

fn code(store: &mut Store, length: u32) -> String {
    let label = store.fresh_guid("code");
    let bytes = store.seed.bytes(&label, usize::try_from(length).unwrap_or(8).clamp(8, 48));
    bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len())).map(|c| char::from(*c)).collect()
}

/// `DELETE …/temporaryAccessPassMethods/{id}`
pub(super) fn delete(store: &mut Store, caller: &Caller, who: &Who, id: &str) -> Result<Answer, Answer> {
    let user = target(store, caller, who, SCOPES, Act::Write)?.id.clone();
    let person = store.person_mut(&user).ok_or_else(no_such_method)?;
    if person.account.pass.take_if(|pass| pass.id.eq_ignore_ascii_case(id)).is_none() {
        return Err(no_such_method());
    }
    super::audit_log::method_changed(store, caller, &user, true, "temporary access pass");
    Ok(Answer::empty(204))
}
