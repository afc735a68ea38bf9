//! Places, authentication strengths and Conditional Access policies.

use serde_json::{Map, Value, json};

use super::{Change, Gate, PENDING, Planner, Spot};
use crate::model::Aaguid;
use crate::tenant::current::id_of;
use crate::tenant::desired::{
    Access, At, BUILT_IN, Demand, Doing, Location, LocationKind, Strength, Wanted, Who, cidr,
};
use crate::tenant::overlay::{changed, differences, overlay, same};
use crate::tenant::people::Person;
use crate::tenant::resource::{Act, Kind, Resource};

/// Graph's words for the user actions.
pub(in crate::tenant) const REGISTER_SECURITY_INFO: &str = "urn:user:registersecurityinfo";
pub(in crate::tenant) const REGISTER_DEVICE: &str = "urn:user:registerdevice";
/// Limits of Entra: custom strengths in a tenant, policies in a tenant.
const MOST_STRENGTHS: usize = 15;
const MOST_POLICIES: usize = 240;
/// A policy that spares more people by name than this is a group's job.
const MOST_SPARED: usize = 200;

pub(super) fn plan(planner: &mut Planner<'_>) {
    let desired = planner.desired;
    for location in &desired.locations {
        self::location(planner, location);
    }
    for strength in &desired.strengths {
        self::strength(planner, strength);
    }
    if let Some(wanted) = &desired.security_defaults {
        if planner.after.get(&Resource::Defaults).is_none() {
            planner.missing(wanted.place, &wanted.field, "security defaults");
        }
        let wanted = json!({ "isEnabled": wanted.value });
        planner.patch("security-defaults", "security defaults".to_owned(), &Resource::Defaults, &wanted);
    }
    if let Some(wanted) = &desired.device_join_mfa {
        if planner.after.get(&Resource::Devices).is_none() {
            planner.missing(wanted.place, &wanted.field, "the device registration policy");
        }
        let word = if wanted.value { "required" } else { "notRequired" };
        let wanted = json!({ "multiFactorAuthConfiguration": word });
        let subject = "the tenant-wide switch \u{201c}require MFA to join devices\u{201d}";
        planner.patch("device-registration", subject.to_owned(), &Resource::Devices, &wanted);
    }
    for access in &desired.access {
        policy(planner, access);
    }
    let custom = planner.after.all(Kind::Strength).filter(|(_, one)| one["policyType"] != "builtIn").count();
    if custom > MOST_STRENGTHS
        && let Some(strength) = desired.strengths.last()
    {
        planner.wrong(
            &strength.name,
            format!("the tenant would have {custom} strengths of its own; Entra takes {MOST_STRENGTHS}"),
        );
    }
    let policies = planner.after.all(Kind::Access).count();
    if policies > MOST_POLICIES
        && let Some(access) = desired.access.last()
    {
        planner.wrong(&access.name, format!("the tenant would have {policies} policies; Entra takes {MOST_POLICIES}"));
    }
}

/// The one document of this name; several are a mistake that only a person can mend.
fn found(planner: &mut Planner<'_>, kind: Kind, name: &At<String>) -> Result<Option<Resource>, ()> {
    let all: Vec<Resource> = planner.after.named(kind, name).into_iter().map(|(at, _)| at.clone()).collect();
    match all.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        many => {
            planner.wrong(name, format!("the tenant has {} of this name: rename all but one of them", many.len()));
            Err(())
        }
    }
}

fn create(planner: &mut Planner<'_>, area: &'static str, subject: String, kind: Kind, body: Value) {
    planner.push(Change {
        area,
        subject,
        differences: differences(&Value::Null, &body),
        act: Act::Create(kind, body.clone()),
        before: None,
        after: body,
        gate: None,
    });
}

fn location(planner: &mut Planner<'_>, location: &Location) {
    const AREA: &str = "named-location";
    let subject = format!("the named location {}", location.name.value);
    let (kind, mut wanted) = match &location.kind {
        LocationKind::Countries { codes, unknown_too } => {
            let mut wanted = Map::from_iter([("countriesAndRegions".to_owned(), json!(codes))]);
            if let Some(unknown_too) = unknown_too {
                wanted.insert("includeUnknownCountriesAndRegions".to_owned(), json!(unknown_too));
            }
            ("#microsoft.graph.countryNamedLocation", wanted)
        }
        LocationKind::Ranges { ranges, trusted } => {
            let ranges: Vec<Value> = ranges.iter().map(|range| range_json(range)).collect();
            let mut wanted = Map::from_iter([("ipRanges".to_owned(), json!(ranges))]);
            if let Some(trusted) = trusted {
                wanted.insert("isTrusted".to_owned(), json!(trusted));
            }
            ("#microsoft.graph.ipNamedLocation", wanted)
        }
    };
    let Ok(there) = found(planner, Kind::Location, &location.name) else { return };
    match there {
        Some(at) => {
            let its = planner.after.get(&at).and_then(|one| one["@odata.type"].as_str()).unwrap_or(kind).to_owned();
            if its != kind {
                planner.wrong(
                    &location.name,
                    "the tenant has a location of this name and of another kind: choose another name",
                );
                return;
            }
            planner.patch(AREA, subject, &at, &Value::Object(wanted));
        }
        None => {
            let mut body = Map::from_iter([
                ("@odata.type".to_owned(), json!(kind)),
                ("displayName".to_owned(), json!(location.name.value)),
            ]);
            body.append(&mut wanted);
            match &location.kind {
                LocationKind::Countries { .. } => {
                    // By the address: GPS needs the Authenticator app on a phone.
                    body.insert("countryLookupMethod".to_owned(), json!("clientIpAddress"));
                    body.entry("includeUnknownCountriesAndRegions").or_insert(json!(false));
                }
                LocationKind::Ranges { .. } => {
                    body.entry("isTrusted").or_insert(json!(false));
                }
            }
            create(planner, AREA, subject, Kind::Location, Value::Object(body));
        }
    }
}

fn range_json(range: &str) -> Value {
    let kind = if range.contains(':') { "iPv6CidrRange" } else { "iPv4CidrRange" };
    json!({ "@odata.type": format!("#microsoft.graph.{kind}"), "cidrAddress": range })
}

fn limit_json(models: &[Aaguid]) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.fido2CombinationConfiguration",
        "allowedAAGUIDs": models.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "appliesToCombinations": ["fido2"],
    })
}

/// The limit on key models that a strength has: its id and the models.
pub(crate) fn limit_of(strength: &Value) -> Option<(String, Vec<Aaguid>)> {
    let limits = strength["combinationConfigurations"].as_array().into_iter().flatten();
    let limit = limits.into_iter().find(|one| {
        one["allowedAAGUIDs"].is_array()
            && one["appliesToCombinations"].as_array().is_some_and(|list| list.iter().any(|mode| mode == "fido2"))
    })?;
    let models = limit["allowedAAGUIDs"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Some((id_of(limit).unwrap_or_default(), models.filter_map(Aaguid::parse).collect()))
}

fn strength(planner: &mut Planner<'_>, strength: &Strength) {
    const AREA: &str = "authentication-strength";
    let subject = format!("the authentication strength {}", strength.name.value);
    let Ok(there) = found(planner, Kind::Strength, &strength.name) else { return };
    let Some(at) = there else {
        let Some(allow) = &strength.allow else {
            planner.wrong(&strength.name, "the tenant has no strength of this name, and to make one allow is needed");
            return;
        };
        let mut body = json!({
            "displayName": strength.name.value, "description": strength.description.as_deref().unwrap_or(""),
            "allowedCombinations": allow,
        });
        if let (Some(models), Some(map)) =
            (strength.aaguids.as_ref().filter(|list| !list.is_empty()), body.as_object_mut())
        {
            map.insert("combinationConfigurations".to_owned(), json!([limit_json(models)]));
        }
        create(planner, AREA, subject, Kind::Strength, body);
        return;
    };
    let (Resource::Strength(id), Some(document)) = (&at, planner.after.get(&at).cloned()) else { return };
    if document["policyType"] == "builtIn" {
        planner.wrong(&strength.name, "this strength is built in and can't be changed: choose another name");
        return;
    }
    if let Some(description) = &strength.description {
        planner.patch(AREA, subject.clone(), &at, &json!({ "description": description }));
    }
    let mut push = |act: Act, after: Value, subject: String| {
        let before = planner.after.get(&at).cloned();
        let differences = differences(before.as_ref().unwrap_or(&Value::Null), &after);
        planner.push(Change { area: AREA, subject, act, differences, before, after, gate: None });
    };
    let mut document = document;
    if let Some(allow) = &strength.allow
        && !same(&document["allowedCombinations"], &json!(allow))
    {
        document = overlay(&document, &json!({ "allowedCombinations": allow }));
        let act = Act::Combinations { strength: id.clone(), allow: allow.clone() };
        push(act, document.clone(), format!("{subject}: what satisfies it"));
    }
    if let Some(models) = &strength.aaguids {
        let limit = limit_of(&document);
        let now = limit.as_ref().map(|(_, models)| models.clone()).unwrap_or_default();
        if !same(&json!(now), &json!(models)) {
            let mut limits = document["combinationConfigurations"].as_array().cloned().unwrap_or_default();
            limits.retain(|one| limit.as_ref().is_none_or(|(id, _)| id_of(one).as_ref() != Some(id)));
            if !models.is_empty() {
                let mut new = limit_json(models);
                if let Some((id, _)) = &limit {
                    new["id"] = json!(id);
                }
                limits.push(new);
            }
            document["combinationConfigurations"] = json!(limits);
            let act = Act::Limit { strength: id.clone(), id: limit.map(|(id, _)| id), models: models.clone() };
            push(act, document, format!("{subject}: key models that satisfy it"));
        }
    }
}

/// The id of a strength by its name in a file; a stand-in for one that is made by this plan.
fn strength_id(planner: &mut Planner<'_>, name: &At<String>) -> Option<String> {
    if let Some((_, id)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name.value) {
        return Some((*id).to_owned());
    }
    match found(planner, Kind::Strength, name) {
        Ok(Some(Resource::Strength(id))) => Some(id),
        Ok(_) => {
            let built_in = BUILT_IN.map(|(name, _)| format!("\"{name}\"")).join(", ");
            planner.wrong(
                name,
                format!(
                    "there is no strength of this name, neither in the tenant nor in this file; built in are {built_in}"
                ),
            );
            None
        }
        Err(()) => None,
    }
}

fn place_id(planner: &mut Planner<'_>, name: &At<String>) -> Option<String> {
    match name.as_str() {
        "all" => Some("All".to_owned()),
        "trusted" => Some("AllTrusted".to_owned()),
        _ => match found(planner, Kind::Location, name) {
            Ok(Some(Resource::Location(id))) => Some(id),
            Ok(_) => {
                planner.wrong(name, "there is no named location of this name, neither in the tenant nor in this file");
                None
            }
            Err(()) => None,
        },
    }
}

/// Whom a policy is for or spares, in Graph's four lists.
#[derive(Default, Clone)]
struct Crowd {
    users: Vec<String>,
    groups: Vec<String>,
}

impl Crowd {
    fn add(&mut self, planner: &mut Planner<'_>, words: &[At<String>]) {
        for word in words {
            match Who::read(word) {
                Who::All => self.user("All"),
                Who::Guests => self.user("GuestsOrExternalUsers"),
                Who::Group(_) => {
                    if let Some((id, _)) = planner.id(word)
                        && !self.groups.contains(&id)
                    {
                        self.groups.push(id);
                    }
                }
                Who::User(_) => {
                    if let Some((id, _)) = planner.id(word) {
                        self.user(&id);
                    }
                }
            }
        }
    }

    fn user(&mut self, id: &str) {
        if !self.users.iter().any(|one| one.eq_ignore_ascii_case(id)) {
            self.users.push(id.to_owned());
        }
    }

    fn of(users: &Value, groups: &Value) -> Self {
        let texts = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        };
        Self { users: texts(users), groups: texts(groups) }
    }
}

fn policy(planner: &mut Planner<'_>, access: &Access) {
    const AREA: &str = "conditional-access";
    let subject = format!("the Conditional Access policy {}", access.name.value);
    let Ok(there) = found(planner, Kind::Access, &access.name) else { return };
    let before = there.as_ref().and_then(|at| planner.after.get(at)).cloned();
    let Some((wanted, included)) = wanted(planner, access, before.as_ref()) else { return };
    let gate = gate(planner, access, &included);
    cautions(planner, access);
    let at = match (there, before) {
        (Some(at), Some(before)) => {
            let after = overlay(&before, &wanted);
            let mut body = changed(&before, &after);
            let switches_on = access.state == Wanted::On && before["state"] != "enabled";
            if !switches_on {
                let state = json!(access.state.word());
                if !same(&before["state"], &state) {
                    body.insert("state".to_owned(), state);
                }
            }
            if !body.is_empty() {
                let mut after = after;
                if let Some(state) = body.get("state") {
                    after["state"] = state.clone();
                }
                let differences = differences(&before, &after);
                let act = Act::Change(at.clone(), sendable(&body));
                planner.push(Change {
                    area: AREA,
                    subject: subject.clone(),
                    act,
                    before: Some(before),
                    after,
                    differences,
                    gate: None,
                });
            }
            if !switches_on {
                return;
            }
            at
        }
        _ => {
            let mut body = wanted;
            body["displayName"] = json!(access.name.value);
            // Nothing acts before what-if was asked.
            let first = if access.state == Wanted::On { Wanted::Off } else { access.state };
            body["state"] = json!(first.word());
            body["conditions"]["clientAppTypes"] = json!(["all"]);
            create(planner, AREA, subject.clone(), Kind::Access, body);
            if access.state != Wanted::On {
                return;
            }
            Kind::Access.of(&format!("{PENDING}access:{}", access.name.to_lowercase()))
        }
    };
    let Some(before) = planner.after.get(&at).cloned() else { return };
    let after = overlay(&before, &json!({ "state": "enabled" }));
    planner.push(Change {
        area: AREA,
        subject: format!("{subject}: switched on, once what-if agrees"),
        act: Act::Change(at, json!({ "state": "enabled" })),
        differences: differences(&before, &after),
        before: Some(before),
        after,
        gate: Some(gate),
    });
}

/// Conditions and grant as they should be, laid out for the overlay, and whom the policy is for.
fn wanted(planner: &mut Planner<'_>, access: &Access, before: Option<&Value>) -> Option<(Value, Crowd)> {
    let applications = match &access.doing {
        Doing::RegisterSecurityInfo => json!({ "includeUserActions": [REGISTER_SECURITY_INFO] }),
        Doing::RegisterDevice => json!({ "includeUserActions": [REGISTER_DEVICE] }),
        Doing::SignIn(apps) => json!({ "includeApplications": apps }),
    };
    let mut include = Crowd::default();
    include.add(planner, &access.include);
    let null = Value::Null;
    let now = before.map_or(&null, |before| &before["conditions"]["users"]);
    let mut spared = match &access.exclude {
        // What somebody excluded by hand stays: a sync account, a service account.
        None => Crowd::of(&now["excludeUsers"], &now["excludeGroups"]),
        Some(_) => Crowd::default(),
    };
    spared.add(planner, access.exclude.as_deref().unwrap_or_default());
    if access.key_users_only {
        let groups: Vec<&str> = include.groups.iter().map(String::as_str).collect();
        let people = planner.people;
        if access.exclude.is_none() {
            // Those it spared until they had used a key, and who have.
            let arrived = |id: &String| {
                people.in_any(&groups).any(|person| person.used_key && person.id.eq_ignore_ascii_case(id))
            };
            spared.users.retain(|id| !arrived(id));
        }
        let waiting: Vec<&Person> = people.in_any(&groups).filter(|person| !person.used_key).collect();
        if waiting.len() > MOST_SPARED {
            let what = format!(
                "{} people of these groups have not used a key yet; key_users_only spares at most {MOST_SPARED} by name: begin with a smaller group",
                waiting.len()
            );
            planner.wrong(&access.name, what);
        }
        waiting.iter().for_each(|person| spared.user(&person.id));
        if !people.uses_told {
            planner.caution(format!(
                "{}: when keys were last used could not be read (Graph beta), so who has used one is known from the ledger alone. \
                 `keybench sign-ins --batch BATCH` brings it up to date.",
                access.name.value
            ));
        }
        if !waiting.is_empty() {
            let names: Vec<&str> = waiting.iter().map(|person| person.name.as_str()).collect();
            planner.caution(format!(
                "{} spares who has not signed in with a key yet and would be locked out: {}. Apply the file again when they have.",
                access.name.value,
                names.join(", ")
            ));
        }
    }
    let desired = planner.desired;
    for group in &desired.break_glass.groups {
        match planner.names.group(group).map(|entry| entry.id.clone()) {
            Some(id) if !spared.groups.contains(&id) => spared.groups.push(id),
            Some(_) => {}
            None => planner.wrong(group, "the directory has no group of this name"),
        }
    }
    for user in &desired.break_glass.users {
        match planner.names.user(user).map(|entry| entry.id.clone()) {
            Some(id) => spared.user(&id),
            None => planner.wrong(user, "the directory has nobody of this name"),
        }
    }
    let mut users = json!({
        "includeUsers": include.users, "includeGroups": include.groups,
        "excludeUsers": spared.users, "excludeGroups": spared.groups,
    });
    if before.is_none() {
        users["includeRoles"] = json!([]);
        users["excludeRoles"] = json!([]);
    }
    let mut conditions = json!({ "applications": applications, "users": users });
    if access.inside.is_some() || access.outside.is_some() {
        let ids = |planner: &mut Planner<'_>, list: &[At<String>]| -> Vec<String> {
            list.iter().filter_map(|name| place_id(planner, name)).collect()
        };
        let mut places = Map::new();
        match &access.inside {
            Some(list) => {
                let ids = ids(planner, list);
                places.insert("includeLocations".to_owned(), json!(ids));
            }
            None if before.is_none_or(|before| before["conditions"]["locations"]["includeLocations"].is_null()) => {
                places.insert("includeLocations".to_owned(), json!(["All"]));
            }
            None => {}
        }
        if let Some(list) = &access.outside {
            let ids = ids(planner, list);
            places.insert("excludeLocations".to_owned(), json!(ids));
        }
        conditions["locations"] = Value::Object(places);
    }
    let grant = grant(planner, access, before)?;
    Some((json!({ "conditions": conditions, "grantControls": grant }), include))
}

fn grant(planner: &mut Planner<'_>, access: &Access, before: Option<&Value>) -> Option<Value> {
    let null = Value::Null;
    let now = before.map_or(&null, |before| &before["grantControls"]);
    let mut grant = Map::new();
    if now["operator"].is_null() {
        grant.insert("operator".to_owned(), json!("OR"));
    }
    let control = match &access.demand {
        Demand::Block => Some("block"),
        Demand::Mfa => Some("mfa"),
        Demand::CompliantDevice => Some("compliantDevice"),
        Demand::Strength(_) => None,
    };
    grant.insert("builtInControls".to_owned(), json!(control.into_iter().collect::<Vec<_>>()));
    if let Demand::Strength(name) = &access.demand {
        let id = strength_id(planner, name)?;
        let its = now["authenticationStrength"]["id"].as_str();
        // The answer holds the whole strength; it is the same one when the id is.
        if !its.is_some_and(|its| its.eq_ignore_ascii_case(&id)) {
            grant.insert("authenticationStrength".to_owned(), json!({ "id": id }));
        }
    } else if !now["authenticationStrength"].is_null() {
        grant.insert("authenticationStrength".to_owned(), Value::Null);
    }
    Some(Value::Object(grant))
}

/// As Graph takes it: a strength by its id alone, no annotations, no members that say nothing.
pub(in crate::tenant) fn sendable(body: &Map<String, Value>) -> Value {
    let mut body = body.clone();
    if let Some(conditions) = body.get_mut("conditions") {
        strip(conditions);
    }
    if let Some(Value::Object(grant)) = body.get_mut("grantControls") {
        grant.retain(|name, _| !name.contains("@odata."));
        if let Some(strength) = grant.get_mut("authenticationStrength")
            && let Some(id) = strength.get("id").cloned()
        {
            *strength = json!({ "id": id });
        }
    }
    Value::Object(body)
}

fn strip(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|name, value| !value.is_null() && (name == "@odata.type" || !name.contains("@odata.")));
        map.values_mut().for_each(strip);
    }
}

fn gate(planner: &Planner<'_>, access: &Access, included: &Crowd) -> Gate {
    let spot = |places: &Option<Vec<At<String>>>| {
        places.iter().flatten().find_map(|place| {
            let (_, document) = planner.after.named(Kind::Location, place).into_iter().next()?;
            let country = document["countriesAndRegions"][0].as_str().map(|code| Spot::Country(code.to_owned()));
            let range = document["ipRanges"][0]["cidrAddress"].as_str().and_then(cidr);
            country.or_else(|| range.map(|(address, _)| Spot::Address(address)))
        })
    };
    Gate {
        policy: access.name.value.clone(),
        doing: access.doing.clone(),
        groups: included.groups.clone(),
        users: included
            .users
            .iter()
            .filter(|id| !matches!(id.as_str(), "All" | "GuestsOrExternalUsers"))
            .cloned()
            .collect(),
        blocks: access.demand == Demand::Block,
        spared: spot(&access.outside),
        caller: None,
    }
}

fn cautions(planner: &mut Planner<'_>, access: &Access) {
    let name = access.name.value.clone();
    let defaults = planner.after.get(&Resource::Defaults).is_some_and(|one| one["isEnabled"] == true);
    if defaults && access.state != Wanted::Off {
        planner.caution(
            "Security defaults are on; they and Conditional Access exclude each other, and Entra refuses to switch policies \
             on beside them. Say security_defaults = false in the file.",
        );
    }
    if access.doing == Doing::RegisterDevice {
        let required =
            planner.after.get(&Resource::Devices).is_some_and(|one| one["multiFactorAuthConfiguration"] == "required");
        if required {
            planner.caution(format!(
                "{name}: the tenant-wide switch \u{201c}require MFA to join devices\u{201d} is on, and then this policy is not \
                 enforced properly. Say device_join_mfa = false in the file."
            ));
        }
    }
    if access.demand == Demand::CompliantDevice && access.state != Wanted::Off {
        planner.caution(format!(
            "{name}: who is on a device that Intune doesn't call compliant can't get in. Which devices those are can't be read here: \
             look at the report-only results in the sign-in log before switching it on."
        ));
    }
}
