//! Authentication strengths and what limits them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::csdl::schema;
use super::refusal::{Refused, Why};
use super::{Act, No, Object, Place, body, check_name, entity, find, is_guid, only_writable, shape, texts};
use crate::sim::tenant::errors;
use crate::sim::tenant::http::{Answer, Call, Version};
use crate::sim::tenant::store::{Store, seconds};
use crate::sim::tenant::users;

/// How many strengths of its own a tenant may have.
const MOST: usize = 15;

/// Multifactor by themselves, and in no need of a password.
const PASSWORDLESS: [&str; 4] = ["windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor", "deviceBasedPush"];
/// Multifactor besides.
const MULTIFACTOR: [&str; 13] = [
    "temporaryAccessPassOneTime",
    "temporaryAccessPassMultiUse",
    "password,microsoftAuthenticatorPush",
    "password,softwareOath",
    "password,hardwareOath",
    "password,sms",
    "password,voice",
    "federatedMultiFactor",
    "federatedSingleFactor,microsoftAuthenticatorPush",
    "federatedSingleFactor,softwareOath",
    "federatedSingleFactor,hardwareOath",
    "federatedSingleFactor,sms",
    "federatedSingleFactor,voice",
];
/// One factor.
const SINGLE: [&str; 6] =
    ["x509CertificateSingleFactor", "federatedSingleFactor", "password", "sms", "email", "qrCodePin"];

fn legal() -> impl Iterator<Item = &'static str> {
    PASSWORDLESS.into_iter().chain(MULTIFACTOR).chain(SINGLE)
}

/// The built-in ones.
pub(super) fn move_in(store: &mut Store) {
    let mfa: Vec<&str> = PASSWORDLESS.into_iter().chain(MULTIFACTOR).collect();
    let resistant = ["windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor"];
    let built_in = [
        (2, "Multifactor authentication", "Combinations of methods that satisfy strong authentication", mfa.as_slice()),
        (3, "Passwordless MFA", "Passwordless methods that satisfy strong authentication", PASSWORDLESS.as_slice()),
        (
            4,
            "Phishing-resistant MFA",
            "Phishing-resistant, passwordless methods for the strongest authentication",
            resistant.as_slice(),
        ),
    ];
    for (number, name, description, combinations) in built_in {
        let strength = json!({
            "id": format!("00000000-0000-0000-0000-00000000000{number}"),
            "createdDateTime": "2021-12-01T00:00:00Z",
            "modifiedDateTime": "2021-12-01T00:00:00Z",
            "displayName": name,
            "description": description,
            "policyType": "builtIn",
            "requirementsSatisfied": "mfa",
            "allowedCombinations": combinations,
            "combinationConfigurations": [],
        });
        if let Value::Object(strength) = strength {
            store.policies.strengths.push(strength);
        }
    }
}

/// The order of its parts and blanks between them don't matter.
fn same(one: &str, other: &str) -> bool {
    let parts = |text: &str| text.split(',').map(|part| part.trim().to_owned()).collect::<BTreeSet<_>>();
    parts(one) == parts(other)
}

/// Combinations as Graph keeps them, or which is none.
fn combinations(value: Option<&Value>) -> Result<Vec<&'static str>, Refused> {
    let mut read = Vec::new();
    for given in texts(value) {
        let known = legal().find(|known| same(known, given)).ok_or_else(|| {
            Refused::new(
                Why::BadCombination,
                format!("'{given}' is not a combination of authentication methods that can be used."),
            )
        })?;
        if !read.contains(&known) {
            read.push(known);
        }
    }
    if read.is_empty() {
        return Err(Refused::new(Why::BadCombination, "allowedCombinations must hold at least one combination."));
    }
    Ok(read)
}

fn satisfied(combinations: &[&str]) -> &'static str {
    if combinations.iter().any(|combination| SINGLE.contains(combination)) { "none" } else { "mfa" }
}

/// Makes a strength.
pub(super) fn make(store: &mut Store, new: &Object, id: Option<String>) -> Result<Object, Refused> {
    let mut new = new.clone();
    new.shift_remove("id");
    let schema = schema(Version::V1);
    shape::check(schema, "authenticationStrengthPolicy", &new)?;
    let read_only = ["createdDateTime", "modifiedDateTime", "policyType", "requirementsSatisfied"];
    only_writable(&new, &read_only)?;
    check_name(&new, true)?;
    let combinations = combinations(new.get("allowedCombinations"))?;
    let own = |one: &&Object| one.get("policyType") == Some(&json!("custom"));
    if store.policies.strengths.iter().filter(own).count() >= MOST {
        let message = format!("The maximum of {MOST} custom authentication strengths is reached.");
        return Err(Refused::new(Why::TooManyStrengths, message));
    }
    let mut limits = Vec::new();
    for limit in new.get("combinationConfigurations").and_then(Value::as_array).into_iter().flatten() {
        limits.push(limited(store, limit.as_object().cloned().unwrap_or_default(), &combinations)?);
    }
    let now = seconds(store.now());
    let strength = json!({
        "id": id.unwrap_or_else(|| store.fresh_guid("strength")),
        "createdDateTime": now,
        "modifiedDateTime": now,
        "displayName": new.get("displayName"),
        "description": new.get("description"),
        "policyType": "custom",
        "requirementsSatisfied": satisfied(&combinations),
        "allowedCombinations": combinations,
        "combinationConfigurations": limits,
    });
    let Value::Object(strength) = strength else { return Ok(Object::new()) };
    store.policies.strengths.push(strength.clone());
    Ok(strength)
}

/// Checks a limit and gives it an id.
fn limited(store: &mut Store, mut limit: Object, combinations: &[&str]) -> Result<Object, Refused> {
    shape::check(schema(Version::V1), "authenticationCombinationConfiguration", &limit)?;
    let applies: Vec<&str> = texts(limit.get("appliesToCombinations")).collect();
    if applies.is_empty() || !applies.iter().all(|one| combinations.iter().any(|known| same(known, one))) {
        let message = "appliesToCombinations must name combinations that the authentication strength allows.";
        return Err(Refused::new(Why::BadCombination, message));
    }
    if limit.get("@odata.type").and_then(Value::as_str) == Some("#microsoft.graph.fido2CombinationConfiguration") {
        let models: Vec<&str> = texts(limit.get("allowedAAGUIDs")).collect();
        if let Some(bad) = models.iter().find(|aaguid| !is_guid(aaguid)) {
            return Err(Refused::new(Why::BadAaguid, format!("'{bad}' is not a valid AAGUID.")));
        }
        if models.is_empty() {
            return Err(Refused::new(Why::Missing, "allowedAAGUIDs must hold at least one AAGUID."));
        }
        if applies.iter().any(|one| *one != "fido2") {
            let message = "A fido2CombinationConfiguration applies to the combination fido2 only.";
            return Err(Refused::new(Why::BadCombination, message));
        }
    }
    if !limit.contains_key("id") {
        let id = store.fresh_guid("combination configuration");
        limit.shift_insert(0, "id".into(), id.into());
    }
    Ok(limit)
}

/// The index of a strength that may be changed.
fn own(store: &Store, id: &str) -> Result<usize, Refused> {
    let index = find(&store.policies.strengths, "The authentication strength", id)?;
    let built_in = store.policies.strengths.get(index).and_then(|one| one.get("policyType")) == Some(&json!("builtIn"));
    if built_in {
        return Err(Refused::new(Why::BuiltIn, "Built-in authentication strengths can't be changed or deleted."));
    }
    Ok(index)
}

/// Ids of the policies that demand a strength.
fn users_of(store: &Store, id: &str) -> Vec<Object> {
    let demands = |policy: &&Object| {
        let demanded = policy.get("grantControls").and_then(|grant| grant["authenticationStrength"]["id"].as_str());
        demanded.is_some_and(|its| its.eq_ignore_ascii_case(id))
    };
    store.policies.access.iter().filter(demands).cloned().collect()
}

pub(super) fn answer(
    store: &mut Store,
    version: Version,
    (place, act): (&Place, Act),
    call: &Call,
) -> Result<Answer, No> {
    let context = "policies/authenticationStrengthPolicies";
    Ok(match (place, act) {
        (Place::Strengths, Act::Read) => {
            let wanted = match call.query("$filter") {
                None => None,
                Some("policyType eq 'builtIn'") => Some("builtIn"),
                Some("policyType eq 'custom'") => Some("custom"),
                Some(_) => return Err(errors::graph(400, "BadRequest", "Invalid filter clause.").into()),
            };
            let fits = |one: &&Object| wanted.is_none_or(|kind| one.get("policyType") == Some(&json!(kind)));
            let list = store.policies.strengths.iter().filter(fits).cloned().map(Value::Object).collect();
            users::page(store, version, context, call, list)?
        }
        (Place::Strengths, _) => {
            let new = body(call)?;
            only_writable(&new, &["id"])?;
            let made = make(store, &new, None)?;
            Answer::json(201, entity(store, version, &format!("{context}/$entity"), &made))
        }
        (Place::Strength(id), Act::Read) => {
            let index = find(&store.policies.strengths, "The authentication strength", id)?;
            let found = store.policies.strengths.get(index).cloned().unwrap_or_default();
            Answer::json(200, entity(store, version, &format!("{context}/$entity"), &found))
        }
        (Place::Strength(id), Act::Remove) => {
            let index = own(store, id)?;
            if let Some(user) = users_of(store, id).first() {
                let name = user.get("displayName").and_then(Value::as_str).unwrap_or("");
                let message = format!(
                    "The authentication strength is referenced by the Conditional Access policy '{name}' and can't be deleted."
                );
                return Err(Refused::new(Why::StrengthInUse, message).into());
            }
            store.policies.strengths.remove(index);
            Answer::empty(204)
        }
        (Place::Strength(id), _) => {
            let change = body(call)?;
            shape::check(schema(version), "authenticationStrengthPolicy", &change)?;
            // Combinations have a call of their own, limits too.
            let closed = ["id", "createdDateTime", "modifiedDateTime", "policyType", "requirementsSatisfied"];
            only_writable(&change, &closed)?;
            only_writable(&change, &["allowedCombinations", "combinationConfigurations"])?;
            check_name(&change, false)?;
            let (index, now) = (own(store, id)?, seconds(store.now()));
            if let Some(strength) = store.policies.strengths.get_mut(index) {
                shape::merge(schema(version), "authenticationStrengthPolicy", strength, &change);
                strength.insert("modifiedDateTime".into(), now.into());
            }
            Answer::empty(204)
        }
        (Place::StrengthCombinations(id), _) => {
            let change = body(call)?;
            shape::check(schema(version), "updateAllowedCombinationsBody", &change)?;
            let index = own(store, id)?;
            let new = combinations(change.get("allowedCombinations"))?;
            let (now, users) = (seconds(store.now()), users_of(store, id));
            let Some(strength) = store.policies.strengths.get_mut(index) else { return Ok(Answer::empty(204)) };
            let old = strength.insert("allowedCombinations".into(), json!(new));
            strength.insert("requirementsSatisfied".into(), satisfied(&new).into());
            strength.insert("modifiedDateTime".into(), now.into());
            let ids: Vec<&Value> = users.iter().filter_map(|policy| policy.get("id")).collect();
            let context =
                format!("{}/{}/$metadata#microsoft.graph.updateAllowedCombinationsResult", store.base, version.name());
            Answer::json(
                200,
                json!({
                    "@odata.context": context,
                    "previousCombinations": old,
                    "currentCombinations": new,
                    "conditionalAccessReferences": ids,
                    "additionalInformation": "",
                }),
            )
        }
        (Place::StrengthUsage(id), _) => {
            let index = find(&store.policies.strengths, "The authentication strength", id)?;
            let users = users_of(store, id);
            let mfa = store.policies.strengths.get(index).and_then(|one| one.get("requirementsSatisfied"))
                == Some(&json!("mfa"));
            let (mfa, none) = if mfa { (users, Vec::new()) } else { (Vec::new(), users) };
            let context =
                format!("{}/{}/$metadata#microsoft.graph.authenticationStrengthUsage", store.base, version.name());
            Answer::json(200, json!({ "@odata.context": context, "mfa": mfa, "none": none }))
        }
        (Place::LegalCombinations, _) => {
            let list = legal().map(Value::from).collect();
            users::page(store, version, "Collection(microsoft.graph.authenticationMethodModes)", call, list)?
        }
        (Place::Limits(id), Act::Read) => {
            let index = find(&store.policies.strengths, "The authentication strength", id)?;
            let limits = store.policies.strengths.get(index).and_then(|one| one.get("combinationConfigurations"));
            let list = limits.and_then(Value::as_array).cloned().unwrap_or_default();
            users::page(store, version, "combinationConfigurations", call, list)?
        }
        (Place::Limits(id), _) => {
            let new = body(call)?;
            only_writable(&new, &["id"])?;
            let made = limit(store, id, None, new)?;
            Answer::json(201, entity(store, version, "combinationConfigurations/$entity", &made))
        }
        (Place::Limit { strength, id }, Act::Change) => {
            let change = body(call)?;
            limit(store, strength, Some(id), change)?;
            Answer::empty(204)
        }
        (Place::Limit { strength, id }, Act::Read) => {
            let index = find(&store.policies.strengths, "The authentication strength", strength)?;
            let found = limits_of(store, index);
            let at = find(&found, "The combination configuration", id)?;
            let one = found.get(at).cloned().unwrap_or_default();
            Answer::json(200, entity(store, version, "combinationConfigurations/$entity", &one))
        }
        (Place::Limit { strength, id }, _) => {
            let index = own(store, strength)?;
            let mut limits = limits_of(store, index);
            let at = find(&limits, "The combination configuration", id)?;
            limits.remove(at);
            keep(store, index, &limits);
            Answer::empty(204)
        }
        _ => return Err(errors::method_not_allowed().into()),
    })
}

fn limits_of(store: &Store, index: usize) -> Vec<Object> {
    let limits = store.policies.strengths.get(index).and_then(|one| one.get("combinationConfigurations"));
    limits.and_then(Value::as_array).into_iter().flatten().filter_map(|one| one.as_object().cloned()).collect()
}

fn keep(store: &mut Store, index: usize, limits: &[Object]) {
    if let Some(strength) = store.policies.strengths.get_mut(index) {
        strength.insert("combinationConfigurations".into(), json!(limits));
    }
}

/// Makes a limit, or changes the one with this id.
fn limit(store: &mut Store, strength: &str, id: Option<&str>, sent: Object) -> Result<Object, Refused> {
    let index = own(store, strength)?;
    let allowed: Vec<String> =
        texts(store.policies.strengths.get(index).and_then(|one| one.get("allowedCombinations")))
            .map(str::to_owned)
            .collect();
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let mut limits = limits_of(store, index);
    let at = id.map(|id| find(&limits, "The combination configuration", id)).transpose()?;
    let merged = match at.and_then(|at| limits.get(at)) {
        None => sent,
        Some(old) => {
            let schema = schema(Version::V1);
            shape::check(schema, "authenticationCombinationConfiguration", &sent)?;
            let mut merged = old.clone();
            shape::merge(schema, "fido2CombinationConfiguration", &mut merged, &sent);
            merged
        }
    };
    let checked = limited(store, merged, &allowed)?;
    match at.and_then(|at| limits.get_mut(at)) {
        Some(old) => *old = checked.clone(),
        None => limits.push(checked.clone()),
    }
    keep(store, index, &limits);
    Ok(checked)
}
