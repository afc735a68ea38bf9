//! The passkey policy: its profiles' rules, and what it means for a person and a key.
//!
//! Source: Microsoft Entra, "Enable passkeys", and `fido2AuthenticationMethodConfiguration`. The document is the truth; the
//! members of `[policy]` in a specification are only how it begins.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::refusal::{Refused, Why};
use super::{Object, is_guid, texts};
use crate::sim::tenant::registration::Profile;
use crate::sim::tenant::spec::{KeyRestrictions, PolicySpec, ProfileSpec, RestrictionKind};
use crate::sim::tenant::store::{Person, Store};

/// The default profile's id, the same in every tenant.
const DEFAULT: &str = "00000000-0000-0000-0000-000000000001";
/// The budget of the passkey policy (Entra, "What's new", May 2026).
const MOST_BYTES: usize = 20 * 1024;

fn document(store: &Store) -> Option<&Object> {
    store.policies.methods.first()
}

fn truth(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or(false)
}

/// "Allow self-service set up".
pub(super) fn self_service(store: &Store) -> bool {
    document(store).is_some_and(|policy| truth(policy.get("isSelfServiceRegistrationAllowed")))
}

fn list<'a>(policy: &'a Object, name: &str) -> impl Iterator<Item = &'a Value> {
    policy.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn meant(store: &Store, person: &Person, target: &Value) -> bool {
    let id = target.get("id").and_then(Value::as_str).unwrap_or("");
    if target.get("targetType").and_then(Value::as_str) == Some("user") {
        return person.id.eq_ignore_ascii_case(id);
    }
    id == "all_users" || store.all_groups_of(person).iter().any(|group| group.id.eq_ignore_ascii_case(id))
}

/// Whether the method is on for this person: exclusion is stronger than inclusion.
pub(in super::super) fn in_scope(store: &Store, person: &Person) -> bool {
    document(store).is_some_and(|policy| covers(store, policy, person))
}

/// Whether a method's configuration is on for a person.
pub(super) fn covers(store: &Store, policy: &Object, person: &Person) -> bool {
    policy.get("state").and_then(Value::as_str) == Some("enabled")
        && !list(policy, "excludeTargets").any(|target| meant(store, person, target))
        && list(policy, "includeTargets").any(|target| meant(store, person, target))
}

/// The profiles a person's passkey may satisfy; on the old schema there is one.
pub(in super::super) fn profiles_of(store: &Store, person: &Person) -> Vec<Profile> {
    let Some(policy) = document(store) else { return Vec::new() };
    let restriction = |json: Option<&Value>| {
        let it = json.and_then(Value::as_object)?;
        let kind = match it.get("enforcementType").and_then(Value::as_str) {
            Some("block") => RestrictionKind::Block,
            _ => RestrictionKind::Allow,
        };
        truth(it.get("isEnforced"))
            .then(|| (kind, texts(it.get("aaGuids")).map(str::to_ascii_lowercase).collect::<Vec<_>>()))
    };
    if list(policy, "passkeyProfiles").next().is_none() {
        let attested = truth(policy.get("isAttestationEnforced"));
        return vec![Profile {
            name: "Passkey (FIDO2) policy".into(),
            device_bound: true,
            // Attested passkeys can't be synced ones.
            synced: !attested,
            attestation_enforced: attested,
            restriction: restriction(policy.get("keyRestrictions")),
        }];
    }
    let allowed: BTreeSet<String> = list(policy, "includeTargets")
        .filter(|target| meant(store, person, target))
        .flat_map(|target| texts(target.get("allowedPasskeyProfiles")))
        .map(str::to_ascii_lowercase)
        .collect();
    list(policy, "passkeyProfiles")
        .filter(|profile| profile["id"].as_str().is_some_and(|id| allowed.contains(&id.to_ascii_lowercase())))
        .map(|profile| {
            let types = profile["passkeyTypes"].as_str().unwrap_or("");
            let has = |kind: &str| types.split(',').any(|one| one.trim() == kind);
            Profile {
                name: profile["name"].as_str().unwrap_or("").to_owned(),
                device_bound: has("deviceBound"),
                synced: has("synced"),
                attestation_enforced: profile["attestationEnforcement"] == "registrationOnly",
                restriction: restriction(profile.get("keyRestrictions")),
            }
        })
        .collect()
}

/// A change that is merged already, held to the rules of profiles. `change` is what was sent.
pub(super) fn changed(store: &mut Store, mut it: Object, change: &Object) -> Result<Object, Refused> {
    let had = document(store).map_or_else(Vec::new, |old| list(old, "passkeyProfiles").cloned().collect());
    let legacy = ["isAttestationEnforced", "keyRestrictions"].iter().any(|name| change.contains_key(*name));
    let sent = change.contains_key("passkeyProfiles");
    check_models(it.get("keyRestrictions"))?;
    let mut profiles: Vec<Object> =
        list(&it, "passkeyProfiles").filter_map(|profile| profile.as_object().cloned()).collect();
    if profiles.is_empty() && had.is_empty() {
        if texts_of_targets(&it).next().is_some() {
            return Err(Refused::new(
                Why::NoSuchProfile,
                "allowedPasskeyProfiles names a profile, and there are none.",
            ));
        }
        return check_size(it);
    }
    for profile in &mut profiles {
        complete(store, profile, &had)?;
    }
    if profiles.len() > store.spec.policies.most_profiles {
        let message =
            format!("The number of passkey profiles exceeds the maximum of {}.", store.spec.policies.most_profiles);
        return Err(Refused::new(Why::TooManyProfiles, message));
    }
    let id = |profile: &Object| profile.get("id").and_then(Value::as_str).unwrap_or("").to_ascii_lowercase();
    let default = profiles.iter().position(|profile| id(profile) == DEFAULT);
    let Some(default) = default else {
        return Err(Refused::new(Why::DefaultProfile, "The default passkey profile can't be deleted."));
    };
    let was = had.iter().find(|profile| profile["id"] == DEFAULT).map(|profile| profile["name"].clone());
    let now = profiles.get(default).and_then(|profile| profile.get("name")).cloned();
    if was.is_some() && was != now {
        return Err(Refused::new(Why::DefaultProfile, "The default passkey profile can't be renamed."));
    }
    mirror(&mut it, profiles.get_mut(default), (sent, legacy))?;
    let ids: BTreeSet<String> = profiles.iter().map(id).collect();
    let gone: BTreeSet<String> = had
        .iter()
        .filter_map(|profile| profile["id"].as_str().map(str::to_ascii_lowercase))
        .filter(|id| !ids.contains(id))
        .collect();
    for named in texts_of_targets(&it).map(str::to_ascii_lowercase) {
        if gone.contains(&named) {
            let message = format!("The passkey profile '{named}' is in use by a target and can't be deleted.");
            return Err(Refused::new(Why::ProfileInUse, message));
        }
        if !ids.contains(&named) {
            return Err(Refused::new(Why::NoSuchProfile, format!("There is no passkey profile '{named}'.")));
        }
    }
    it.insert("passkeyProfiles".into(), json!(profiles));
    it.insert("defaultPasskeyProfile".into(), DEFAULT.into());
    // A target without profiles means the default one.
    for target in it.get_mut("includeTargets").and_then(Value::as_array_mut).into_iter().flatten() {
        let none = target.get("allowedPasskeyProfiles").and_then(Value::as_array).is_none_or(Vec::is_empty);
        if none && let Some(target) = target.as_object_mut() {
            target.insert("allowedPasskeyProfiles".into(), json!([DEFAULT]));
        }
    }
    check_size(it)
}

fn texts_of_targets(policy: &Object) -> impl Iterator<Item = &str> {
    list(policy, "includeTargets").flat_map(|target| texts(target.get("allowedPasskeyProfiles")))
}

/// Checks one profile and gives a new one its id.
fn complete(store: &mut Store, profile: &mut Object, had: &[Value]) -> Result<(), Refused> {
    match profile.get("id").and_then(Value::as_str) {
        Some(id)
            if id != DEFAULT
                && !had.iter().any(|old| old["id"].as_str().is_some_and(|old| old.eq_ignore_ascii_case(id))) =>
        {
            let message = format!("There is no passkey profile '{id}'. A new profile is sent without an id.");
            return Err(Refused::new(Why::NoSuchProfile, message));
        }
        Some(_) => {}
        None => {
            let id = store.fresh_guid("passkey profile");
            profile.shift_insert(0, "id".into(), id.into());
        }
    }
    if profile.get("name").and_then(Value::as_str).is_none_or(|name| name.trim().is_empty()) {
        return Err(Refused::new(Why::Missing, "A passkey profile needs a name."));
    }
    let types = profile.entry("passkeyTypes").or_insert_with(|| "deviceBound".into());
    let synced = types.as_str().unwrap_or("").split(',').any(|one| one.trim() == "synced");
    let attested = profile.entry("attestationEnforcement").or_insert_with(|| "disabled".into()) == "registrationOnly";
    if synced && attested {
        let message = "Synced passkeys don't support attestation: allow device-bound passkeys only, or don't enforce attestation.";
        return Err(Refused::new(Why::SyncedAttested, message));
    }
    let restrictions = profile
        .entry("keyRestrictions")
        .or_insert_with(|| json!({ "isEnforced": false, "enforcementType": "allow", "aaGuids": [] }));
    check_models(Some(restrictions))
}

fn check_models(restrictions: Option<&Value>) -> Result<(), Refused> {
    let list = restrictions.and_then(|it| it.get("aaGuids"));
    match texts(list).find(|aaguid| !is_guid(aaguid)) {
        Some(bad) => Err(Refused::new(Why::BadAaguid, format!("'{bad}' is not a valid AAGUID."))),
        None => Ok(()),
    }
}

/// The older members mirror the default profile, whichever of the two was sent.
fn mirror(it: &mut Object, default: Option<&mut Object>, (sent, legacy): (bool, bool)) -> Result<(), Refused> {
    let Some(default) = default else { return Ok(()) };
    let level = |on: bool| if on { "registrationOnly" } else { "disabled" };
    let attested = truth(it.get("isAttestationEnforced"));
    if legacy && sent {
        let same = default.get("attestationEnforcement") == Some(&json!(level(attested)))
            && default.get("keyRestrictions") == it.get("keyRestrictions");
        if !same {
            let message = "isAttestationEnforced and keyRestrictions differ from the default passkey profile.";
            return Err(Refused::new(Why::LegacyDisagrees, message));
        }
    } else if legacy {
        default.insert("attestationEnforcement".into(), level(attested).into());
        if attested {
            default.insert("passkeyTypes".into(), "deviceBound".into());
        }
        if let Some(restrictions) = it.get("keyRestrictions") {
            default.insert("keyRestrictions".into(), restrictions.clone());
        }
    }
    let attested = default.get("attestationEnforcement") == Some(&json!("registrationOnly"));
    it.insert("isAttestationEnforced".into(), attested.into());
    if let Some(restrictions) = default.get("keyRestrictions") {
        it.insert("keyRestrictions".into(), restrictions.clone());
    }
    Ok(())
}

fn check_size(it: Object) -> Result<Object, Refused> {
    let it = Value::Object(it);
    let bytes = it.to_string().len();
    match it {
        Value::Object(it) if bytes <= MOST_BYTES => Ok(it),
        _ => {
            let message = format!(
                "The size of the Passkey (FIDO2) policy is {bytes} bytes and exceeds the limit of {MOST_BYTES}."
            );
            Err(Refused::new(Why::PolicyTooLarge, message))
        }
    }
}

fn restrictions(list: &KeyRestrictions) -> Value {
    let kind = match list.kind {
        RestrictionKind::Allow => "allow",
        RestrictionKind::Block => "block",
    };
    json!({ "isEnforced": list.enforced, "enforcementType": kind, "aaGuids": list.aaguids })
}

/// Writes the document anew after `[policy]`.
pub(super) fn from_spec(store: &mut Store) {
    let policy = store.policy.clone();
    let profile_ids: Vec<&str> = policy.profiles.iter().map(|profile| profile.id.as_str()).collect();
    let target = |id: String| {
        let mut target = json!({ "targetType": "group", "id": id, "isRegistrationRequired": false });
        if !profile_ids.is_empty() {
            target["allowedPasskeyProfiles"] = json!(profile_ids);
        }
        target
    };
    let include: Vec<Value> = if policy.include_groups.is_empty() {
        vec![target("all_users".into())]
    } else {
        policy.include_groups.iter().map(|name| target(store.group_id(name))).collect()
    };
    let exclude: Vec<Value> =
        policy.exclude_groups.iter().map(|name| json!({ "id": store.group_id(name), "targetType": "group" })).collect();
    // The old members mirror the default profile.
    let first = policy.profiles.first();
    let mut value = json!({
        "@odata.type": "#microsoft.graph.fido2AuthenticationMethodConfiguration",
        "id": "Fido2",
        "state": if policy.enabled { "enabled" } else { "disabled" },
        "isSelfServiceRegistrationAllowed": policy.self_service,
        "isAttestationEnforced": first.map_or(policy.attestation_enforced, |profile| profile.attestation_enforced),
        "keyRestrictions": restrictions(first.map_or(&policy.key_restrictions, |profile| &profile.key_restrictions)),
        "includeTargets": include,
        "excludeTargets": exclude,
    });
    if let Some(first) = first {
        let profiles: Vec<Value> = policy
            .profiles
            .iter()
            .map(|profile| {
                let types: Vec<&str> = [("deviceBound", profile.device_bound), ("synced", profile.synced)]
                    .into_iter()
                    .filter_map(|(name, on)| on.then_some(name))
                    .collect();
                json!({
                    "id": profile.id,
                    "name": profile.name,
                    "passkeyTypes": types.join(","),
                    "attestationEnforcement": if profile.attestation_enforced { "registrationOnly" } else { "disabled" },
                    "keyRestrictions": restrictions(&profile.key_restrictions),
                })
            })
            .collect();
        value["defaultPasskeyProfile"] = first.id.clone().into();
        value["passkeyProfiles"] = profiles.into();
    }
    if let (Value::Object(value), Some(method)) = (value, store.policies.methods.first_mut()) {
        *method = value;
    }
}

/// `[policy]` as it would have to be for the document; which target may use which profile can't be said there.
pub(super) fn spec_of(store: &Store) -> PolicySpec {
    let mut spec = store.policy.clone();
    let Some(policy) = document(store) else { return spec };
    let restrictions = |json: Option<&Value>| KeyRestrictions {
        enforced: json.is_some_and(|it| truth(it.get("isEnforced"))),
        kind: match json.and_then(|it| it.get("enforcementType")).and_then(Value::as_str) {
            Some("block") => RestrictionKind::Block,
            _ => RestrictionKind::Allow,
        },
        aaguids: texts(json.and_then(|it| it.get("aaGuids"))).map(str::to_owned).collect(),
    };
    let names = |name: &str| -> Vec<String> {
        list(policy, name)
            .filter_map(|target| target["id"].as_str())
            .filter_map(|id| store.groups.iter().find(|group| group.id.eq_ignore_ascii_case(id)))
            .map(|group| group.name.clone())
            .collect()
    };
    spec.enabled = policy.get("state").and_then(Value::as_str) == Some("enabled");
    spec.self_service = self_service(store);
    spec.attestation_enforced = truth(policy.get("isAttestationEnforced"));
    spec.key_restrictions = restrictions(policy.get("keyRestrictions"));
    spec.exclude_groups = names("excludeTargets");
    let everybody = list(policy, "includeTargets").any(|target| target["id"] == "all_users");
    spec.include_groups = if everybody { Vec::new() } else { names("includeTargets") };
    spec.profiles = list(policy, "passkeyProfiles")
        .map(|profile| {
            let text = |name: &str| profile[name].as_str().unwrap_or("").to_owned();
            let types = text("passkeyTypes");
            let has = |kind: &str| types.split(',').any(|one| one.trim() == kind);
            ProfileSpec {
                id: text("id"),
                name: text("name"),
                device_bound: has("deviceBound"),
                synced: has("synced"),
                attestation_enforced: text("attestationEnforcement") == "registrationOnly",
                key_restrictions: restrictions(profile.get("keyRestrictions")),
            }
        })
        .collect();
    spec
}
