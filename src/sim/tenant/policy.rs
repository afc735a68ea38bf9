//! The passkey policy: as Graph shows it, and what it means for a person.

use serde_json::{Value, json};

use super::access::{self, Caller};
use super::errors;
use super::http::{Answer, Version};
use super::registration::Profile;
use super::spec::{KeyRestrictions, PolicySpec, RestrictionKind};
use super::store::{Person, Store};

/// Whether the method is on for this person: exclusion is stronger than inclusion.
pub(super) fn in_scope(store: &Store, person: &Person) -> bool {
    let groups = store.all_groups_of(person);
    let member = |names: &[String]| groups.iter().any(|group| names.contains(&group.name));
    let policy = &store.policy;
    policy.enabled
        && !member(&policy.exclude_groups)
        && (policy.include_groups.is_empty() || member(&policy.include_groups))
}

/// The profiles a passkey may satisfy; on the old schema there is one.
pub(super) fn profiles_of(store: &Store) -> Vec<Profile> {
    let policy = &store.policy;
    let list = |restrictions: &KeyRestrictions| {
        restrictions.enforced.then(|| (restrictions.kind, restrictions.aaguids.clone()))
    };
    if policy.profiles.is_empty() {
        return vec![Profile {
            name: "Passkey (FIDO2) policy".into(),
            device_bound: true,
            // Attested passkeys can't be synced ones.
            synced: !policy.attestation_enforced,
            attestation_enforced: policy.attestation_enforced,
            restriction: list(&policy.key_restrictions),
        }];
    }
    policy
        .profiles
        .iter()
        .map(|profile| Profile {
            name: profile.name.clone(),
            device_bound: profile.device_bound,
            synced: profile.synced,
            attestation_enforced: profile.attestation_enforced,
            restriction: list(&profile.key_restrictions),
        })
        .collect()
}

fn restrictions(list: &KeyRestrictions) -> Value {
    let kind = match list.kind {
        RestrictionKind::Allow => "allow",
        RestrictionKind::Block => "block",
    };
    json!({ "isEnforced": list.enforced, "enforcementType": kind, "aaGuids": list.aaguids })
}

fn fido2(store: &Store) -> Value {
    let policy = &store.policy;
    let group_id = |name: &String| store.groups.iter().find(|group| group.name == *name).map(|group| group.id.clone());
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
        policy.include_groups.iter().filter_map(group_id).map(target).collect()
    };
    let exclude: Vec<Value> = policy
        .exclude_groups
        .iter()
        .filter_map(group_id)
        .map(|id| json!({ "id": id, "targetType": "group" }))
        .collect();
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
    value
}

/// `GET /policies/authenticationMethodsPolicy`
pub(super) fn whole(store: &Store, version: Version, caller: &Caller) -> Result<Answer, Answer> {
    access::policy(store, caller)?;
    Ok(Answer::json(
        200,
        json!({
            "@odata.context": format!("{}/{}/$metadata#authenticationMethodsPolicy", store.base, version.name()),
            "id": "authenticationMethodsPolicy",
            "displayName": "Authentication Methods Policy",
            "description": "The tenant-wide policy that controls which authentication methods are allowed in the tenant.",
            "lastModifiedDateTime": "2026-03-01T09:00:00Z",
            "policyVersion": "1.5",
            "policyMigrationState": "migrationComplete",
            "authenticationMethodConfigurations": [fido2(store), super::passes::configuration(store)],
        }),
    ))
}

/// `GET …/authenticationMethodConfigurations/{id}`
pub(super) fn one(store: &Store, version: Version, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    access::policy(store, caller)?;
    let mut body = if id == "fido2" {
        fido2(store)
    } else if id == "temporaryaccesspass" {
        super::passes::configuration(store)
    } else {
        return Err(errors::graph(
            404,
            "resourceNotFound",
            format!("There is no authentication method configuration '{id}'."),
        ));
    };
    let context = format!("{}/{}/$metadata#authenticationMethodConfigurations/$entity", store.base, version.name());
    if let Some(object) = body.as_object_mut() {
        object.shift_insert(0, "@odata.context".into(), context.into());
    }
    Ok(Answer::json(200, body))
}

/// `GET /organization`
pub(super) fn organization(store: &Store, version: Version, caller: &Caller) -> Result<Answer, Answer> {
    if !caller.has(&access::ORGANIZATION_READ) {
        return Err(errors::insufficient_privileges());
    }
    Ok(Answer::json(
        200,
        json!({
            "@odata.context": format!("{}/{}/$metadata#organization", store.base, version.name()),
            "value": [{
                "id": store.tenant_id,
                "displayName": "Simulated tenant",
                "tenantType": "AAD",
                "verifiedDomains": [{ "name": store.spec.domain, "isDefault": true, "isInitial": true, "type": "Managed" }],
            }],
        }),
    ))
}

/// A policy in which these members are changed.
///
/// # Errors
/// What is wrong with the change.
pub(super) fn changed(policy: &PolicySpec, change: &Value) -> Result<PolicySpec, String> {
    let mut merged = serde_json::to_value(policy).map_err(|error| error.to_string())?;
    let (Some(into), Some(from)) = (merged.as_object_mut(), change.as_object()) else {
        return Err("the change is not an object".into());
    };
    for (name, value) in from {
        into.insert(name.clone(), value.clone());
    }
    serde_json::from_value(merged).map_err(|error| error.to_string())
}
