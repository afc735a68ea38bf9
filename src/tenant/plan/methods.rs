//! The authentication methods policy: methods, passkey profiles, campaign, system-preferred sign-in.

use serde_json::{Map, Value, json};

use super::{PENDING, Planner};
use crate::tenant::current::id_of;
use crate::tenant::desired::{At, Fido2, Keys, Profile, Scope, Simple};
use crate::tenant::overlay::overlay;
use crate::tenant::resource::Resource;

/// The default profile (Microsoft Graph, fido2AuthenticationMethodConfiguration).
pub(in crate::tenant) const DEFAULT_PROFILE: &str = "00000000-0000-0000-0000-000000000001";
/// The passkey policy's own budget (Entra release notes, May 2026), and where we begin to say so.
const LARGEST: usize = 20 * 1024;
const LARGE: usize = 18 * 1024;

pub(super) fn plan(planner: &mut Planner<'_>) {
    let desired = planner.desired;
    if let Some(wanted) = &desired.fido2 {
        fido2(planner, wanted);
    }
    if let Some(pass) = &desired.pass {
        let mut wanted = scope(planner, &pass.scope, "temporaryaccesspass", &Map::new());
        for (name, value) in [
            ("defaultLength", &pass.length),
            ("defaultLifetimeInMinutes", &pass.minutes),
            ("minimumLifetimeInMinutes", &pass.least_minutes),
            ("maximumLifetimeInMinutes", &pass.most_minutes),
        ] {
            set(&mut wanted, name, value.as_ref().map(|value| value.value));
        }
        set(&mut wanted, "isUsableOnce", pass.one_time.as_ref().map(|value| value.value));
        lifetimes(
            planner,
            &wanted,
            pass.minutes.as_ref().or(pass.least_minutes.as_ref()).or(pass.most_minutes.as_ref()),
        );
        method(planner, "temporary-access-pass", "the method Temporary Access Pass", "temporaryaccesspass", &wanted);
    }
    if let Some(app) = &desired.authenticator {
        let mode = app.mode.as_ref().map(|mode| mode.word());
        let new = Map::from_iter([("authenticationMode".to_owned(), json!(mode.unwrap_or("any")))]);
        let mut wanted = scope(planner, &app.scope, "microsoftauthenticator", &new);
        if let Some(mode) = mode {
            let current = planner.after.method("microsoftauthenticator").map(|it| it["includeTargets"].clone());
            let targets = wanted.get("includeTargets").cloned().or(current).unwrap_or_default();
            let targets = targets.as_array().into_iter().flatten();
            let targets: Vec<Value> =
                targets.map(|target| overlay(target, &json!({ "authenticationMode": mode }))).collect();
            wanted.insert("includeTargets".to_owned(), Value::Array(targets));
        }
        set(&mut wanted, "isSoftwareOathEnabled", app.codes.as_ref().map(|codes| codes.value));
        method(planner, "authenticator", "the method Microsoft Authenticator", "microsoftauthenticator", &wanted);
    }
    for plain in &desired.plain {
        let id = method_id(plain.method);
        let wanted = scope(planner, &plain.scope, id, &Map::new());
        let beta = if plain.method == Simple::HardwareOath { " (beta)" } else { "" };
        let subject = format!("the method {}{beta}", plain.method.name());
        method(planner, area_of(plain.method), &subject, id, &wanted);
    }
    campaign(planner);
    system_preferred(planner);
}

/// A method's id in lower case.
pub(in crate::tenant) fn method_id(method: Simple) -> &'static str {
    match method {
        Simple::HardwareOath => "hardwareoath",
        Simple::SoftwareOath => "softwareoath",
        Simple::Sms => "sms",
        Simple::Voice => "voice",
        Simple::Email => "email",
    }
}

fn area_of(method: Simple) -> &'static str {
    match method {
        Simple::HardwareOath => "hardware-oath",
        Simple::SoftwareOath => "software-oath",
        Simple::Sms => "sms",
        Simple::Voice => "voice",
        Simple::Email => "email",
    }
}

fn set<T: Into<Value>>(wanted: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        wanted.insert(name.to_owned(), value.into());
    }
}

/// State and targets that every method has.
fn scope(planner: &mut Planner<'_>, scope: &Scope, id: &str, new: &Map<String, Value>) -> Map<String, Value> {
    let current = planner.after.method(id).cloned().unwrap_or_default();
    let mut wanted = Map::new();
    set(&mut wanted, "state", scope.on.as_ref().map(|on| if on.value { "enabled" } else { "disabled" }));
    if let Some(include) = &scope.include {
        let mut new = new.clone();
        new.insert("isRegistrationRequired".to_owned(), json!(false));
        let targets = planner.targets(include, &current["includeTargets"], &new);
        wanted.insert("includeTargets".to_owned(), targets);
    }
    if let Some(exclude) = &scope.exclude {
        let targets = planner.targets(exclude, &current["excludeTargets"], &Map::new());
        wanted.insert("excludeTargets".to_owned(), targets);
    }
    wanted
}

fn method(planner: &mut Planner<'_>, area: &'static str, subject: &str, id: &str, wanted: &Map<String, Value>) {
    if wanted.is_empty() {
        return;
    }
    let at = Resource::Method(id.to_owned());
    if planner.after.get(&at).is_none() {
        planner.missing(Default::default(), area, subject);
        return;
    }
    planner.patch(area, subject.to_owned(), &at, &Value::Object(wanted.clone()));
}

/// What the file leaves out counts from the tenant: the three lifetimes have to agree.
fn lifetimes(planner: &mut Planner<'_>, wanted: &Map<String, Value>, at: Option<&At<u32>>) {
    let Some(at) = at else { return };
    let current = planner.after.method("temporaryaccesspass").cloned().unwrap_or_default();
    let minutes = |name: &str| wanted.get(name).unwrap_or(&current[name]).as_u64();
    let (least, default, most) =
        (minutes("minimumLifetimeInMinutes"), minutes("defaultLifetimeInMinutes"), minutes("maximumLifetimeInMinutes"));
    if let (Some(least), Some(default), Some(most)) = (least, default, most)
        && !(least <= default && default <= most)
    {
        let what = format!(
            "with what the tenant has, passes would live at least {least}, usually {default} and at most {most} minutes: \
             give least_minutes, minutes and most_minutes so that they rise"
        );
        planner.wrong(at, what);
    }
}

fn fido2(planner: &mut Planner<'_>, fido2: &Fido2) {
    const AREA: &str = "fido2";
    let at = Resource::Method("fido2".to_owned());
    let subject = "the method Passkey (FIDO2)";
    let Some(current) = planner.after.get(&at).cloned() else {
        planner.missing(Default::default(), AREA, subject);
        return;
    };
    let mut switches = scope(planner, &fido2.scope, "fido2", &Map::new());
    set(&mut switches, "isSelfServiceRegistrationAllowed", fido2.self_service.as_ref().map(|it| it.value));
    if current["passkeyProfiles"].as_array().is_none_or(Vec::is_empty) {
        legacy(planner, fido2, switches);
        return;
    }

    // 1. Profiles: all of them are sent, because one that is left out is deleted.
    let mut profiles: Vec<Value> = current["passkeyProfiles"].as_array().cloned().unwrap_or_default();
    let default = current["defaultPasskeyProfile"].as_str().unwrap_or(DEFAULT_PROFILE).to_ascii_lowercase();
    for wanted in &fido2.profiles {
        match profiles.iter_mut().find(|profile| is(profile, wanted)) {
            Some(profile) => {
                let renamed = !profile["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&wanted.name));
                if renamed && id_of(profile).as_deref() == Some(&default) {
                    planner.wrong(&wanted.name, "this is the default profile, which Entra lets nobody rename");
                }
                *profile = overlay(profile, &profile_json(wanted, renamed));
            }
            None if wanted.id.is_some() => {
                planner.wrong(&wanted.name, "the tenant has no profile of this id; leave the id out to make one");
            }
            None => {
                let base = json!({
                    "name": wanted.name.value, "passkeyTypes": "deviceBound", "attestationEnforcement": "registrationOnly",
                    "keyRestrictions": { "isEnforced": false, "enforcementType": "allow", "aaGuids": [] },
                });
                profiles.push(overlay(&base, &profile_json(wanted, false)));
            }
        }
    }
    let made: Vec<String> = profiles
        .iter()
        .filter(|one| id_of(one).is_none())
        .filter_map(|one| one["name"].as_str().map(str::to_owned))
        .collect();
    let mut first = switches.clone();
    let pointed = fido2.scope.include.is_some() || fido2.profiles.iter().any(|profile| profile.audience.is_some());
    let targets = targets(planner, fido2, &current, switches.get("includeTargets"), &profiles, &default);
    if !pointed {
        first.shift_remove("includeTargets");
    } else if made.is_empty() {
        first.insert("includeTargets".to_owned(), targets.clone());
    } else {
        // A new profile's id is known only when it is there; until then nobody may be pointed at it.
        first.shift_remove("includeTargets");
    }
    let whole = json!({ "passkeyProfiles": profiles });
    size(planner, fido2, &overlay(&current, &whole));
    if !fido2.profiles.is_empty() {
        first.insert("passkeyProfiles".to_owned(), whole["passkeyProfiles"].clone());
    }
    profiles_patch(planner, &at, subject, &Value::Object(first));
    if pointed && !made.is_empty() {
        let subject = format!("{subject}: who may use the new profile");
        profiles_patch(planner, &at, &subject, &json!({ "includeTargets": targets }));
    }

    // 2. Profiles to delete, once nobody is pointed at them.
    remove(planner, fido2, &at, subject);
}

/// A PATCH of the passkey policy in which new profiles have a stand-in for their id in the planned document only.
fn profiles_patch(planner: &mut Planner<'_>, at: &Resource, subject: &str, wanted: &Value) {
    planner.patch("fido2", subject.to_owned(), at, wanted);
    // What is planned next sees the new profiles under their stand-ins.
    let Some(mut document) = planner.after.get(at).cloned() else { return };
    for profile in document["passkeyProfiles"].as_array_mut().into_iter().flatten() {
        if let (None, Some(name), Some(map)) =
            (id_of(profile), profile["name"].as_str().map(str::to_owned), profile.as_object_mut())
        {
            map.insert("id".to_owned(), json!(pending_profile(&name)));
        }
    }
    planner.after.set(at.clone(), document);
}

fn pending_profile(name: &str) -> String {
    format!("{PENDING}profile:{}", name.to_lowercase())
}

fn is(profile: &Value, wanted: &Profile) -> bool {
    match &wanted.id {
        Some(id) => id_of(profile).is_some_and(|its| its.eq_ignore_ascii_case(id)),
        None => profile["name"].as_str().is_some_and(|name| name.trim().eq_ignore_ascii_case(&wanted.name)),
    }
}

fn profile_json(wanted: &Profile, renamed: bool) -> Value {
    let mut json = Map::new();
    if renamed {
        json.insert("name".to_owned(), json!(wanted.name.value));
    }
    let types: Vec<&str> = [(wanted.device_bound, "deviceBound"), (wanted.synced, "synced")]
        .into_iter()
        .filter_map(|(has, word)| (has == Some(true)).then_some(word))
        .collect();
    set(&mut json, "passkeyTypes", (!types.is_empty()).then(|| types.join(",")));
    let attestation = wanted.attestation.as_ref();
    set(
        &mut json,
        "attestationEnforcement",
        attestation.map(|it| if it.value { "registrationOnly" } else { "disabled" }),
    );
    set(&mut json, "keyRestrictions", wanted.keys.as_ref().map(restrictions));
    Value::Object(json)
}

fn restrictions(keys: &Keys) -> Value {
    let list = |list: &[crate::model::Aaguid]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    match keys {
        Keys::Any => json!({ "isEnforced": false }),
        Keys::Only(models) => json!({ "isEnforced": true, "enforcementType": "allow", "aaGuids": list(models) }),
        Keys::Except(models) => json!({ "isEnforced": true, "enforcementType": "block", "aaGuids": list(models) }),
    }
}

/// Everybody in scope with the profiles they may use.
fn targets(
    planner: &mut Planner<'_>,
    fido2: &Fido2,
    current: &Value,
    include: Option<&Value>,
    profiles: &[Value],
    default: &str,
) -> Value {
    let mut targets: Vec<Value> = include.unwrap_or(&current["includeTargets"]).as_array().cloned().unwrap_or_default();
    let now = current["includeTargets"].as_array().cloned().unwrap_or_default();
    let allowed = |id: &str| -> Vec<String> {
        let same = |target: &&Value| target["id"].as_str().is_some_and(|its| its.eq_ignore_ascii_case(id));
        let list = now.iter().find(same).map(|target| target["allowedPasskeyProfiles"].clone()).unwrap_or_default();
        list.as_array().into_iter().flatten().filter_map(|id| id.as_str().map(str::to_ascii_lowercase)).collect()
    };
    // Whom each profile of the file is for, where the file says so.
    let mut given: Vec<(String, Vec<(String, &'static str)>)> = Vec::new();
    for wanted in &fido2.profiles {
        let Some(audience) = &wanted.audience else { continue };
        let profile = profiles.iter().find(|profile| is(profile, wanted));
        let id = profile.and_then(id_of).unwrap_or_else(|| pending_profile(&wanted.name));
        given.push((id, audience.iter().filter_map(|word| planner.id(word)).collect()));
    }
    for (id, kind) in given.iter().flat_map(|(_, audience)| audience) {
        if !targets.iter().any(|target| target["id"].as_str().is_some_and(|its| its.eq_ignore_ascii_case(id))) {
            targets.push(json!({ "id": id, "targetType": kind, "isRegistrationRequired": false }));
        }
    }
    for target in &mut targets {
        let Some(id) = id_of(target) else { continue };
        let mut list = allowed(&id);
        let before = list.clone();
        for (profile, audience) in &given {
            let belongs = audience.iter().any(|(its, _)| its.eq_ignore_ascii_case(&id));
            list.retain(|one| one != profile || belongs);
            if belongs && !list.contains(profile) {
                list.push(profile.clone());
            }
        }
        if list.is_empty() && before.is_empty() && now.iter().any(|one| id_of(one).as_ref() == Some(&id)) {
            // The tenant leaves it open, and so do we.
            continue;
        }
        if list.is_empty() {
            if !before.is_empty() {
                let who = planner.names.of(&id);
                planner.caution(format!("No profile is left for {who}: the default profile counts for them."));
            }
            list.push(default.to_owned());
        }
        if let Some(map) = target.as_object_mut() {
            map.insert("allowedPasskeyProfiles".to_owned(), json!(list));
        }
    }
    Value::Array(targets)
}

fn remove(planner: &mut Planner<'_>, fido2: &Fido2, at: &Resource, subject: &str) {
    let Some(document) = planner.after.get(at).cloned() else { return };
    let mut profiles = document["passkeyProfiles"].as_array().cloned().unwrap_or_default();
    let default = document["defaultPasskeyProfile"].as_str().unwrap_or(DEFAULT_PROFILE).to_ascii_lowercase();
    for name in &fido2.remove {
        let named = |profile: &Value| profile["name"].as_str().is_some_and(|its| its.trim().eq_ignore_ascii_case(name));
        let Some(id) = profiles.iter().find(|profile| named(profile)).and_then(id_of) else { continue };
        if id == default {
            planner.wrong(name, "this is the default profile, which can't be deleted");
            continue;
        }
        let users: Vec<String> = document["includeTargets"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|target| {
                let list = target["allowedPasskeyProfiles"].as_array().into_iter().flatten();
                list.into_iter().any(|one| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(&id)))
            })
            .filter_map(id_of)
            .map(|id| planner.names.of(&id))
            .collect();
        if !users.is_empty() {
            let what = format!("{} may still use this profile: give them another one first", users.join(", "));
            planner.wrong(name, what);
            continue;
        }
        profiles.retain(|profile| !named(profile));
    }
    if document["passkeyProfiles"].as_array().is_some_and(|now| now.len() != profiles.len()) {
        let subject = format!("{subject}: profiles that the file deletes");
        planner.patch("fido2", subject, at, &json!({ "passkeyProfiles": profiles }));
    }
}

/// A tenant that has no profiles yet: the one profile of the file is the policy itself.
fn legacy(planner: &mut Planner<'_>, fido2: &Fido2, mut wanted: Map<String, Value>) {
    const AREA: &str = "fido2";
    if let Some(second) = fido2.profiles.get(1) {
        let what = "this tenant has no passkey profiles yet: one set of rules counts for everybody. Describe one profile, or \
                    opt in under Entra ID > Authentication methods > Policies > Passkey (FIDO2)";
        planner.wrong(&second.name, what);
        return;
    }
    if let Some(profile) = fido2.profiles.first() {
        if profile.synced == Some(true) {
            planner.wrong(&profile.name, "without passkey profiles this tenant knows no synced passkeys");
        }
        set(&mut wanted, "isAttestationEnforced", profile.attestation.as_ref().map(|it| it.value));
        set(&mut wanted, "keyRestrictions", profile.keys.as_ref().map(restrictions));
        if let (Some(audience), None) = (&profile.audience, wanted.get("includeTargets")) {
            let current = planner.after.method("fido2").map(|it| it["includeTargets"].clone()).unwrap_or_default();
            let new = Map::from_iter([("isRegistrationRequired".to_owned(), json!(false))]);
            let targets = planner.targets(audience, &current, &new);
            wanted.insert("includeTargets".to_owned(), targets);
        }
        planner.caution(
            "This tenant has no passkey profiles yet: the rules are written to the older members, which Microsoft removes in October 2027.",
        );
    }
    method(planner, AREA, "the method Passkey (FIDO2)", "fido2", &wanted);
}

fn size(planner: &mut Planner<'_>, fido2: &Fido2, document: &Value) {
    let bytes = serde_json::to_vec(document).map(|bytes| bytes.len()).unwrap_or(0);
    if bytes > LARGEST
        && let Some(profile) = fido2.profiles.first()
    {
        planner.wrong(
            &profile.name,
            format!("the passkey policy would have {bytes} bytes; Entra takes {LARGEST}. Merge profiles"),
        );
    } else if bytes > LARGE {
        planner.caution(format!("The passkey policy will have {bytes} bytes, of the {LARGEST} that Entra takes."));
    }
}

fn campaign(planner: &mut Planner<'_>) {
    let Some(campaign) = &planner.desired.campaign else { return };
    // Only beta tells and takes whether the snoozes end.
    let at = if campaign.forced.is_some() { Resource::BetaPolicy } else { Resource::Policy };
    let subject = if at.is_beta() { "the registration campaign (beta)" } else { "the registration campaign" };
    let Some(document) = planner.after.get(&at) else {
        planner.missing(Default::default(), "registration_campaign", subject);
        return;
    };
    let current = document["registrationEnforcement"]["authenticationMethodsRegistrationCampaign"].clone();
    let mut wanted = Map::new();
    set(&mut wanted, "state", campaign.state.as_ref().map(|state| state.word()));
    set(&mut wanted, "snoozeDurationInDays", campaign.snooze_days.as_ref().map(|days| days.value));
    set(&mut wanted, "enforceRegistrationAfterAllowedSnoozes", campaign.forced.as_ref().map(|forced| forced.value));
    let method =
        campaign.passkey.as_ref().map(|passkey| if passkey.value { "fido2" } else { "microsoftAuthenticator" });
    let now = current["includeTargets"][0]["targetedAuthenticationMethod"].as_str().unwrap_or("microsoftAuthenticator");
    let mut targets = match &campaign.scope.include {
        Some(include) => {
            let new = Map::from_iter([("targetedAuthenticationMethod".to_owned(), json!(method.unwrap_or(now)))]);
            planner.targets(include, &current["includeTargets"], &new)
        }
        None => current["includeTargets"].clone(),
    };
    if let Some(method) = method {
        // One method for all: Graph takes no two.
        for target in targets.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            target.insert("targetedAuthenticationMethod".to_owned(), json!(method));
        }
    }
    if campaign.scope.include.is_some() || method.is_some() {
        wanted.insert("includeTargets".to_owned(), targets);
    }
    if let Some(exclude) = &campaign.scope.exclude {
        let targets = planner.targets(exclude, &current["excludeTargets"], &Map::new());
        wanted.insert("excludeTargets".to_owned(), targets);
    }
    let wanted = json!({ "registrationEnforcement": { "authenticationMethodsRegistrationCampaign": wanted } });
    planner.patch("registration-campaign", subject.to_owned(), &at, &wanted);
}

fn system_preferred(planner: &mut Planner<'_>) {
    let Some(switch) = &planner.desired.system_preferred else { return };
    let subject = "system-preferred sign-in (beta)";
    let Some(document) = planner.after.get(&Resource::BetaPolicy) else {
        planner.missing(Default::default(), "system_preferred", subject);
        return;
    };
    let current = document["systemCredentialPreferences"].clone();
    let mut wanted = Map::new();
    set(&mut wanted, "state", switch.state.as_ref().map(|state| state.word()));
    if let Some(include) = &switch.scope.include {
        let targets = planner.targets(include, &current["includeTargets"], &Map::new());
        wanted.insert("includeTargets".to_owned(), targets);
    }
    if let Some(exclude) = &switch.scope.exclude {
        let targets = planner.targets(exclude, &current["excludeTargets"], &Map::new());
        wanted.insert("excludeTargets".to_owned(), targets);
    }
    let wanted = json!({ "systemCredentialPreferences": wanted });
    planner.patch("system-preferred", subject.to_owned(), &Resource::BetaPolicy, &wanted);
}
