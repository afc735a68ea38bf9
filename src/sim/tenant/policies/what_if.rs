//! What Conditional Access would do with a sign-in. The evaluation is pure.
//!
//! Source: Microsoft Graph, `conditionalAccessRoot: evaluate` and `whatIfAnalysisReasons`. Every reason against is given, so a
//! policy whose only reason is `policyNotEnabled` would apply if it were on. A condition that the question is silent about gives
//! `notEnoughInformation`. Device filters are not evaluated: they give that too.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::access::{REGISTER_DEVICE, REGISTER_INFO, holds, shown};
use super::csdl::schema;
use super::network::Range;
use super::refusal::{Refused, Why};
use super::{No, Object, body, shape, texts};
use crate::sim::tenant::errors;
use crate::sim::tenant::http::{Answer, Call, Version};
use crate::sim::tenant::spec::UserType;
use crate::sim::tenant::store::{Person, Store};
use crate::sim::tenant::users;

/// Apps that `Office365` stands for, as far as anybody here asks: Exchange, SharePoint, Teams, the Office portal.
const OFFICE: [&str; 4] = [
    "00000002-0000-0ff1-ce00-000000000000",
    "00000003-0000-0ff1-ce00-000000000000",
    "cc15fd57-2c6c-4117-a88c-83b1d56b4bbe",
    "4765445b-32c6-49b0-83e6-1d93765276ca",
];

/// Reasons against, by their value in the enum so that they come in its order.
const WORDS: [(u32, &str); 12] = [
    (1, "notEnoughInformation"),
    (4, "users"),
    (16, "application"),
    (32, "userActions"),
    (64, "authenticationContext"),
    (128, "devicePlatform"),
    (512, "clientApps"),
    (1024, "location"),
    (2048, "signInRisk"),
    (4096, "emptyPolicy"),
    (16_384, "policyNotEnabled"),
    (32_768, "userRisk"),
];
const FLOW: (u32, &str) = (262_144, "authenticationFlow");

fn word(number: u32) -> &'static str {
    WORDS.iter().chain([&FLOW]).find(|(known, _)| *known == number).map_or("invalidCondition", |(_, word)| word)
}

pub(super) fn answer(store: &Store, version: Version, call: &Call) -> Result<Answer, No> {
    let question = body(call)?;
    shape::check(schema(version), "evaluateBody", &question)?;
    for needed in ["signInIdentity", "signInContext", "signInConditions"] {
        if !question.contains_key(needed) {
            return Err(Refused::new(Why::Missing, format!("'{needed}' is required.")).into());
        }
    }
    super::access::licensed(store)?;
    let question = Value::Object(question);
    let user = question["signInIdentity"]["userId"].as_str().unwrap_or("");
    let person = store.people.iter().find(|person| person.id.eq_ignore_ascii_case(user));
    let person = person.ok_or_else(|| super::not_there("The user", user))?;
    let applied_only = question["appliedPoliciesOnly"] == true;
    let mut results = Vec::new();
    for policy in &store.policies.access {
        let reasons = evaluate(store, policy, person, &question);
        if applied_only && !reasons.is_empty() {
            continue;
        }
        let mut result = shown(store, policy);
        result.insert("policyApplies".into(), reasons.is_empty().into());
        let words: Vec<&str> = reasons.iter().copied().map(word).collect();
        result
            .insert("analysisReasons".into(), if words.is_empty() { "notSet".into() } else { words.join(",").into() });
        results.push(Value::Object(result));
    }
    if call.query("$top").is_some() {
        return Err(errors::graph(400, "BadRequest", "The query option '$top' is not supported.").into());
    }
    users::page(store, version, "Collection(microsoft.graph.whatIfAnalysisResult)", call, results).map_err(No::from)
}

/// Everything that keeps a policy from applying.
fn evaluate(store: &Store, policy: &Object, person: &Person, question: &Value) -> BTreeSet<u32> {
    let whole = Value::Object(policy.clone());
    let conditions = &whole["conditions"];
    let told = &question["signInConditions"];
    let mut against = BTreeSet::new();
    if whole["state"] == "disabled" {
        against.insert(16_384);
    }
    if whole["grantControls"].is_null() && whole["sessionControls"].is_null() {
        against.insert(4096);
    }
    if !is_for(store, &conditions["users"], person) {
        against.insert(4);
    }
    against.extend(about(&conditions["applications"], &question["signInContext"]));
    against.extend(listed(
        &conditions["platforms"],
        ("includePlatforms", "excludePlatforms"),
        &told["devicePlatform"],
        128,
    ));
    against.extend(client(&conditions["clientAppTypes"], &told["clientAppType"]));
    against.extend(place(store, &conditions["locations"], told));
    against.extend(risk(&conditions["signInRiskLevels"], &told["signInRiskLevel"], 2048));
    against.extend(risk(&conditions["userRiskLevels"], &told["userRiskLevel"], 32_768));
    if !conditions["devices"].is_null() {
        against.insert(1);
    }
    let flows = conditions["authenticationFlows"]["transferMethods"].as_str().unwrap_or("none");
    let flow = told["authenticationFlow"]["transferMethod"].as_str().unwrap_or("none");
    if flows != "none" && !flows.split(',').any(|one| one.trim() == flow) {
        against.insert(FLOW.0);
    }
    against
}

fn is_for(store: &Store, users: &Value, person: &Person) -> bool {
    let groups = store.all_groups_of(person);
    let guest = person.user_type == UserType::Guest;
    let among = |which: &str| {
        let user = |id: &str| match id {
            "All" => true,
            "GuestsOrExternalUsers" => guest,
            id => person.id.eq_ignore_ascii_case(id),
        };
        texts(users.get(format!("{which}Users"))).any(user)
            || texts(users.get(format!("{which}Groups")))
                .any(|id| groups.iter().any(|group| group.id.eq_ignore_ascii_case(id)))
            || texts(users.get(format!("{which}Roles"))).any(|id| holds(&person.roles, id))
            || guest && !users[format!("{which}GuestsOrExternalUsers")].is_null()
    };
    among("include") && !among("exclude")
}

/// Whether the policy is about what is done.
fn about(applications: &Value, context: &Value) -> Option<u32> {
    let list = |name: &str| texts(applications.get(name)).collect::<Vec<_>>();
    let kind = context["@odata.type"].as_str().unwrap_or("");
    if kind.ends_with("userActionContext") {
        let action = match context["userAction"].as_str() {
            Some("registerSecurityInformation") => REGISTER_INFO,
            Some("registerOrJoinDevices") => REGISTER_DEVICE,
            _ => "",
        };
        return (!list("includeUserActions").contains(&action)).then_some(32);
    }
    if kind.ends_with("authContext") {
        let value = context["authenticationContextValue"].as_str().unwrap_or("");
        return (!list("includeAuthenticationContextClassReferences").contains(&value)).then_some(64);
    }
    let asked: Vec<&str> = texts(context.get("includeApplications")).collect();
    let (include, exclude) = (list("includeApplications"), list("excludeApplications"));
    let meant = |list: &[&str], app: &str| {
        list.iter()
            .any(|one| *one == "All" || one.eq_ignore_ascii_case(app) || *one == "Office365" && OFFICE.contains(&app))
    };
    let applies = asked.iter().any(|app| meant(&include, app) && !meant(&exclude, app));
    (!applies).then_some(16)
}

/// A pair of lists against one told word.
fn listed(condition: &Value, (include, exclude): (&str, &str), told: &Value, reason: u32) -> Option<u32> {
    if condition.is_null() {
        return None;
    }
    let (include, exclude): (Vec<&str>, Vec<&str>) =
        (texts(condition.get(include)).collect(), texts(condition.get(exclude)).collect());
    if include.contains(&"all") && exclude.is_empty() {
        return None;
    }
    let Some(told) = told.as_str() else { return Some(1) };
    let has = |list: &[&str]| list.contains(&"all") || list.contains(&told);
    (!has(&include) || has(&exclude)).then_some(reason)
}

fn client(types: &Value, told: &Value) -> Option<u32> {
    let types: Vec<&str> = texts(Some(types)).collect();
    if types.is_empty() || types.contains(&"all") {
        return None;
    }
    match told.as_str() {
        None => Some(1),
        Some(told) => (!types.contains(&told)).then_some(512),
    }
}

fn risk(levels: &Value, told: &Value, reason: u32) -> Option<u32> {
    let levels: Vec<&str> = texts(Some(levels)).collect();
    if levels.is_empty() {
        return None;
    }
    match told.as_str() {
        None => Some(1),
        Some(told) => (!levels.contains(&told)).then_some(reason),
    }
}

/// Whether a place was told, and holds.
fn place(store: &Store, condition: &Value, told: &Value) -> Option<u32> {
    if condition.is_null() {
        return None;
    }
    let among = |list: &str| -> Option<bool> {
        let mut unknown = false;
        for id in texts(condition.get(list)) {
            match within(store, id, told) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => unknown = true,
            }
        }
        if unknown { None } else { Some(false) }
    };
    match (among("includeLocations"), among("excludeLocations")) {
        (Some(false), _) | (_, Some(true)) => Some(1024),
        (Some(true), Some(false)) => None,
        _ => Some(1),
    }
}

/// Whether a place holds where the sign-in comes from; `None` when that wasn't told.
fn within(store: &Store, id: &str, told: &Value) -> Option<bool> {
    if id == "All" {
        return Some(true);
    }
    let trusted = |location: &Object| location.get("isTrusted") == Some(&json!(true));
    let meant = |location: &&Object| {
        if id == "AllTrusted" {
            trusted(location)
        } else {
            location.get("id").and_then(Value::as_str).is_some_and(|its| its.eq_ignore_ascii_case(id))
        }
    };
    let mut unknown = false;
    for location in store.policies.locations.iter().filter(meant) {
        match one_holds(location, told) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => unknown = true,
        }
    }
    if unknown { None } else { Some(false) }
}

fn one_holds(location: &Object, told: &Value) -> Option<bool> {
    if let Some(ranges) = location.get("ipRanges").and_then(Value::as_array) {
        let address: IpAddr = told["ipAddress"].as_str()?.parse().ok()?;
        let ranges = ranges.iter().filter_map(|range| range["cidrAddress"].as_str());
        return Some(ranges.filter_map(Range::read).any(|range| range.holds(address)));
    }
    let country = told["country"].as_str()?;
    Some(texts(location.get("countriesAndRegions")).any(|code| code.eq_ignore_ascii_case(country)))
}
