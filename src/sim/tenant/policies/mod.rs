//! The tenant's settings: authentication methods, strengths, named locations, Conditional Access and what-if, switches of the
//! whole tenant, people's own settings, licences, domains, role assignments.
//!
//! Promise: what is sent is checked against Microsoft's schema (`fixtures/csdl`) before anything else; what a change leaves out
//! keeps its value and a list replaces the old one whole; everything that is refused has a reason of its own in [`refusal`].
//!
//! `csdl` and `shape` are the schema, `route` and `rights` say what is asked and who may, the rest is one file per area.

mod access;
mod csdl;
mod fido2;
mod locations;
mod methods;
mod network;
mod refusal;
mod rights;
mod route;
mod settings;
mod shape;
pub mod spec;
mod strengths;
mod tenant;
#[cfg(test)]
mod tests;
mod what_if;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use refusal::{Given, Refused, Why};
pub(super) use route::{Act, Place};

use super::access::Caller;
use super::errors;
use super::http::{Answer, Call, Version};
use super::route::Who;
use super::spec::SpecError;
use super::store::{Person, Store};

pub(super) use fido2::{in_scope, profiles_of};
pub(super) use methods::{PassRules, is_for, pass_rules};
pub use spec::PoliciesSpec;
pub(super) use tenant::plans;

/// Every reason for a refusal, as `/sim/state` counts them.
#[cfg(test)]
pub(crate) fn reasons() -> std::collections::BTreeSet<&'static str> {
    Why::ALL.iter().map(|why| why.word()).collect()
}

/// A JSON object.
type Object = Map<String, Value>;

/// Everything of this module that the tenant remembers.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// The authentication methods policy without its methods.
    policy: Object,
    /// The methods, each whole, in the order they are shown.
    methods: Vec<Object>,
    strengths: Vec<Object>,
    locations: Vec<Object>,
    access: Vec<Object>,
    deleted_locations: Vec<Object>,
    deleted_access: Vec<Object>,
    security_defaults: bool,
    devices: Object,
    authorization: Object,
    /// By object id.
    requirements: BTreeMap<String, Object>,
    /// By object id.
    preferences: BTreeMap<String, Object>,
    /// The last request that Conditional Access's limit counts.
    last_paced: Option<Timestamp>,
    given: Given,
}

/// Fills a new tenant in.
///
/// # Errors
/// What Graph would not take either.
pub(super) fn move_in(store: &mut Store) -> Result<(), SpecError> {
    let spec = store.spec.policies.clone();
    let wrong = |what: String, refused: &Refused| SpecError::Format {
        path: "tenant".into(),
        message: format!("policies: {what}: {}", refused.message),
    };
    methods::move_in(store, &spec).map_err(|(what, refused)| wrong(what, &refused))?;
    settings::move_in(store, &spec).map_err(|(what, refused)| wrong(what, &refused))?;
    strengths::move_in(store);
    for (index, new) in spec.strengths.iter().enumerate() {
        strengths::make(store, new, given_id(new)).map_err(|no| wrong(format!("strength {}", index + 1), &no))?;
    }
    for (index, new) in spec.locations.iter().enumerate() {
        locations::make(store, new, given_id(new)).map_err(|no| wrong(format!("location {}", index + 1), &no))?;
    }
    for (index, new) in spec.access.iter().enumerate() {
        access::make(store, new, given_id(new))
            .map_err(|no| wrong(format!("conditional_access {}", index + 1), &no))?;
    }
    Ok(())
}

/// Changes the passkey policy from outside Graph: `/sim/policy` and the fault `policy`.
pub(super) fn policy_was_set(store: &mut Store) {
    fido2::from_spec(store);
}

fn given_id(new: &Object) -> Option<String> {
    new.get("id").and_then(Value::as_str).map(str::to_ascii_lowercase)
}

/// `/sim/state`.
pub(super) fn state(store: &Store) -> Value {
    let it = &store.policies;
    json!({
        "policy": it.policy,
        "methods": it.methods,
        "strengths": it.strengths.iter().filter(|one| one.get("policyType") == Some(&json!("custom"))).collect::<Vec<_>>(),
        "locations": it.locations,
        "conditional_access": it.access,
        "deleted_conditional_access": it.deleted_access,
        "deleted_locations": it.deleted_locations,
        "security_defaults": it.security_defaults,
        "device_registration": it.devices,
        "authorization": it.authorization,
        "requirements": it.requirements,
        "preferences": it.preferences,
        "refused": it.given,
    })
}

/// Answers a call.
pub(super) fn answer(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    (place, act): (&Place, Act),
    call: &Call,
) -> Result<Answer, Answer> {
    let answer = rights::check(store, caller, place, act)
        .and_then(|()| pace(store, place))
        .map_err(No::from)
        .and_then(|()| perform(store, version, caller, (place, act), call));
    answer.map_err(|no| match no {
        No::Refused(refused) => {
            store.policies.given.insert(refused.why.word());
            refused.answer(rights::voice(place))
        }
        No::Answered(answer) => *answer,
    })
}

/// Why there is no good answer.
enum No {
    /// For a reason of ours.
    Refused(Refused),
    /// For one of the rest of the tenant's.
    Answered(Box<Answer>),
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Answer> for No {
    fn from(answer: Answer) -> Self {
        Self::Answered(Box::new(answer))
    }
}

/// The limit of Conditional Access. No `Retry-After`: the real one names none.
fn pace(store: &mut Store, place: &Place) -> Result<(), Refused> {
    let most = store.spec.policies.access_per_second;
    if most == 0 || !place.is_paced() {
        return Ok(());
    }
    let now = store.now();
    let distance = SignedDuration::from_millis(1000 / i64::from(most));
    if store.policies.last_paced.is_some_and(|last| now.duration_since(last) < distance) {
        return Err(Refused::new(Why::Throttled, "Too many requests."));
    }
    store.policies.last_paced = Some(now);
    Ok(())
}

fn perform(
    store: &mut Store,
    version: Version,
    caller: &Caller,
    (place, act): (&Place, Act),
    call: &Call,
) -> Result<Answer, No> {
    match place {
        Place::Methods | Place::Method(_) => methods::answer(store, version, (place, act), call),
        Place::Strengths
        | Place::Strength(_)
        | Place::StrengthUsage(_)
        | Place::StrengthCombinations(_)
        | Place::LegalCombinations
        | Place::Limits(_)
        | Place::Limit { .. } => strengths::answer(store, version, (place, act), call),
        Place::Locations | Place::Location(_) | Place::DeletedLocations => {
            locations::answer(store, version, (place, act), call)
        }
        Place::Policies | Place::Policy(_) | Place::DeletedPolicies => {
            access::answer(store, version, (place, act), call)
        }
        Place::Evaluate => what_if::answer(store, version, call),
        Place::SecurityDefaults
        | Place::Devices
        | Place::Authorization
        | Place::Requirements(_)
        | Place::Preferences(_) => settings::answer(store, version, caller, (place, act), call),
        Place::Licences(_) | Place::Organization | Place::Domain(_) | Place::Federation(_) | Place::RoleAssignments => {
            tenant::answer(store, version, caller, place, call)
        }
    }
}

/// The body, which must be a JSON object sent as one.
fn body(call: &Call) -> Result<Object, Refused> {
    let no = |message: &str| Refused::new(Why::NotJson, message);
    if !call.is_json() {
        return Err(no("Write requests (excluding DELETE) must contain the Content-Type header declaration."));
    }
    match serde_json::from_slice(&call.body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(no(
            "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.",
        )),
    }
}

/// Refuses members only the service sets.
fn only_writable(object: &Object, read_only: &[&str]) -> Result<(), Refused> {
    match read_only.iter().find(|name| object.contains_key(**name)) {
        Some(name) => Err(Refused::new(Why::ReadOnly, format!("'{name}' is a readonly field and cannot be updated."))),
        None => Ok(()),
    }
}

/// A name of 1 to 256 characters, where one must be or may be.
fn check_name(object: &Object, must: bool) -> Result<(), Refused> {
    match object.get("displayName").map(|name| name.as_str().map(|name| name.trim().chars().count())) {
        None if !must => Ok(()),
        Some(Some(1..=256)) => Ok(()),
        _ => Err(Refused::new(Why::Missing, "displayName is a text of 1 to 256 characters.")),
    }
}

fn not_there(what: &str, id: &str) -> Refused {
    Refused::new(Why::NotThere, format!("{what} '{id}' could not be found in the directory."))
}

/// Where in a list the object with this id is.
fn find(list: &[Object], what: &str, id: &str) -> Result<usize, Refused> {
    let is = |object: &Object| object.get("id").and_then(Value::as_str).is_some_and(|its| its.eq_ignore_ascii_case(id));
    list.iter().position(is).ok_or_else(|| not_there(what, id))
}

/// The texts of a list.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// An object with its context before it.
fn entity(store: &Store, version: Version, context: &str, object: &Object) -> Value {
    let mut body = Object::new();
    body.insert("@odata.context".into(), format!("{}/{}/$metadata#{context}", store.base, version.name()).into());
    body.extend(object.clone());
    body.into()
}

/// Whether a target is everybody or a group of this tenant; people are still taken, as Graph does.
fn check_targets(store: &Store, list: Option<&Value>) -> Result<(), Refused> {
    for target in list.and_then(Value::as_array).into_iter().flatten() {
        let id = target.get("id").and_then(Value::as_str).unwrap_or("");
        let user = target.get("targetType").and_then(Value::as_str) == Some("user");
        let known = id == "all_users"
            || if user {
                store.person(id).is_some()
            } else {
                store.groups.iter().any(|group| group.id.eq_ignore_ascii_case(id))
            };
        if !known {
            return Err(Refused::new(Why::NoSuchTarget, format!("The target '{id}' was not found in the directory.")));
        }
    }
    Ok(())
}

/// The person a path means.
fn person<'a>(store: &'a Store, who: &Who, caller: &Caller) -> Result<&'a Person, No> {
    if *who == Who::Me && caller.user.is_none() {
        return Err(super::access::me_without_person().into());
    }
    let name = match who {
        Who::Me => "me",
        Who::Named(name) => name,
    };
    store.who(who, caller).ok_or_else(|| errors::no_such_resource(name).into())
}

/// A full GUID.
fn is_guid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}
