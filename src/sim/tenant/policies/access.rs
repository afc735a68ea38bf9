//! Conditional Access policies: made, changed, deleted.

use serde_json::{Value, json};

use super::csdl::schema;
use super::refusal::{Refused, Why};
use super::{Act, No, Object, Place, body, check_name, entity, find, only_writable, shape, texts};
use crate::sim::tenant::access::role_template;
use crate::sim::tenant::errors;
use crate::sim::tenant::http::{Answer, Call, Version};
use crate::sim::tenant::store::{Store, seconds};
use crate::sim::tenant::users;

const MOST: usize = 240;
const KIND: &str = "conditionalAccessPolicy";
const READ_ONLY: [&str; 5] = ["id", "createdDateTime", "modifiedDateTime", "deletedDateTime", "templateId"];
/// The user actions there are.
pub(super) const REGISTER_INFO: &str = "urn:user:registersecurityinfo";
pub(super) const REGISTER_DEVICE: &str = "urn:user:registerdevice";

/// Whether the tenant has bought what Conditional Access needs.
pub(super) fn licensed(store: &Store) -> Result<(), Refused> {
    if super::tenant::has_p1(store) {
        return Ok(());
    }
    Err(Refused::new(
        Why::Unlicensed,
        "The tenant is not licensed for Conditional Access: Microsoft Entra ID P1 is required.",
    ))
}

/// What every policy has, whether given or not.
fn template() -> Object {
    let conditions = json!({
        "userRiskLevels": [], "signInRiskLevels": [], "servicePrincipalRiskLevels": [], "clientAppTypes": ["all"],
        "platforms": null, "locations": null, "devices": null, "clientApplications": null, "authenticationFlows": null,
        "insiderRiskLevels": null,
        "applications": {
            "includeApplications": [], "excludeApplications": [], "includeUserActions": [],
            "includeAuthenticationContextClassReferences": [], "applicationFilter": null,
        },
        "users": {
            "includeUsers": [], "excludeUsers": [], "includeGroups": [], "excludeGroups": [], "includeRoles": [],
            "excludeRoles": [], "includeGuestsOrExternalUsers": null, "excludeGuestsOrExternalUsers": null,
        },
    });
    let mut whole = Object::new();
    whole.insert("templateId".into(), Value::Null);
    whole.insert("conditions".into(), conditions);
    whole.insert("grantControls".into(), Value::Null);
    whole.insert("sessionControls".into(), Value::Null);
    whole
}

/// Makes a policy.
pub(super) fn make(store: &mut Store, new: &Object, id: Option<String>) -> Result<Object, Refused> {
    licensed(store)?;
    let mut new = new.clone();
    new.shift_remove("id");
    check_shape(&new)?;
    for needed in ["displayName", "state", "conditions"] {
        if !new.contains_key(needed) {
            return Err(Refused::new(Why::Missing, format!("'{needed}' is required.")));
        }
    }
    check_name(&new, true)?;
    if store.policies.access.len() >= MOST {
        let message = format!("The maximum of {MOST} Conditional Access policies is reached.");
        return Err(Refused::new(Why::TooManyPolicies, message));
    }
    let mut policy = template();
    shape::merge(schema(Version::V1), KIND, &mut policy, &new);
    complete(&mut policy);
    check(store, &policy)?;
    let now = seconds(store.now());
    let mut whole = Object::new();
    whole.insert("id".into(), id.unwrap_or_else(|| store.fresh_guid("conditional access policy")).into());
    whole.insert("createdDateTime".into(), now.into());
    whole.insert("modifiedDateTime".into(), Value::Null);
    whole.extend(policy);
    store.policies.access.push(whole.clone());
    Ok(whole)
}

/// Types and members. A strength goes by its id: with more of it than that, the whole object does not fit.
fn check_shape(sent: &Object) -> Result<(), Refused> {
    shape::check(schema(Version::V1), KIND, sent)?;
    only_writable(sent, &READ_ONLY)?;
    let strength = sent.get("grantControls").and_then(|grant| grant.get("authenticationStrength"));
    if let Some(extra) = strength
        .and_then(Value::as_object)
        .and_then(|it| it.keys().find(|name| !["id", "@odata.type"].contains(&name.as_str())))
    {
        let message = format!("authenticationStrength is given by its id alone; '{extra}' is not expected.");
        return Err(Refused::new(Why::UnknownMember, message));
    }
    Ok(())
}

/// Fills in the lists that a merged policy has not been given.
fn complete(policy: &mut Object) {
    if let Some(grant) = policy.get_mut("grantControls").and_then(Value::as_object_mut) {
        for list in ["builtInControls", "customAuthenticationFactors", "termsOfUse"] {
            grant.entry(list).or_insert_with(|| json!([]));
        }
    }
    let Some(conditions) = policy.get_mut("conditions").and_then(Value::as_object_mut) else { return };
    for (condition, lists) in [
        ("locations", ["includeLocations", "excludeLocations"]),
        ("platforms", ["includePlatforms", "excludePlatforms"]),
    ] {
        if let Some(condition) = conditions.get_mut(condition).and_then(Value::as_object_mut) {
            for list in lists {
                condition.entry(list).or_insert_with(|| json!([]));
            }
        }
    }
}

fn check(store: &Store, policy: &Object) -> Result<(), Refused> {
    let whole = Value::Object(policy.clone());
    let conditions = &whole["conditions"];
    check_people(store, &conditions["users"])?;
    check_places(store, &conditions["locations"])?;
    let actions = check_target(&conditions["applications"])?;
    check_controls(store, &whole)?;
    if actions.contains(&REGISTER_DEVICE) {
        check_device_registration(&whole)?;
    }
    if whole["state"] == "enabled" && store.policies.security_defaults {
        let message = "Security defaults are enabled in the tenant and must be disabled before a Conditional Access policy can be enabled.";
        return Err(Refused::new(Why::SecurityDefaultsOn, message));
    }
    Ok(())
}

fn check_people(store: &Store, users: &Value) -> Result<(), Refused> {
    let list = |name: &str| -> Vec<&str> { texts(users.get(name)).collect() };
    let none = ["includeUsers", "includeGroups", "includeRoles"].iter().all(|name| list(name).is_empty())
        && users["includeGuestsOrExternalUsers"].is_null();
    if none {
        let message = "ConditionalActionPolicy validation failed due to MissingUsers: the policy includes nobody.";
        return Err(Refused::new(Why::Missing, message));
    }
    let gone =
        |what: &str, id: &str| Refused::new(Why::NoSuchReference, format!("Policy contains invalid {what}: {id}."));
    for name in ["includeUsers", "excludeUsers"] {
        let special: &[&str] =
            if name == "includeUsers" { &["All", "None", "GuestsOrExternalUsers"] } else { &["GuestsOrExternalUsers"] };
        for id in list(name) {
            let known = special.contains(&id) || store.people.iter().any(|person| person.id.eq_ignore_ascii_case(id));
            if !known {
                return Err(gone("users", id));
            }
        }
    }
    for name in ["includeGroups", "excludeGroups"] {
        if let Some(id) =
            list(name).into_iter().find(|id| !store.groups.iter().any(|group| group.id.eq_ignore_ascii_case(id)))
        {
            return Err(gone("groups", id));
        }
    }
    for name in ["includeRoles", "excludeRoles"] {
        if let Some(id) = list(name).into_iter().find(|id| !super::is_guid(id)) {
            return Err(gone("roles", id));
        }
    }
    Ok(())
}

fn check_places(store: &Store, places: &Value) -> Result<(), Refused> {
    for name in ["includeLocations", "excludeLocations"] {
        for id in texts(places.get(name)) {
            let known = ["All", "AllTrusted"].contains(&id) || find(&store.policies.locations, "", id).is_ok();
            if !known {
                let message = format!("Policy contains invalid locations: {id}.");
                return Err(Refused::new(Why::NoSuchReference, message));
            }
        }
    }
    if places.is_object() && texts(places.get("includeLocations")).next().is_none() {
        let message = "ConditionalActionPolicy validation failed due to MissingLocations: includeLocations is empty.";
        return Err(Refused::new(Why::Missing, message));
    }
    Ok(())
}

/// Apps, or user actions, or an authentication context: one of them. Gives the user actions.
fn check_target(applications: &Value) -> Result<Vec<&str>, Refused> {
    let bad = |message: &str| {
        Err(Refused::new(Why::BadTarget, format!("ConditionalActionPolicy validation failed due to {message}")))
    };
    let list = |name: &str| -> Vec<&str> { texts(applications.get(name)).collect() };
    let (apps, actions) = (list("includeApplications"), list("includeUserActions"));
    let contexts = list("includeAuthenticationContextClassReferences");
    let kinds = [&apps, &actions, &contexts].iter().filter(|list| !list.is_empty()).count();
    if kinds == 0 {
        return bad("MissingApplications: the policy is about no application and no user action.");
    }
    if kinds > 1 {
        return bad("InvalidApplications: applications, user actions and authentication contexts can't be combined.");
    }
    if let Some(unknown) = actions.iter().find(|action| ![REGISTER_INFO, REGISTER_DEVICE].contains(action)) {
        return bad(&format!("InvalidUserActions: '{unknown}'."));
    }
    if actions.len() > 1 {
        return bad("InvalidUserActions: a policy is about one user action.");
    }
    let special = ["All", "None", "Office365", "MicrosoftAdminPortals"];
    let ids = apps
        .iter()
        .chain(&list("excludeApplications"))
        .copied()
        .find(|app| !special.contains(app) && !super::is_guid(app));
    if let Some(unknown) = ids {
        return bad(&format!("InvalidApplications: '{unknown}'."));
    }
    if apps.len() > 1 && apps.iter().any(|app| ["All", "None"].contains(app)) {
        return bad("InvalidApplications: 'All' and 'None' stand alone.");
    }
    Ok(actions)
}

fn check_controls(store: &Store, policy: &Value) -> Result<(), Refused> {
    let bad = |message: &str| {
        Err(Refused::new(Why::BadControls, format!("ConditionalActionPolicy validation failed due to {message}")))
    };
    let grant = &policy["grantControls"];
    if grant.is_null() {
        if policy["sessionControls"].is_null() {
            return bad("MissingControls: the policy has neither grant nor session controls.");
        }
        return Ok(());
    }
    let controls: Vec<&str> = texts(grant.get("builtInControls")).collect();
    let strength = grant["authenticationStrength"]["id"].as_str();
    let others =
        ["termsOfUse", "customAuthenticationFactors"].iter().any(|list| texts(grant.get(list)).next().is_some());
    if controls.is_empty() && strength.is_none() && !others {
        return bad("MissingControls: grantControls holds no control.");
    }
    if !["AND", "OR"].contains(&grant["operator"].as_str().unwrap_or("")) {
        return bad("InvalidOperator: the operator of grantControls is AND or OR.");
    }
    if controls.contains(&"block") && (controls.len() > 1 || strength.is_some() || others) {
        return bad("InvalidControls: block can't be combined with other controls.");
    }
    if controls.contains(&"mfa") && strength.is_some() {
        return bad("InvalidControls: mfa and an authentication strength can't be combined.");
    }
    if controls.contains(&"passwordChange") && (grant["operator"] != "AND" || !controls.contains(&"mfa")) {
        return bad("InvalidPasswordResetControl.");
    }
    if let Some(id) = strength
        && find(&store.policies.strengths, "", id).is_err()
    {
        let message = format!("Policy contains an invalid authentication strength: {id}.");
        return Err(Refused::new(Why::NoSuchReference, message));
    }
    Ok(())
}

/// Documented for this action: MFA or a strength, and no conditions on apps or devices.
fn check_device_registration(policy: &Value) -> Result<(), Refused> {
    let bad = |message: &str| {
        let message = format!("ConditionalActionPolicy validation failed due to InvalidDeviceRegistration: {message}");
        Err(Refused::new(Why::BadDeviceRegistration, message))
    };
    let grant = &policy["grantControls"];
    if texts(grant.get("builtInControls")).any(|control| control != "mfa") || !policy["sessionControls"].is_null() {
        return bad("only multifactor authentication or an authentication strength can be required.");
    }
    let conditions = &policy["conditions"];
    if texts(conditions.get("clientAppTypes")).any(|kind| kind != "all") || !conditions["devices"].is_null() {
        return bad("conditions on client apps and devices are not available.");
    }
    Ok(())
}

/// The policy as it is shown: a strength whole.
pub(super) fn shown(store: &Store, policy: &Object) -> Object {
    let mut policy = policy.clone();
    let strength = policy.get("grantControls").and_then(|grant| grant["authenticationStrength"]["id"].as_str());
    let whole = strength
        .and_then(|id| find(&store.policies.strengths, "", id).ok())
        .and_then(|index| store.policies.strengths.get(index))
        .cloned();
    if let (Some(whole), Some(grant)) = (whole, policy.get_mut("grantControls").and_then(Value::as_object_mut)) {
        grant.insert("authenticationStrength".into(), whole.into());
    }
    policy
}

pub(super) fn answer(
    store: &mut Store,
    version: Version,
    (place, act): (&Place, Act),
    call: &Call,
) -> Result<Answer, No> {
    let context = "conditionalAccess/policies";
    Ok(match (place, act) {
        (Place::Policies, Act::Read) => {
            let list = store.policies.access.iter().map(|policy| shown(store, policy).into()).collect();
            users::page(store, version, context, call, list)?
        }
        (Place::DeletedPolicies, _) => {
            let list = store.policies.deleted_access.iter().cloned().map(Value::Object).collect();
            users::page(store, version, context, call, list)?
        }
        (Place::Policies, _) => {
            let new = body(call)?;
            only_writable(&new, &READ_ONLY)?;
            let made = make(store, &new, None)?;
            let made = shown(store, &made);
            Answer::json(201, entity(store, version, &format!("{context}/$entity"), &made))
        }
        (Place::Policy(id), Act::Read) => {
            let index = find(&store.policies.access, "The policy", id)?;
            let found = store.policies.access.get(index).map(|policy| shown(store, policy)).unwrap_or_default();
            Answer::json(200, entity(store, version, &format!("{context}/$entity"), &found))
        }
        (Place::Policy(id), Act::Change) => {
            let change = body(call)?;
            let index = find(&store.policies.access, "The policy", id)?;
            check_shape(&change)?;
            check_name(&change, false)?;
            let mut merged = store.policies.access.get(index).cloned().unwrap_or_default();
            shape::merge(schema(version), KIND, &mut merged, &change);
            // Of a strength only the id is kept.
            complete(&mut merged);
            check(store, &merged)?;
            merged.insert("modifiedDateTime".into(), seconds(store.now()).into());
            if let Some(policy) = store.policies.access.get_mut(index) {
                *policy = merged;
            }
            Answer::empty(204)
        }
        (Place::Policy(id), _) => {
            let index = find(&store.policies.access, "The policy", id)?;
            let mut gone = store.policies.access.remove(index);
            gone.insert("deletedDateTime".into(), seconds(store.now()).into());
            store.policies.deleted_access.push(gone);
            Answer::empty(204)
        }
        _ => return Err(errors::method_not_allowed().into()),
    })
}

/// Whether a person holds the role with this template id.
pub(super) fn holds(roles: &[String], template: &str) -> bool {
    roles.iter().any(|role| role_template(role).is_some_and(|its| its.eq_ignore_ascii_case(template)))
}
