//! Named locations.

use serde_json::{Value, json};

use super::csdl::schema;
use super::network::Range;
use super::refusal::{Refused, Why};
use super::{Act, No, Object, Place, body, check_name, entity, find, only_writable, shape, texts};
use crate::sim::tenant::errors;
use crate::sim::tenant::http::{Answer, Call, Version};
use crate::sim::tenant::store::{Store, seconds};
use crate::sim::tenant::users;

const MOST: usize = 195;
const MOST_RANGES: usize = 2_000;
const READ_ONLY: [&str; 4] = ["id", "createdDateTime", "modifiedDateTime", "deletedDateTime"];
const COUNTRY: &str = "#microsoft.graph.countryNamedLocation";
const ADDRESSES: &str = "#microsoft.graph.ipNamedLocation";

fn check(object: &Object) -> Result<(), Refused> {
    check_name(object, true)?;
    match object.get("@odata.type").and_then(Value::as_str) {
        Some(COUNTRY) => {
            let mut codes = texts(object.get("countriesAndRegions")).peekable();
            if codes.peek().is_none() {
                return Err(Refused::new(Why::BadCountry, "countriesAndRegions must hold at least one country."));
            }
            let wrong = |code: &&str| code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_uppercase());
            codes.find(wrong).map_or(Ok(()), |code| {
                let message = format!("'{code}' is not a two-letter country code (ISO 3166-1 alpha-2).");
                Err(Refused::new(Why::BadCountry, message))
            })
        }
        Some(ADDRESSES) => {
            let ranges = object.get("ipRanges").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            if ranges.is_empty() {
                return Err(Refused::new(Why::BadRange, "ipRanges must hold at least one range."));
            }
            if ranges.len() > MOST_RANGES {
                let message = format!("A named location can hold {MOST_RANGES} ranges at most.");
                return Err(Refused::new(Why::TooManyLocations, message));
            }
            ranges.iter().try_for_each(check_range)
        }
        _ => Err(Refused::new(Why::TypeMissing, "The type of the named location must be specified in '@odata.type'.")),
    }
}

fn check_range(range: &Value) -> Result<(), Refused> {
    let text = range["cidrAddress"].as_str().unwrap_or("");
    let bad = |why: &str| Err(Refused::new(Why::BadRange, format!("'{text}' {why}.")));
    let Some(read) = Range::read(text) else { return bad("is not a range in CIDR notation") };
    let said = range["@odata.type"].as_str().unwrap_or("");
    if read.is_v4() != said.ends_with("iPv4CidrRange") {
        return bad("does not fit the type of its range");
    }
    if read.prefix() <= 8 {
        return bad("is too large: only prefixes longer than /8 are allowed");
    }
    if read.is_private() {
        return bad("is private: only public addresses are allowed");
    }
    Ok(())
}

/// Makes a location.
pub(super) fn make(store: &mut Store, new: &Object, id: Option<String>) -> Result<Object, Refused> {
    super::access::licensed(store)?;
    let mut new = new.clone();
    new.shift_remove("id");
    shape::check(schema(Version::V1), "namedLocation", &new)?;
    only_writable(&new, &READ_ONLY)?;
    // One kind of location has nothing to be of itself.
    let defaults = match new.get("@odata.type").and_then(Value::as_str) {
        Some(COUNTRY) => {
            json!({ "includeUnknownCountriesAndRegions": false, "countryLookupMethod": "clientIpAddress" })
        }
        _ => json!({ "isTrusted": false }),
    };
    check(&new)?;
    if store.policies.locations.len() >= MOST {
        return Err(Refused::new(Why::TooManyLocations, format!("The maximum of {MOST} named locations is reached.")));
    }
    let now = seconds(store.now());
    let mut whole = Object::new();
    if let Some(kind) = new.shift_remove("@odata.type") {
        whole.insert("@odata.type".into(), kind);
    }
    whole.insert("id".into(), id.unwrap_or_else(|| store.fresh_guid("location")).into());
    whole.insert("createdDateTime".into(), now.clone().into());
    whole.insert("modifiedDateTime".into(), now.into());
    if let Value::Object(defaults) = defaults {
        whole.extend(defaults);
    }
    whole.extend(new);
    store.policies.locations.push(whole.clone());
    Ok(whole)
}

pub(super) fn answer(
    store: &mut Store,
    version: Version,
    (place, act): (&Place, Act),
    call: &Call,
) -> Result<Answer, No> {
    let context = "conditionalAccess/namedLocations";
    Ok(match (place, act) {
        (Place::Locations, Act::Read) => {
            let list = store.policies.locations.iter().cloned().map(Value::Object).collect();
            users::page(store, version, context, call, list)?
        }
        (Place::DeletedLocations, _) => {
            let list = store.policies.deleted_locations.iter().cloned().map(Value::Object).collect();
            users::page(store, version, context, call, list)?
        }
        (Place::Locations, _) => {
            let new = body(call)?;
            only_writable(&new, &READ_ONLY)?;
            let made = make(store, &new, None)?;
            Answer::json(201, entity(store, version, &format!("{context}/$entity"), &made))
        }
        (Place::Location(id), Act::Read) => {
            let index = find(&store.policies.locations, "The named location", id)?;
            let found = store.policies.locations.get(index).cloned().unwrap_or_default();
            Answer::json(200, entity(store, version, &format!("{context}/$entity"), &found))
        }
        (Place::Location(id), Act::Change) => {
            let change = body(call)?;
            let index = find(&store.policies.locations, "The named location", id)?;
            let mut merged = store.policies.locations.get(index).cloned().unwrap_or_default();
            if !change.contains_key("@odata.type") {
                let message = "The type of the named location must be specified in '@odata.type'.";
                return Err(Refused::new(Why::TypeMissing, message).into());
            }
            shape::check(schema(version), "namedLocation", &change)?;
            only_writable(&change, &READ_ONLY)?;
            if change.get("@odata.type") != merged.get("@odata.type") {
                return Err(Refused::new(Why::WrongType, "The type of a named location can't be changed.").into());
            }
            let kind = merged.get("@odata.type").and_then(Value::as_str).unwrap_or("");
            let kind = kind.trim_start_matches("#microsoft.graph.").to_owned();
            shape::merge(schema(version), &kind, &mut merged, &change);
            check(&merged)?;
            merged.insert("modifiedDateTime".into(), seconds(store.now()).into());
            if let Some(location) = store.policies.locations.get_mut(index) {
                *location = merged;
            }
            Answer::empty(204)
        }
        (Place::Location(id), _) => {
            let index = find(&store.policies.locations, "The named location", id)?;
            let location = store.policies.locations.get(index).cloned().unwrap_or_default();
            if location.get("isTrusted") == Some(&json!(true)) {
                let message = "A named location that is marked as trusted can't be deleted.";
                return Err(Refused::new(Why::LocationTrusted, message).into());
            }
            if let Some(user) = user_of(store, id) {
                let message = format!(
                    "The named location is referenced by the Conditional Access policy '{user}' and can't be deleted."
                );
                return Err(Refused::new(Why::LocationInUse, message).into());
            }
            let mut gone = store.policies.locations.remove(index);
            gone.insert("deletedDateTime".into(), seconds(store.now()).into());
            store.policies.deleted_locations.push(gone);
            Answer::empty(204)
        }
        _ => return Err(errors::method_not_allowed().into()),
    })
}

/// The name of a policy that names this location.
fn user_of(store: &Store, id: &str) -> Option<String> {
    let names = |policy: &&Object| {
        let places = policy.get("conditions").map(|conditions| &conditions["locations"]);
        ["includeLocations", "excludeLocations"]
            .iter()
            .any(|list| texts(places.and_then(|places| places.get(list))).any(|its| its.eq_ignore_ascii_case(id)))
    };
    let user = store.policies.access.iter().find(names)?;
    Some(user.get("displayName").and_then(Value::as_str).unwrap_or("").to_owned())
}
